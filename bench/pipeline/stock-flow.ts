import type { FlowNode } from '../lib/sluice-flow.js';

/** The same work with stock nodes, as many flows are made: mqtt in → json → switch → function → mongodb4. */
export function stockFlow(broker: URL, mongodbUri: string, qos: 0 | 1 | 2): FlowNode[] {
  const node = (id: string, type: string, next: string[]): FlowNode => ({
    ...{ id, type, z: 'tab', name: '', x: 100, y: 100 },
    wires: [next],
  });
  return [
    { id: 'tab', type: 'tab', label: 'Stock', disabled: false, env: [] },
    {
      ...{ id: 'broker', type: 'mqtt-broker', broker: broker.hostname, port: broker.port, clientid: 'bench-stock' },
      ...{ autoConnect: true, protocolVersion: '5', keepalive: '60', cleansession: false, sessionExpiry: '600' },
    },
    { id: 'store', type: 'mongodb4-client', uri: mongodbUri, uriTabActive: 'tab-uri-advanced', advanced: '{}' },
    { ...node('in', 'mqtt in', ['json']), broker: 'broker', topic: 'device/#', qos: String(qos), datatype: 'utf8' },
    { ...node('json', 'json', ['switch']), property: 'payload', action: 'obj' },
    {
      ...node('switch', 'switch', ['function']),
      property: 'payload.value',
      propertyType: 'msg',
      rules: [{ t: 'btwn', v: '0', vt: 'num', v2: '100', v2t: 'num' }],
      checkall: 'true',
      outputs: 1,
    },
    {
      ...node('function', 'function', ['mongodb']),
      func: 'msg.payload = [{ ...msg.payload, _id: `${msg.payload.uuid}:${msg.payload.seq}` }];\nreturn msg;',
      outputs: 1,
    },
    {
      ...node('mongodb', 'mongodb4', []),
      ...{ clientNode: 'store', mode: 'collection', collection: 'devices', operation: 'insertOne' },
      ...{ output: 'toArray', maxTimeMS: '0', handleDocId: false },
    },
  ];
}
