/**
 * What nobody should send, 10,000 times: the process lives, each message is stored or is a dead letter with its reason, what
 * is stored reads back as what was sent, and the counters add up.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import fc from 'fast-check';
import { connectAsync } from 'mqtt';
import { documents, RunningSluice, temporaryFolder, until } from './sluice.js';

const MESSAGES = 10_000;
const SEED = 20_261_125;
/** Of the largest kind, which would otherwise fill the memory of the embedded broker. */
const LONG_TEXTS = 24;

const onTab = { z: 'tab', configVersion: 1 };
const FLOW = [
  { id: 'tab', type: 'tab', label: 'hostile' },
  { id: 'broker', type: 'sluice-mqtt-broker', url: '${MQTT_URL}', configVersion: 1 },
  { id: 'documents', type: 'mongo-connection', uri: '${MONGODB_URI}', configVersion: 1 },
  { id: 'queue', type: 'dead-letter-queue', place: 'mongodb', connection: 'documents', configVersion: 1 },
  {
    id: 'ingest',
    type: 'mqtt-ingest',
    broker: 'broker',
    topics: ['hostile/#'],
    deadLetters: 'queue',
    x: 100,
    y: 100,
    wires: [['sink'], []],
    ...onTab,
  },
  {
    id: 'sink',
    type: 'mongo-sink',
    connection: 'documents',
    collection: 'stored',
    document: 'mapping',
    mapping: [
      { field: 'topic', source: 'path', value: 'topic', type: 'any' },
      { field: 'payload', source: 'path', value: 'payload', type: 'any' },
    ],
    deadLetters: 'queue',
    x: 300,
    y: 100,
    wires: [[], []],
    ...onTab,
  },
];

