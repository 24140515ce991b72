/** Flows with something wrong in them, and what `sluice check` says of each. */
import type { FlowNode } from './node-red.js';

export const PLANTED = 'Pl4nted-S3cret';
export const KEY = `-----BEGIN PRIVATE KEY-----\n${PLANTED}\n-----END PRIVATE KEY-----`;
export const AWS_KEY = 'AKIAPLANTEDPLANTED12';

export const tab = { id: 't', type: 'tab', label: 'Tab' };
export const broker = { id: 'b', type: 'sluice-mqtt-broker', name: 'broker', url: 'mqtt://localhost' };
const mongo = { id: 'm', type: 'mongo-connection', name: 'mongo', uri: 'mongodb://localhost/iot' };
const bucket = { id: 's', type: 'object-store', name: 'store', url: 'file:///var/objects' };
const queue = { id: 'q', type: 'dead-letter-queue', name: 'queue', place: 'folder' };
export const at = { z: 't', x: 1, y: 1, wires: [] as unknown };
export const ingest = { id: 'i', type: 'mqtt-ingest', name: 'ingest', ...at, broker: 'b', topics: ['a/#'] };
const debug = { id: 'd', type: 'debug', name: 'debug', ...at };
const rule = (name: string, more = {}): object => ({ name, enabled: true, match: 'all', conditions: [], ...more });
const router = (...rules: object[]): FlowNode => ({
  id: 'r',
  type: 'fan-out-router',
  name: 'router',
  ...at,
  rules,
  outputs: rules.length + 2,
});

/** For each type, settings that cannot be, and all that is said of them. */
export const WRONG_SETTINGS: Record<string, { flow: FlowNode[]; said: string[] }> = {
  'dead-letter': {
    flow: [tab, { id: 'wrong', type: 'dead-letter', name: 'x', ...at, queue: '' }],
    said: ['/queue: expected a node of type dead-letter-queue, got none'],
  },
  'dead-letter-queue': {
    flow: [tab, { ...queue, id: 'wrong', name: 'x', place: 'mongodb', connection: '' }, deadLetter('wrong')],
    said: ['/connection: expected a node of type mongo-connection, got nothing'],
  },
  'device-simulator': {
    flow: [
      tab,
      { id: 'wrong', type: 'device-simulator', name: 'x', ...at, topic: 'a/{other}', minimum: 30, maximum: 20 },
    ],
    said: [
      '/topic: expected the fields {uuid} and {index} only, got another',
      '/maximum: expected a number >= the minimum 30, got 20',
    ],
  },
  'fan-out-router': {
    flow: [
      tab,
      {
        ...router(
          rule('one', { match: 'jsonata', expression: 'payload.value >' }),
          rule('one', { conditions: [{ property: 'payload', comparison: 'gt', value: 'true' }] }),
          rule('three', { conditions: [{ property: 'payload', comparison: 'matches', value: '(' }] }),
        ),
        id: 'wrong',
        name: 'x',
      },
    ],
    said: [
      '/rules/0/expression: expected a JSONata expression, got "payload.value >": Unexpected end of expression (character 15)',
      '/rules/1/name: expected a name that no other rule has, got "one"',
      '/rules/1/conditions/0/value: expected a number or a text to compare with, got boolean true',
      '/rules/2/conditions/0/value: expected a regular expression, got "(": Invalid regular expression: /(/gu: Unterminated group',
    ],
  },
  'message-schema': {
    flow: [
      tab,
      { id: 'wrong', type: 'message-schema', name: 'x', version: '1', schema: '{"type":"texts"}' },
      filter('wrong'),
    ],
    said: [
      '/schema/type: expected one of "array", "boolean", "integer", "null", "number", "object", "string", got "texts"',
    ],
  },
  'mongo-connection': {
    flow: [tab, { ...mongo, id: 'wrong', name: 'x', uri: 'mongodb://localhost' }, sink('wrong')],
    said: ['/database: expected a name, here or in the path of the URI, got neither'],
  },
  'mongo-sink': {
    flow: [
      tab,
      mongo,
      { ...sink('m'), id: 'wrong', name: 'x', collection: 'system.a', document: 'mapping', operation: 'upsert' },
    ],
    said: [
      '/key: expected the fields by which a document is found, got none',
      '/collection: expected the name of a collection that does not begin with system., got "system.a"',
    ],
  },
  'mqtt-ingest': {
    flow: [tab, broker, { ...ingest, id: 'wrong', name: 'x', topics: ['a/#/b'] }],
    said: ['/topics/0: expected # only as the whole last level [MQTT-4.7.1-1], got "a/#/b"'],
  },
  'mqtt-publish': {
    flow: [tab, broker, { id: 'wrong', type: 'mqtt-publish', name: 'x', ...at, broker: 'b', topic: 'a/#' }],
    said: ['/topic: expected a topic without wildcards [MQTT-3.3.2-2], got "a/#"'],
  },
  'object-store': {
    flow: [
      tab,
      { ...bucket, id: 'wrong', name: 'x', url: 'file:dir' },
      { id: 'y', type: 's3-sink', name: 'y', ...at, store: 'wrong' },
    ],
    said: ['/url: expected file:/// and an absolute path, got fewer than three slashes'],
  },
  's3-sink': {
    flow: [tab, bucket, { id: 'wrong', type: 's3-sink', name: 'x', ...at, store: 's', key: 'a/{topic}.ndjson' }],
    said: ['/key: expected {batch} in the key, without which objects replace each other, got "a/{topic}.ndjson"'],
  },
  'schema-filter': {
    flow: [tab, { id: 'wrong', type: 'schema-filter', name: 'x', ...at, schema: '' }],
    said: ['/schema: expected a node of type message-schema, got nothing'],
  },
  'sluice-mqtt-broker': {
    flow: [
      tab,
      { ...broker, id: 'wrong', name: 'x', url: 'mqtts://localhost', ca: '-----BEGIN CERTIFICATE-----' },
      { ...ingest, broker: 'wrong' },
    ],
    said: ['/ca: expected certificates in PEM (-----BEGIN CERTIFICATE-----), got a text without one'],
  },
};

