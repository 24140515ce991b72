import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { NodeModule } from '../nodes/adapter/define-node.js';
import { readNodeFolders } from '../nodes/editor/node-folder.js';
import { checkFile, type CheckOptions } from '../runtime/check/check-file.js';
import { sentenceOf } from '../runtime/check/finding.js';
import { knownTypes } from '../runtime/check/known-types.js';
import { useNodeRed, type FlowNode } from './node-red.js';
import { runSluice, temporaryFolder } from './sluice.js';

const ROOT = join(import.meta.dirname, '..');
const PLANTED = 'Pl4nted-S3cret';
const KEY = `-----BEGIN PRIVATE KEY-----\n${PLANTED}\n-----END PRIVATE KEY-----`;
const AWS_KEY = 'AKIAPLANTEDPLANTED12';

const tab = { id: 't', type: 'tab', label: 'Tab' };
const broker = { id: 'b', type: 'sluice-mqtt-broker', name: 'broker', url: 'mqtt://localhost' };
const mongo = { id: 'm', type: 'mongo-connection', name: 'mongo', uri: 'mongodb://localhost/iot' };
const bucket = { id: 's', type: 'object-store', name: 'store', url: 'file:///var/objects' };
const queue = { id: 'q', type: 'dead-letter-queue', name: 'queue', place: 'folder' };
const at = { z: 't', x: 1, y: 1, wires: [] as unknown };
const ingest = { id: 'i', type: 'mqtt-ingest', name: 'ingest', ...at, broker: 'b', topics: ['a/#'] };
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
const WRONG_SETTINGS: Record<string, { flow: FlowNode[]; said: string[] }> = {
  'dead-letter': {
    flow: [tab, { id: 'wrong', type: 'dead-letter', name: 'x', ...at, queue: '' }],
    said: ['/queue: expected at least 1 characters, got ""'],
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
      '/key: expected the fields that an upsert finds its document by, got none',
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
function filter(id: string): FlowNode {
  return { id: 'f', type: 'schema-filter', name: 'filter', ...at, schema: id };
}
function sink(id: string): FlowNode {
  return { id: 'k', type: 'mongo-sink', name: 'sink', ...at, connection: id, collection: 'a' };
}

const node = (entry: { id?: string; name?: string; label?: string; type: string }): string =>
  `node "${entry.name ?? entry.label ?? entry.id ?? ''}" (${entry.type})`;

/** By the name of a file: what is in it (a text as it is), and what is said of it, after the file's name. */
const CASES: Record<string, { flow: unknown; said: string[] }> = {
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

describe('sluice check', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  after(() => folder.remove());
  const write = (name: string, flow: unknown, inFolder = folder.path): string => {
    const file = join(inFolder, `${name}.json`);
    writeFileSync(file, typeof flow === 'string' ? flow : JSON.stringify(flow));
    return file;
  };

  describe('a finding', () => {
    let stdout = '';
    const cases = join(folder.path, 'cases');

    before(async () => {
      mkdirSync(cases);
      for (const [name, { flow }] of Object.entries(CASES)) write(name, flow, cases);
      const result = await runSluice(['check', cases]);
      ({ stdout } = result);
      assert.equal(result.code, 1, result.stderr);
      assert.equal(result.stderr, '');
    });

    for (const [name, { said }] of Object.entries(CASES)) {
      it(`${name}: ${said.length === 0 ? 'nothing' : said.length}`, () => {
        const file = join(cases, `${name}.json`);
        const lines = stdout.split('\n').filter((line) => line.startsWith(`${file}:`));
        assert.deepEqual(
          lines,
          said.map((sentence) => file + sentence),
        );
      });
    }

    it('holds no secret', () => {
      assert.doesNotMatch(stdout, new RegExp(`${PLANTED}|${AWS_KEY}`));
    });

    it('is counted at the end', () => {
      const said = Object.values(CASES).flatMap((one) => one.said);
      const warnings = said.filter((sentence) => sentence.startsWith(': warning: ')).length;
      assert.match(
        stdout,
        new RegExp(
          `^${Object.keys(CASES).length} flows, \\d+ nodes: ${said.length - warnings} findings, ${warnings} warnings$`,
          'm',
        ),
      );
    });
  });

  it('has wrong settings for every node type', async () => {
    const types = (await readNodeFolders(join(ROOT, 'nodes'))).map(({ type }) => type);
    assert.deepEqual(Object.keys(WRONG_SETTINGS).sort(), types.sort());
  });

  describe('at deploy', () => {
    const red = useNodeRed();

    for (const [type, { flow, said }] of Object.entries(WRONG_SETTINGS)) {
      it(`the same is said of ${type}`, async () => {
        const types = Object.keys(WRONG_SETTINGS);
        const entries = await Promise.all(
          types.map(async (one) => (await import(`../nodes/${one}/${one}.ts`)) as { default: NodeModule }),
        );
        await red.load(
          entries.map(({ default: entry }) => entry),
          flow,
        );
        const logged = red.logged();
        assert.ok(
          said.some((sentence) => logged.some((line) => line.startsWith(`${type} "x" ${sentence}`))),
          logged.join('\n'),
        );
      });
    }
  });

  it('says nothing of the flows and examples, and what they need', async () => {
    const { code, stdout } = await runSluice(['check', join(ROOT, 'flows'), join(ROOT, 'examples')]);
    const files = ['flows', 'examples'].flatMap((name) => readdirSync(join(ROOT, name)));
    assert.match(
      stdout,
      new RegExp(
        `^needs MONGODB_URI \\(not set\\), MQTT_URL \\(not set\\), S3_URL \\(not set\\)\n${files.length} flows, \\d+ nodes: no findings\n$`,
      ),
    );
    assert.equal(code, 0);
  });

  describe('variables', () => {
    const flow = [
      {
        ...tab,
        env: [
          { name: 'GROUP', value: 'a b/c', type: 'str' },
          { name: 'QOS', value: '1', type: 'num' },
        ],
      },
      { ...broker, url: '${MQTT_URL}', ca: '/etc/ca.pem' },
      { ...ingest, topics: ['${TOPIC}'], group: '${GROUP}', qos: '${QOS}', maxInFlight: '${WINDOW}' },
      { id: 'o', type: 'inject', name: 'inject', ...at, topic: '${TOPIC}', payload: 'not ${THIS}' },
    ];

    it('that are not set: what they stand for is not judged', async () => {
      const { code, stdout } = await runSluice([
        'check',
        write('variables', flow.with(2, { ...flow[2], group: 'g' } as never)),
      ]);
      assert.equal(
        stdout,
        'needs MQTT_URL (not set), TOPIC (not set), WINDOW (not set)\n1 flow, 3 nodes: no findings\n',
      );
      assert.equal(code, 0);
    });

    it('that are set, in the environment or by the tab: what they hold is judged, and not repeated', async () => {
      const file = write('variables', flow);
      const { code, stdout } = await runSluice(['check', file], {
        MQTT_URL: 'mqtt://localhost',
        TOPIC: `${PLANTED}/#/b`,
        WINDOW: '0',
      });
      assert.equal(
        stdout,
        [
          `${file}: ${node(broker)} /ca: expected a URL with mqtts:// or wss:// to use it for, got one without TLS`,
          `${file}: ${node(ingest)} /topics/0: expected # only as the whole last level [MQTT-4.7.1-1], got another value of \${TOPIC}`,
          `${file}: ${node(ingest)} /group: expected a group without /, + or # [MQTT-4.8.2-2], got another value of \${GROUP}`,
          `${file}: ${node(ingest)} /maxInFlight: expected a number >= 1, got another value of \${WINDOW}`,
          'needs MQTT_URL, TOPIC, WINDOW',
          '1 flow, 3 nodes: 4 findings',
          '',
        ].join('\n'),
      );
      assert.equal(code, 1);
    });

    it('--env: one that is not set is a finding', async () => {
      const file = write('variables', [tab, { ...broker, url: '${MQTT_URL}' }, ingest]);
      const { code, stdout } = await runSluice(['check', '--env', file]);
      assert.equal(
        stdout.split('\n', 1)[0],
        `${file}: ${node(broker)} /url: expected the environment variable MQTT_URL to be set, got nothing`,
      );
      assert.equal(code, 1);
      assert.equal((await runSluice(['check', '--env', file], { MQTT_URL: 'mqtt://localhost' })).code, 0);
    });
  });

  it('--json has all of it on one line', async () => {
    const file = write('json', [tab, { ...broker, url: '${MQTT_URL}' }, { ...ingest, qos: 3 }]);
    const { code, stdout } = await runSluice(['check', '--json', file]);
    assert.deepEqual(JSON.parse(stdout), {
      flows: 1,
      nodes: 2,
      findings: [
        {
          file,
          node: { id: 'i', type: 'mqtt-ingest', name: 'ingest' },
          path: '/qos',
          message: 'expected one of 0, 1, 2, got number 3',
          level: 'error',
        },
      ],
      variables: [
        {
          name: 'MQTT_URL',
          isSet: false,
          file,
          node: { id: 'b', type: 'sluice-mqtt-broker', name: 'broker' },
          path: '/url',
        },
      ],
    });
    assert.equal(stdout.trim().split('\n').length, 1);
    assert.equal(code, 1);
  });

  it('reads standard input', async () => {
    const { code, stdout } = await runSluice(['check', '-'], {}, JSON.stringify([tab, broker, ingest]));
    assert.equal(stdout, '1 flow, 2 nodes: no findings\n');
    assert.equal(code, 0);
  });

  it('says what cannot be read', async () => {
    const empty = join(folder.path, 'empty');
    mkdirSync(empty);
    const missing = join(folder.path, 'missing.json');
    const { code, stdout } = await runSluice(['check', missing, empty]);
    assert.equal(
      stdout,
      `${missing}: expected a file or a folder that can be read, got no file of this name\n` +
        `${empty}: expected *.json in the folder, got none\n2 flows, 0 nodes: 2 findings\n`,
    );
    assert.equal(code, 1);
  });

  it('--types and --user-dir name the types of other nodes', async () => {
    const file = write('others', [
      tab,
      { id: 'c1', type: 'contrib in', name: 'c1', ...at, wires: [['c2'], []] },
      { id: 'c2', type: 'contrib out', name: 'c2', ...at, token: PLANTED, wires: [['c1']] },
    ]);
    assert.equal((await runSluice(['check', '--types', 'contrib in, contrib out', file])).code, 0);
    const module = join(folder.path, 'user/node_modules/@contrib/nodes');
    mkdirSync(module, { recursive: true });
    writeFileSync(join(module, 'package.json'), JSON.stringify({ 'node-red': { nodes: { contrib: 'contrib.js' } } }));
    writeFileSync(
      join(module, 'contrib.html'),
      `<script>RED.nodes.registerType('contrib in', { category: 'input', inputs: 0, outputs: 1 });
       RED.nodes.registerType("contrib out", { category: 'output', credentials: { token: { type: 'password' } }, inputs: 1, outputs: 0 })</script>`,
    );
    const { stdout } = await runSluice(['check', '--user-dir', join(folder.path, 'user'), file]);
    assert.equal(
      stdout,
      [
        `${file}: node "c2" (contrib out) /token: expected a credential to be kept outside of the flow, got it here`,
        `${file}: node "c2" (contrib out) /wires/0: expected wires of 0 outputs, got some of one more`,
        `${file}: node "c2" (contrib out) /wires/0/0: expected a node with an input, got "c1" (contrib in)`,
        '1 flow, 2 nodes: 3 findings',
        '',
      ].join('\n'),
    );
    const wrong = await runSluice(['check', '--user-dir', join(folder.path, 'nowhere'), file]);
    assert.equal(wrong.stderr, 'sluice: --user-dir: expected a folder with node_modules, got no file of this name\n');
    assert.equal(wrong.code, 1);
  });

  it("reads schema files from the flow's folder, or that of --project", async () => {
    const project = join(folder.path, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'schema.json'), '{"type":"object"}');
    const file = write('schema-file', [
      tab,
      { id: 'ms', type: 'message-schema', name: 'ms', version: '1', source: 'file', file: 'schema.json' },
      filter('ms'),
    ]);
    const { code, stdout } = await runSluice(['check', file]);
    assert.match(
      stdout,
      /: node "ms" \(message-schema\) \/file: expected a file in \S+ that can be read, got "schema.json": ENOENT/,
    );
    assert.equal(code, 1);
    assert.equal((await runSluice(['check', '--project', project, file])).code, 0);
  });

  it('has the exit codes and the help of the other commands', async () => {
    const wrong = await runSluice(['check', '--no-such-option', 'x']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /unknown option '--no-such-option'/);
    assert.equal((await runSluice(['check'])).code, 2);
    const help = await runSluice(['check', '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Usage: sluice check \[options\] <flow\.\.\.>/);
  });

  it('ends whatever a flow is changed to, and tells no secret of it', async () => {
    const options: CheckOptions = {
      types: await knownTypes([], undefined),
      environment: {},
      needsEnvironment: true,
      project: undefined,
    };
    const flows = ['flows', 'examples'].flatMap((name) =>
      readdirSync(join(ROOT, name)).map((file) => readFileSync(join(ROOT, name, file), 'utf8')),
    );
    const secret = fc.constantFrom(
      `mongodb://me:${PLANTED}@host/db`,
      `amqp://:x@${PLANTED}@host`,
      `text ${KEY}`,
      KEY.replaceAll('\n', ' '),
      AWS_KEY,
      `https://h/?a=b&token=${PLANTED}`,
    );
    const value = fc.oneof(
      secret,
      fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown),
      fc.constantFrom(
        '',
        '${A}',
        'x${A}',
        '__proto__',
        'constructor',
        null,
        -1,
        [],
        {},
        { toString: 1 },
        '{',
        '[',
        '(',
      ),
    );
    const mutation = fc.record({ place: fc.nat(), key: fc.constantFrom('__proto__', 'type', 'wires', 'env'), value });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...flows),
        fc.array(mutation, { minLength: 1, maxLength: 5 }),
        async (flow, mutations) => {
          const changed = mutations.reduce<unknown>(mutated, JSON.parse(flow));
          const { findings, variables } = await checkFile(write('changed', changed), options);
          const said = findings.map(sentenceOf).join('\n');
          assert.doesNotMatch(said + JSON.stringify({ findings, variables }), new RegExp(`${PLANTED}|${AWS_KEY}`));
          for (const sentence of said.split('\n')) assert.match(sentence, /^$|: expected .*, got /);
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** Puts a value, or a property, in some place of a flow. */
function mutated(flow: unknown, { place, key, value }: { place: number; key: string; value: unknown }): unknown {
  const places: (() => void)[] = [];
  const walk = (holder: object): void => {
    const define = (name: string): void =>
      void Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
    for (const [name, inner] of Object.entries(holder)) {
      places.push(() => define(name));
      if (typeof inner === 'object' && inner !== null) walk(inner as object);
    }
    if (!Array.isArray(holder)) places.push(() => define(key));
  };
  if (typeof flow === 'object' && flow !== null) walk(flow);
  places[place % places.length]?.();
  return flow;
}
