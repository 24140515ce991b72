/** Flows that are measured, with what differs from the defaults of our nodes. */
import { SCHEMA } from '../pipeline/schema.js';

export type FlowNode = Record<string, unknown> & { readonly id: string; readonly type: string };

export interface PipelineOptions {
  readonly qos: 0 | 1 | 2;
  /** Sinks for documents, each behind a rule of its own, that takes every message. */
  readonly branches: number;
  /** Whether there is a sink for objects beside them. */
  readonly objects: boolean;
}

/** Ingest → filter → router → a sink for each rule. */
export function pipelineFlow({ qos, branches, objects }: PipelineOptions): FlowNode[] {
  const sinks: FlowNode[] = Array.from({ length: branches }, (_none, index) => ({
    ...node(`mongo${index}`, 'mongo-sink', []),
    connection: 'store',
    collection: branches === 1 ? 'devices' : `devices${index}`,
  }));
  if (objects) {
    sinks.push({
      ...node('s3', 's3-sink', []),
      store: 'objects',
      key: '{instance}/{batch}.ndjson.gz',
      line: 'envelope',
      compression: 'gzip',
      maxAgeSeconds: 2,
    });
  }
  const rules = sinks.map(({ id }) => ({ name: id, enabled: true, match: 'all', conditions: [], topic: 'device/#' }));
  return [
    { id: 'tab', type: 'tab', label: 'Measured', disabled: false, env: [] },
    { id: 'broker', type: 'sluice-mqtt-broker', configVersion: 1, url: '${MQTT_URL}', clientId: 'bench-sluice' },
    { id: 'store', type: 'mongo-connection', configVersion: 1, uri: '${MONGODB_URI}' },
    { id: 'objects', type: 'object-store', configVersion: 1, url: '${S3_URL}' },
    { id: 'schema', type: 'message-schema', configVersion: 1, name: 'reading', schema: JSON.stringify(SCHEMA) },
    {
      ...node('ingest', 'mqtt-ingest', [['filter']]),
      broker: 'broker',
      topics: ['device/#'],
      qos,
      // At QoS 0 nothing holds the publisher back but what the database has stored, and objects are stored after it.
      maxInFlight: qos === 0 ? 10_000 : 1_000,
      identity: '{payload.uuid}:{payload.seq}',
    },
    { ...node('filter', 'schema-filter', [['router']]), schema: 'schema' },
    {
      ...node(
        'router',
        'fan-out-router',
        sinks.map(({ id }) => [id]),
      ),
      rules,
      outputs: rules.length + 2,
    },
    ...sinks,
  ];
}

function node(id: string, type: string, wires: readonly (readonly string[])[]): FlowNode {
  return { id, type, z: 'tab', name: '', configVersion: 1, x: 100, y: 100, wires };
}