function deadLetter(id: string): FlowNode {
  return { id: 'dl', type: 'dead-letter', name: 'dl', ...at, queue: id };
}
export function filter(id: string): FlowNode {
  return { id: 'f', type: 'schema-filter', name: 'filter', ...at, schema: id };
}
function sink(id: string): FlowNode {
  return { id: 'k', type: 'mongo-sink', name: 'sink', ...at, connection: id, collection: 'a' };
}

export const node = (entry: { id?: string; name?: string; label?: string; type: string }): string =>
  `node "${entry.name ?? entry.label ?? entry.id ?? ''}" (${entry.type})`;

/** By the name of a file: what is in it (a text as it is), and what is said of it, after the file's name. */
export const CASES: Record<string, { flow: unknown; said: string[] }> = {
  'no JSON': { flow: '[\n  {"id": "a" "type"}\n]', said: [': 2:14: expected JSON, got "\\""'] },
  'no end': { flow: `[{"id": "${PLANTED}`, said: [': 1:24: expected JSON, got the end of the text'] },
  'no array': { flow: '{"id": "a"}', said: [': expected an array of nodes, got an object'] },
  'no object': { flow: [tab, 5], said: [': /1: expected a node, which is an object, got a number'] },
  'no id and no type': {
    flow: [{ label: 'x' }, { id: 7, type: '' }],
    said: [
      ': /0/id: expected a text that is not empty, got nothing',
      ': /0/type: expected a text that is not empty, got nothing',
      ': /1/id: expected a text that is not empty, got number 7',
      ': /1/type: expected a text that is not empty, got ""',
    ],
  },
  deep: {
    flow: `[{"id":"a","type":"tab","env":${'['.repeat(100_000)}${']'.repeat(100_000)}}]`,
    said: [': /0: expected at most 100 levels, got more'],
  },
  'names of prototypes': {
    flow: '[{"id":"__proto__","type":"tab","label":"p"},{"id":"constructor","type":"comment","x":1,"y":1,"z":"__proto__","__proto__":{"a":1},"wires":[]}]',
    said: [],
  },
  'unknown type': {
    flow: [tab, { id: 'u', type: 'no-such-type', name: 'u', ...at }],
    said: [
      ': node "u" (no-such-type) /type: expected a type of Node-RED or of Sluice (--types and --user-dir name others), got "no-such-type"',
    ],
  },
  'no subflow': {
    flow: [tab, { id: 'u', type: 'subflow:gone', ...at }],
    said: [': node "u" (subflow:gone) /type: expected a subflow of this file, got "gone"'],
  },
  'every setting': {
    flow: [tab, broker, { ...ingest, qos: 3, topics: ['#/a', '/+a'], maxInFlight: 0 }],
    said: [
      `: ${node(ingest)} /topics/0: expected # only as the whole last level [MQTT-4.7.1-1], got "#/a"`,
      `: ${node(ingest)} /topics/1: expected + only as a whole level [MQTT-4.7.1-2], got "/+a"`,
      `: ${node(ingest)} /qos: expected one of 0, 1, 2, got number 3`,
      `: ${node(ingest)} /maxInFlight: expected a number >= 1, got number 0`,
    ],
  },
  'newer palette': {
    flow: [tab, broker, { ...ingest, configVersion: 9 }],
    said: [
      `: ${node(ingest)} /configVersion: expected a version of mqtt-ingest from 1 to 1, got 9: this flow was made with a newer palette; update @sluice/node-red`,
      `: warning: ${node(broker)} /id: expected a node that uses this one, got none`,
    ],
  },
  outputs: {
    flow: [tab, { ...router(rule('one')), outputs: 7 }],
    said: [
      ': node "router" (fan-out-router) /outputs: expected 3 (one for each rule, one for no match, one for errors), got 7',
    ],
  },
  references: {
    flow: [
      tab,
      mongo,
      { ...broker, d: true },
      ingest,
      { ...sink('gone'), id: 'k1' },
      { ...sink('m'), deadLetters: 'm' },
      { ...filter(''), unmatched: 'reject', schemas: [{ topic: 'a', schema: 'schema1' }], schema1: 'm' },
    ],
    said: [
      `: ${node(ingest)} /broker: expected a node of type sluice-mqtt-broker, got "b", which is switched off`,
      ': node "sink" (mongo-sink) /connection: expected a node of type mongo-connection, got none with the id "gone"',
      ': node "sink" (mongo-sink) /deadLetters: expected a node of type dead-letter-queue, got "m", which is a mongo-connection',
      ': node "filter" (schema-filter) /schemas/0/schema: expected a node of type message-schema, got "m", which is a mongo-connection',
    ],
  },
  wires: {
    flow: [
      tab,
      { id: 't2', type: 'tab', label: 'Other' },
      broker,
      { ...debug, id: 'd2', z: 't2' },
      debug,
      { ...ingest, wires: [['gone', 'd2', 'b', 'i', 5], ['d'], ['d']] },
      { ...debug, id: 'd3', wires: 'd' },
    ],
    said: [
      `: ${node(ingest)} /wires/0/0: expected a node of this file, got "gone"`,
      `: ${node(ingest)} /wires/0/1: expected a node of the same tab or subflow, got "d2" (debug), which is elsewhere`,
      `: ${node(ingest)} /wires/0/2: expected a node of the same tab or subflow, got "b" (sluice-mqtt-broker), which is elsewhere`,
      `: ${node(ingest)} /wires/0/3: expected a node with an input, got "i" (mqtt-ingest)`,
      `: ${node(ingest)} /wires/0/4: expected a node of this file, got number 5`,
      `: ${node(ingest)} /wires/2: expected wires of 2 outputs, got some of one more`,
      ': node "debug" (debug) /wires: expected a list of ids for each output, got "d"',
    ],
  },
  places: {
    flow: [
      tab,
      { ...debug, z: 'gone' },
      { ...debug, name: 'again', g: 't' },
      { id: 'c', type: 'debug', name: 'nowhere', z: 't', wires: [] },
    ],
    said: [
      `: ${node(debug)} /id: expected an id that no other node has, got "d"`,
      `: ${node(debug)} /z: expected a tab or subflow of this file, got "gone"`,
      ': node "again" (debug) /g: expected a group of this file, got "t"',
      ': node "nowhere" (debug) /x: expected x and y, without which Node-RED takes a node for a config node, got none',
    ],
  },
  'links, groups and subflows': {
    flow: [
      tab,
      { id: 'lo', type: 'link out', name: 'lo', ...at, links: ['li', 'gone', 'd'] },
      { id: 'li', type: 'link in', name: 'li', ...at, links: ['lo'] },
      debug,
      { id: 'g', type: 'group', name: 'g', z: 't', nodes: ['d', 'gone'] },
      {
        id: 'sf',
        type: 'subflow',
        name: 'sf',
        in: [{ wires: [{ id: 'd' }] }],
        out: [{ wires: [{ id: 'gone', port: 0 }] }],
      },
      { id: 'in', type: 'subflow:sf', name: 'in', ...at, wires: [['in'], ['d']] },
    ],
    said: [
      ': node "lo" (link out) /links/1: expected a link in node of this file, got "gone"',
      ': node "lo" (link out) /links/2: expected a link in node of this file, got "d" (debug)',
      ': node "g" (group) /nodes/1: expected a node of this file, got "gone"',
      ': node "sf" (subflow) /in/0/wires/0/id: expected a node of the same tab or subflow, got "d" (debug), which is elsewhere',
      ': node "sf" (subflow) /out/0/wires/0/id: expected a node of this file, got "gone"',
      ': node "in" (subflow:sf) /wires/1: expected wires of 1 output, got some of one more',
    ],
  },
  unused: { flow: [tab, queue], said: [`: warning: ${node(queue)} /id: expected a node that uses this one, got none`] },
  secrets: {
    flow: [
      { ...tab, env: [{ name: 'DB_PASSWORD', value: PLANTED, type: 'str' }] },
      { ...broker, url: `mqtts://me:${PLANTED}@localhost`, ca: KEY, credentials: { password: PLANTED } },
      { ...mongo, uri: `mongodb://me:a@${PLANTED}@localhost/iot`, password: PLANTED },
      { ...ingest, info: `s3://bucket?endpoint=x&secret=${PLANTED}` },
      sink('m'),
      { id: 'h', type: 'http request', name: 'http', ...at, user: PLANTED, url: `https://u:${PLANTED}@h/` },
      { id: 'fn', type: 'function', name: `fn ${AWS_KEY}`, ...at, func: `const key = \`${KEY}\`;` },
      { id: 'tls', type: 'tls-config', name: 'tls', keydata: PLANTED },
    ],
    said: [
      `: ${node(tab)} /env/0/value: expected a secret to be a credential or a variable of the environment, got it here`,
      `: ${node(broker)} /url: expected no password in a URL in a flow, got one`,
      `: ${node(broker)} /ca: expected no private key in a flow, got one`,
      `: ${node(broker)} /credentials: expected no credentials in a flow, where Node-RED ignores them, got some`,
      `: ${node(mongo)} /uri: expected no password in a URL in a flow, got one`,
      `: ${node(mongo)} /password: expected a credential to be kept outside of the flow, got it here`,
      `: ${node(ingest)} /info: expected no secret in a URL in a flow, got one`,
      ': node "http" (http request) /user: expected a credential to be kept outside of the flow, got it here',
      ': node "http" (http request) /url: expected no password in a URL in a flow, got one',
      ': node "fn ***" (function) /name: expected no AWS access key in a flow, got one',
      ': node "fn ***" (function) /func: expected no private key in a flow, got one',
      ': node "tls" (tls-config) /keydata: expected a credential to be kept outside of the flow, got it here',
    ],
  },
  'no secrets': {
    flow: [
      { ...tab, info: 'https://example.com:8080/@scope/name, mqtt://me:${MQTT_PASSWORD}@host' },
      { ...broker, url: 'mqtt://me:${MQTT_PASSWORD}@${MQTT_HOST}' },
      ingest,
      { ...debug, id: 'u', type: 'http request', password: '', credentials: {}, url: 'https://example.com:8080/a@b' },
    ],
    said: [],
  },
  'texts that a slow search would never end with': {
    flow: [
      {
        ...debug,
        z: '',
        a: 'A'.repeat(500_000),
        b: 'a://b:'.repeat(80_000),
        c: `-----BEGIN ${'A'.repeat(500_000)}`,
        d: '-----BEGIN A PRIVATE KEY-----'.repeat(20_000),
      },
    ],
    said: [': node "debug" (debug) /d: expected no private key in a flow, got one'],
  },
  'a tab that is switched off': {
    flow: [
      { ...tab, disabled: true },
      { ...ingest, topics: ['#/a'] },
    ],
    said: [],
  },
  'lines of a terminal': {
    flow: [{ ...debug, name: 'a\n\u001b[2J\u202e', wires: [[], []], z: 'gone' }],
    said: [': node "a\\n\\u001b[2J\\u202e" (debug) /z: expected a tab or subflow of this file, got "gone"'],
  },
};
for (const [type, { flow, said }] of Object.entries(WRONG_SETTINGS)) {
  CASES[`settings of ${type}`] = { flow, said: said.map((sentence) => `: node "x" (${type}) ${sentence}`) };
}