const names = fc.constantFrom(
  'a',
  '',
  '$set',
  'a.b',
  '__proto__',
  'constructor',
  'toString',
  '_id',
  'a\0b',
  '0',
  '$$',
  'é',
);
const json = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.string({ unit: 'binary', maxLength: 8 }).map((text) => JSON.stringify(text)),
    fc.double().map((number) => JSON.stringify(number)),
    fc.constantFrom(
      'null',
      'true',
      '-0',
      '0e0',
      '9007199254740991',
      '9007199254740993',
      '1e999',
      '-1e-999',
      '"\\ud800"',
    ),
    fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }).map(String),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`),
    // Names that stand twice among them.
    fc
      .array(fc.tuple(names, tie('value')), { maxLength: 4 })
      .map((pairs) => `{${pairs.map(([name, item]) => `${JSON.stringify(name)}:${item}`).join(',')}}`),
  ),
})).value;
const bytes = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array));
const payload = fc.oneof(
  { weight: 3, arbitrary: bytes },
  { weight: 8, arbitrary: json.map((text) => Buffer.from(text)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 20_000 }), fc.constantFrom(['[', ']'], ['{"a":', '}']))
      .map(([levels, [open = '', close = '']]) => Buffer.from(`${open.repeat(levels)}1${close.repeat(levels)}`)),
  },
  // Invalid UTF-8 within JSON, and JSON that is cut off.
  { weight: 1, arbitrary: bytes.map((array) => Buffer.concat([Buffer.from('{"a":"'), array, Buffer.from('"}')])) },
  { weight: 1, arbitrary: json.map((text) => Buffer.from(text.slice(0, -1))) },
  { weight: 1, arbitrary: fc.constantFrom('', ' ', '\ufeff1', '\0', '{}', '[]').map((text) => Buffer.from(text)) },
);

function payloads(): Buffer[] {
  const some = fc.sample(payload, { seed: SEED, numRuns: MESSAGES - LONG_TEXTS });
  const long = Array.from({ length: LONG_TEXTS }, (_item, n) =>
    // The last do not fit into a document of 16 MB.
    Buffer.from(JSON.stringify({ text: '\u00fc"'.repeat(n < LONG_TEXTS - 2 ? 350_000 : 6_000_000) })),
  );
  return [...some, ...long];
}

interface Letter {
  readonly reason: { readonly code: string };
  readonly message: { readonly topic: string; readonly payload: { readonly encoding: string; readonly data: string } };
}

describe('hostile messages', function () {
  this.timeout(240_000);
  const folder = temporaryFolder();
  let sluice: RunningSluice;

  before(async () => {
    const flow = join(folder.path, 'hostile.json');
    writeFileSync(flow, JSON.stringify(FLOW));
    sluice = await RunningSluice.start(folder.path, [flow]);
  });
  after(async () => {
    await sluice.stop();
    folder.remove();
  });

  it(`are stored as they were sent, or are dead letters, each one of ${MESSAGES}`, async () => {
    const sent = payloads();
    const client = await connectAsync(sluice.ready.mqtt, { reconnectPeriod: 0 });
    const started = process.hrtime.bigint();
    for (let from = 0; from < sent.length; from += 200) {
      await Promise.all(
        sent
          .slice(from, from + 200)
          .map((buffer, index) => client.publishAsync(`hostile/${from + index}`, buffer, { qos: 1 })),
      );
    }
    await client.endAsync();
    const counters = async () => new Map((await sluice.nodes()).map((node) => [node.id, node]));
    const nodes = await until(
      counters,
      (now) => {
        const settled = (id: string, name: string): number => now.get(id)?.counters[name] ?? 0;
        return (
          settled('ingest', 'received') === MESSAGES &&
          settled('sink', 'stored') + settled('queue', 'kept') + settled('queue', 'refused') >= MESSAGES
        );
      },
      120_000,
    );
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;

    const stored = await documents(sluice.ready.mongodb, 'stored');
    const letters = (await documents(sluice.ready.mongodb, 'dead_letters')) as unknown as Letter[];
    // What MongoDB does not take either, for its size, is in the folder.
    const spare = join(folder.path, 'dead-letters');
    for (const name of readdirSync(spare)) {
      const lines = readFileSync(join(spare, name), 'utf8').trimEnd().split('\n');
      assert.equal(lines.length, 2);
      letters.push(...lines.map((line) => JSON.parse(line) as Letter));
    }
    const place = (topic: unknown): number => Number(String(topic).split('/')[1]);
    const seen = [...stored.map(({ topic }) => place(topic)), ...letters.map(({ message }) => place(message.topic))];
    assert.deepEqual(
      seen.sort((a, b) => a - b),
      sent.map((_buffer, index) => index),
      'each one once',
    );
    for (const { topic, payload: value } of stored) {
      assert.deepEqual(value, JSON.parse(String(sent[place(topic)])), `hostile/${place(topic)}`);
    }
    const reasons = new Map<string, number>();
    for (const { reason, message } of letters) {
      reasons.set(reason.code, (reasons.get(reason.code) ?? 0) + 1);
      const { encoding, data } = message.payload;
      const original = sent[place(message.topic)] ?? Buffer.alloc(0);
      // Half of a surrogate pair is no JSON that could be kept as text.
      if (encoding === 'v8') assert.deepEqual(deserialize(Buffer.from(data, 'base64')), JSON.parse(String(original)));
      else if (encoding === 'base64') assert.equal(data, original.toString('base64'));
      else
        assert.deepEqual(JSON.parse(encoding === 'text' ? JSON.stringify(data) : data), JSON.parse(String(original)));
    }
    const count = (id: string, name: string): number => nodes.get(id)?.counters[name] ?? 0;
    assert.equal(count('ingest', 'received'), count('sink', 'received') + count('ingest', 'rejected'));
    assert.equal(count('sink', 'received'), count('sink', 'stored') + count('sink', 'rejected'));
    assert.equal(count('queue', 'kept'), letters.length);
    process.stdout.write(
      `      ${stored.length} stored, ${letters.length} dead letters in ${seconds.toFixed(1)} s: ` +
        `${[...reasons].map(([code, times]) => `${code} ${times}`).join(', ')}\n`,
    );
    for (const code of ['invalid-json', 'invalid-utf8', 'unsafe-integer', 'number-range', 'proto-name', 'too-deep']) {
      assert.ok((reasons.get(code) ?? 0) > 0, code);
    }
    assert.equal(sluice.child.exitCode, null);
  });
});
