import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { Instance } from '../../nodes/adapter/instance.js';
import type { Red } from '../../nodes/adapter/red.js';
import { Counters } from '../../nodes/lib/counters.js';
import { ConfigError, RejectedError, UnavailableError } from '../../nodes/lib/errors.js';
import type { Message, Rejection } from '../../nodes/lib/message.js';
import { compileSettings } from '../../nodes/lib/settings.js';
import objectStore from '../../nodes/object-store/object-store.js';
import type { ObjectStore, PutOptions } from '../../nodes/object-store/store.js';
import type { Clock } from '../../nodes/s3-sink/clock.js';
import { config as schema, type Config } from '../../nodes/s3-sink/config.js';
import s3Sink from '../../nodes/s3-sink/s3-sink.js';
import { S3Sink } from '../../nodes/s3-sink/sink.js';
import { useNodeRed, type FlowNode, type TestNode } from '../node-red.js';
import {
  startBucket,
  startFolder,
  startFragileBucket,
  type FragileTestStore,
  type TestPlace,
  type TestStore,
} from '../object-stores.js';
import { describeWithServer } from '../servers/server.js';

const RECEIVED = Date.UTC(2026, 2, 1, 7, 59, 59);
const SECRET = 'a-secret-that-nobody-may-see';

describe('s3-sink in a flow', () => {
  const nodeRed = useNodeRed();
  let instance: Instance;

  const flow = (url: string, settings: Partial<Config>): FlowNode[] => [
    { id: 'tab', type: 'tab' },
    { id: 'store', type: 'object-store', configVersion: 1, url },
    {
      id: 'sink',
      type: 's3-sink',
      z: 'tab',
      x: 1,
      y: 1,
      configVersion: 1,
      store: 'store',
      wires: [['stored'], ['rejected']],
      ...settings,
    },
    { id: 'stored', type: 'helper', z: 'tab', x: 1, y: 1 },
    { id: 'rejected', type: 'helper', z: 'tab', x: 1, y: 1 },
  ];

  async function load(place: Pick<TestPlace, 'url' | 'credentials'>, settings: Partial<Config> = {}): Promise<void> {
    const observe = (red: Red): void => void (instance = Instance.of(red));
    await nodeRed.load([objectStore, s3Sink, observe], flow(place.url, settings), { store: place.credentials });
  }

  /** The statuses that a node has had since the load. */
  function statuses(id: string): { fill?: string; text: string }[] {
    const target = nodeRed.node(id);
    const spy = Reflect.get(target, 'status') as unknown as {
      args: [{ fill?: string; text: string }][];
      thisValues: TestNode[];
    };
    return spy.args.filter((_args, index) => spy.thisValues[index] === target).map(([status]) => status);
  }

  /** The first status since the load that matches, or the next. */
  async function statusLike(id: string, pattern: RegExp): Promise<{ fill?: string; text?: string }> {
    return statuses(id).find(({ text }) => pattern.test(text)) ?? nodeRed.status(id, pattern);
  }

  /** The sentence of which the status shows the beginning. */
  const sentence = (): string => instance.nodes.get('sink')?.status.text ?? '';

  const counters = (): Record<string, number> => instance.nodes.get('sink')?.counters.snapshot() ?? {};

  /** Node-RED delivers messages after they were sent, one by one. */
  async function received(messages: number): Promise<void> {
    while ((counters()['received'] ?? 0) < messages) await turn();
  }

  describeWithServer('to a folder', startFolder, suite);
  describeWithServer('to a bucket', startBucket, suite);

  function suite(server: () => TestStore): void {
    it('stores what another program reads: a line a message, in partitions by event time', async () => {
      const place = server().place();
      await load(place, { maxRecords: 3, eventTime: 'payload.ts' });
      const done = nodeRed.messages('stored', 3);
      const payloads = [
        { ts: '2026-03-01T10:15:00+02:00', t: 21.5, text: 'größer\nals' },
        { ts: Date.UTC(2026, 2, 1, 8, 59), t: -1 },
        { ts: '2026-03-01T08:00', nested: { raw: Buffer.from('raw') } },
      ];
      for (const [index, payload] of payloads.entries()) {
        nodeRed.send('sink', { topic: 'device/7', identity: `id-${index}`, receivedAt: RECEIVED, payload });
      }
      const keys = new Set((await done).map((message) => message['object']));
      const objects = await place.objects();
      assert.deepEqual([...objects.keys()], [...keys]);
      const [[key, body] = ['', Buffer.alloc(0)]] = objects;
      const folder = 'device/year=2026/month=03/day=01/hour=08/';
      const uuidv7 = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}';
      assert.match(key, new RegExp(`^${folder}${instance.name}-${uuidv7}\\.ndjson\\.gz$`));
      assert.deepEqual(linesOf(body), [
        { identity: 'id-0', topic: 'device/7', receivedAt: RECEIVED, payload: payloads[0] },
        { identity: 'id-1', topic: 'device/7', receivedAt: RECEIVED, payload: payloads[1] },
        {
          identity: 'id-2',
          topic: 'device/7',
          receivedAt: RECEIVED,
          payload: { ts: '2026-03-01T08:00', nested: { raw: Buffer.from('raw').toString('base64') } },
        },
      ]);
      assert.deepEqual(counters(), { received: 3, stored: 3, objects: 1, bytes: body.length });
    });

    it('stores an object when the next record would make it too large', async () => {
      const place = server().place();
      const key = '{topic}/{batch}.ndjson';
      await load(place, { maxBytes: 1_024, key, compression: 'none', line: 'payload', maxAgeSeconds: 0.3 });
      const done = nodeRed.messages('stored', 5);
      const payloads = ['a'.repeat(500), 'b'.repeat(500), 'c'.repeat(500), 'd'.repeat(5_000), 'e'];
      for (const payload of payloads) nodeRed.send('sink', { topic: 'a/b', payload });
      await done;
      const objects = await place.objects();
      const contents = [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, body]) => linesOf(body));
      assert.deepEqual(
        contents.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
        [payloads.slice(0, 2), payloads.slice(2, 3), payloads.slice(3, 4), payloads.slice(4)],
      );
      for (const path of objects.keys()) assert.match(path, /^a%2Fb\/[0-9a-f-]{36}\.ndjson$/);
    });

    it('stores an object that has reached its age', async () => {
      const place = server().place();
      await load(place, { maxAgeSeconds: 0.05 });
      const done = nodeRed.messages('stored', 2);
      for (const payload of [1, 2]) nodeRed.send('sink', { topic: 'device/7', payload });
      await done;
      assert.equal((await place.objects()).size, 1);
      assert.equal((await statusLike('sink', /^1 object, 2 records$/)).fill, 'green');
    });

    it('stores what is open when it closes', async () => {
      const place = server().place();
      await load(place, { maxAgeSeconds: 3_600 });
      for (const topic of ['a', 'a', 'b']) nodeRed.send('sink', { topic, payload: topic });
      await received(3);
      await nodeRed.unload();
      const objects = await place.objects();
      assert.deepEqual([...objects.keys()].map((path) => path.split('/')[0]).sort(), ['a', 'b']);
      assert.deepEqual([...objects.values()].map((body) => linesOf(body).length).sort(), [1, 2]);
    });

    it('lets no value of a message leave the folder of the key', async () => {
      const place = server().place();
      await load(place, { maxRecords: 1, key: '{topic}/{payload.id}/{batch}.ndjson.gz' });
      const hostile: [topic: string, id: unknown, outcome: string][] = [
        ['../../etc', 'x', '..%2F..%2Fetc/x'],
        ['/abs', '%2e%2e', '%2Fabs/%252e%252e'],
        ['a\0\n\\b', "'*~!()", 'a%00%0A%5Cb/%27%2A%7E%21%28%29'],
        ['温度', '\ud800', '%E6%B8%A9%E5%BA%A6/%EF%BF%BD'],
        ['..', 'x', 'key'],
        ['.', 'x', 'key'],
        ['a', '..', 'key'],
        ['ä'.repeat(400), 'x', 'key'],
        ['', 'x', 'key-field'],
        ['a', undefined, 'key-field'],
        ['a', null, 'key-field'],
        ['a', {}, 'key-field'],
      ];
      for (const [topic, id, outcome] of hostile) {
        const next = Promise.race([nodeRed.messages('stored'), nodeRed.messages('rejected')]);
        nodeRed.send('sink', { topic, payload: { id } });
        const [message] = await next;
        const key = (message?.['object'] ?? '') as string;
        assert.equal(message?.rejection?.code ?? key.slice(0, key.lastIndexOf('/')), outcome, JSON.stringify(topic));
      }
      const folders = [...(await place.objects()).keys()].map((key) => key.slice(0, key.lastIndexOf('/')));
      assert.deepEqual(
        folders.sort(),
        hostile.flatMap(([, , outcome]) => (outcome.includes('/') ? [outcome] : [])).sort(),
      );
    });

    it('rejects what JSON cannot carry, and only that', async () => {
      const place = server().place();
      await load(place, { maxRecords: 2 });
      const stored = nodeRed.messages('stored', 2);
      const rejected = nodeRed.messages('rejected', 3);
      const cycle: Record<string, unknown> = {};
      cycle['self'] = cycle;
      for (const payload of ['first', { big: 1n }, cycle, undefined, Buffer.from([0, 255])]) {
        nodeRed.send('sink', { topic: 'a', payload });
      }
      const rejections = (await rejected).map((message) => message.rejection as Rejection);
      assert.deepEqual(new Set(rejections.map(({ code }) => code)), new Set(['payload']));
      assert.match(rejections[2]?.message ?? '', /^expected a payload that JSON can carry, got nothing$/);
      await stored;
      const [body = Buffer.alloc(0)] = (await place.objects()).values();
      const [first, second] = linesOf(body) as Record<string, unknown>[];
      assert.equal(first?.['payload'], 'first');
      assert.deepEqual([second?.['payload'], second?.['payloadEncoding']], ['AP8=', 'base64']);
    });
  }

  describeWithServer('to a folder that goes away', startFolder, outage);
  describeWithServer('to a bucket that goes away', startFragileBucket, outage);

  function outage(server: () => FragileTestStore): void {
    it('stores everything once it is back, each object once', async () => {
      const place = server().place();
      await load(place, { maxRecords: 2 });
      let stored = nodeRed.messages('stored', 2);
      for (const payload of [1, 2]) nodeRed.send('sink', { topic: 'a', payload });
      const before = await stored;

      await server().interrupt();
      stored = nodeRed.messages('stored', 4);
      for (const payload of [3, 4, 5, 6]) nodeRed.send('sink', { topic: 'a', payload });
      assert.equal((await statusLike('sink', /^expected /)).fill, 'red');
      assert.match(sentence(), /^expected .*, got .*; trying again in \d s$/);

      await server().resume();
      const after = await stored;
      await statusLike('sink', /^3 objects, 6 records$/);
      const objects = await place.objects();
      assert.deepEqual(
        [...objects.keys()].sort(),
        [...new Set([...before, ...after].map((message) => String(message['object'])))].sort(),
      );
      const payloads = [...objects.values()].flatMap(linesOf).map((line) => (line as Message).payload);
      assert.deepEqual(payloads.sort(), [1, 2, 3, 4, 5, 6]);
      assert.ok((counters()['retried'] ?? 0) >= 1);
      assert.deepEqual(
        nodeRed.logged().filter((text) => /store objects|stored again/.test(text)).length,
        2,
        'one line for the outage and one for its end',
      );
    }).timeout(60_000);
  }

  describeWithServer('to a bucket that refuses', startBucket, (server) => {
    it('says so of a wrong secret before the first message, and tells nobody the secret', async () => {
      const { url, credentials } = server().place();
      await load({ url, credentials: { ...credentials, secretAccessKey: SECRET } });
      assert.equal((await statusLike('sink', /^expected a valid access key and secret for bucket/)).fill, 'red');
      assert.match(sentence(), /for bucket "sluice" at http:\S+, got SignatureDoesNotMatch; trying again in \d s$/);
      const said = [...nodeRed.logged(), ...statuses('sink').map(({ text }) => text)].join('\n');
      assert.match(said, /cannot store objects; trying again/);
      assert.ok(!said.includes(SECRET), said);
    });

    it('says so of a bucket that does not exist, and loses nothing until it does', async () => {
      const place = server().missingBucket();
      await load(place, { maxRecords: 1 });
      assert.equal((await statusLike('sink', /^expected bucket "[0-9a-f-]+" at/)).fill, 'red');
      assert.match(sentence(), /at http:\S+, got NoSuchBucket; trying again in \d s$/);
      nodeRed.send('sink', { topic: 'a', payload: 1 });
      await received(1);
      assert.deepEqual([instance.nodes.get('sink')?.open(), counters()['failed']], [1, undefined]);
      await place.create();
      await nodeRed.unload(); // does not wait for the next attempt
      assert.equal((await place.objects()).size, 1);
    });
  });

  describe('with wrong settings', () => {
    const wrong: [settings: Partial<Config>, expected: RegExp][] = [
      [{ store: 'nothing' }, /\/store: expected a node of type object-store, got none with this id/],
      [{ store: '' }, /\/store: expected at least 1 characters/],
      [{ key: '{topic' }, /\/key: expected a }/],
      [{ key: '{topic[0]}.ndjson.gz' }, /\/key: expected \{batch\} in the key/],
      [{ key: '{batch.id}.ndjson.gz' }, /\/key: expected \{batch\} in the key/],
      [{ key: '{batch}.ndjson' }, /\/key: expected a key that ends in \.gz .* with gzip/],
      [{ key: '{batch}.ndjson.gz', compression: 'none' }, /\/key: expected a key that ends in \.gz .* with none/],
      [{ key: '/{batch}.gz' }, /\/key: expected an object key that does not begin with \//],
      [{ key: 'a/../{batch}.gz' }, /\/key: expected an object key without the folders/],
      [{ eventTime: 'payload..ts' }, /\/eventTime: expected a path/],
      [{ maxRecords: 0 }, /\/maxRecords: expected a number >= 1, got number 0/],
    ];
    for (const [settings, expected] of wrong) {
      it(`is red and names the setting: ${JSON.stringify(settings)}`, async () => {
        await load({ url: 'file:///tmp/sluice-never-written', credentials: {} }, settings);
        const [status] = statuses('sink');
        assert.equal(status?.fill, 'red');
        const [path = ''] = Object.keys(settings);
        assert.ok(status.text.startsWith(`/${path}: expected `), status.text);
        assert.match(nodeRed.logged().join('\n'), expected);
      });
    }
  });
});

describe('s3-sink over time', () => {
  it('stores an object when its first record is as old as allowed, not before', async () => {
    const { sink, clock, store } = setUp({ maxAgeSeconds: 10 });
    const first = sink.input({ topic: 'a', payload: 1 }, () => undefined);
    await clock.advance(9_000);
    const second = sink.input({ topic: 'a', payload: 2 }, () => undefined);
    await clock.advance(999);
    assert.equal(store.attempts.length, 0);
    await clock.advance(1);
    await Promise.all([first, second]);
    assert.deepEqual(store.lines(), [1, 2]);
  });

  it('stores the oldest open object when a 65th begins', async () => {
    const { sink, clock, store } = setUp();
    const inputs = Array.from({ length: 64 }, (_, index) =>
      sink.input({ topic: `t${index}`, payload: index }, () => undefined),
    );
    void sink.input({ topic: 't0', payload: 'again' }, () => undefined);
    await clock.advance(0);
    assert.equal(store.attempts.length, 0);
    void sink.input({ topic: 't64', payload: 64 }, () => undefined);
    await inputs[0];
    assert.deepEqual(store.lines(), [0, 'again']);
    await sink.close();
    assert.equal(store.objects.size, 65);
  });

  it('tries again under the same key with the same bytes, ever slower, and counts it', async () => {
    const { sink, clock, store, counters, statuses } = setUp({ maxRecords: 2 });
    store.answer = () => new UnavailableError('expected an answer, got none', { code: 'unreachable' });
    const stored = Promise.all([1, 2].map((payload) => sink.input({ topic: 'a', payload }, () => undefined)));
    await store.attempt(8, clock);
    store.answer = () => undefined;
    await store.attempt(9, clock);
    await stored;
    assert.equal(new Set(store.attempts.map(({ key, hash }) => `${key} ${hash}`)).size, 1);
    const pauses = store.attempts.slice(1).map(({ at }, index) => at - (store.attempts[index]?.at ?? 0));
    for (const [index, pause] of pauses.entries()) {
      const ceiling = Math.min(30_000, 500 * 2 ** index);
      assert.ok(pause >= ceiling / 2 && pause <= ceiling + TICK_MS, `pause ${index}: ${pause}`);
    }
    assert.deepEqual(counters.snapshot(), { retried: 8, stored: 2, objects: 1, bytes: store.bytes() });
    assert.match(statuses[1] ?? '', /^error expected an answer, got none; trying again in 1 s$/);
    assert.equal(statuses.at(-1), 'ok 1 object, 2 records');
  });

  it('tries again slowly when somebody has to act first', async () => {
    const { sink, clock, store } = setUp({ maxRecords: 1 });
    store.answer = () => new ConfigError('expected bucket "b", got NoSuchBucket', { code: 'no-bucket' });
    const stored = sink.input({ topic: 'a', payload: 1 }, () => undefined);
    await clock.advance(2_400);
    assert.equal(store.attempts.length, 1);
    await store.attempt(3, clock);
    store.answer = () => undefined;
    await store.attempt(4, clock);
    await stored;
    assert.deepEqual(store.lines(), [1]);
  });

  it('keeps no object from being stored by one that fails, and has four on their way at most', async () => {
    const { sink, clock, store } = setUp({ maxRecords: 1 });
    store.answer = (key) =>
      key.startsWith('bad') ? new UnavailableError('expected room, got none', { code: 'disk' }) : undefined;
    for (const index of [0, 1, 2, 3, 4, 5])
      void sink.input({ topic: `bad${index}`, payload: index }, () => undefined).catch(() => undefined);
    await clock.advance(0);
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => sink.input({ topic: 'good', payload: index }, () => undefined)),
    );
    assert.equal(store.objects.size, 20);
    assert.equal(store.mostAtOnce, 4);
  });

  it('takes no more than it has memory for', async () => {
    const { sink, clock, store, counters } = setUp({ maxBufferedBytes: 65_536, maxBytes: 10_000, line: 'payload' });
    store.answer = () => new UnavailableError('expected an answer, got none', { code: 'unreachable' });
    const payload = 'x'.repeat(997); // 1,000 bytes with quotes and the end of the line
    const inputs = Array.from({ length: 65 }, () => sink.input({ topic: 'a', payload }, () => undefined));
    await assert.rejects(
      sink.input({ topic: 'a', payload }, () => undefined),
      (error: unknown) => error instanceof UnavailableError && error.code === 'queue-full',
    );
    assert.equal(counters.total('queue-full'), 1);
    await assert.rejects(
      sink.input({ topic: 'a', payload: 'x'.repeat(70_000) }, () => undefined),
      (error: unknown) => error instanceof RejectedError && error.code === 'too-large',
    );
    store.answer = () => undefined;
    await clock.advance(60_000);
    await Promise.all(inputs);
    await Promise.all([sink.input({ topic: 'a', payload }, () => undefined), clock.advance(10_000)]);
    assert.equal(store.lines().length, 66);
  });

  it('stores open objects when they take half of the memory, and waits for no age', async () => {
    const { sink, clock, store } = setUp({ maxBufferedBytes: 65_536, line: 'payload' });
    const payload = 'x'.repeat(997);
    const inputs = Array.from({ length: 33 }, (_, index) =>
      sink.input({ topic: `t${index}`, payload }, () => undefined),
    );
    await inputs[0];
    assert.equal(store.objects.size, 1);
    await Promise.all([...inputs, clock.advance(10_000)]);
  });

  it('rejects the records of an object that the store will never take, and goes on', async () => {
    const { sink, store, counters } = setUp({ maxRecords: 2 });
    store.answer = () => new RejectedError('expected a shorter key, got this', { code: 'key' });
    const results = await Promise.allSettled(
      [1, 2].map((payload) => sink.input({ topic: 'a', payload }, () => undefined)),
    );
    assert.deepEqual(
      results.map((result) => result.status === 'rejected' && (result.reason as RejectedError).code),
      ['key', 'key'],
    );
    assert.deepEqual([store.attempts.length, counters.total('retried')], [1, 0]);
    store.answer = () => undefined;
    await Promise.all([3, 4].map((payload) => sink.input({ topic: 'a', payload }, () => undefined)));
    assert.deepEqual(store.lines(), [3, 4]);
  });

  it('goes by the time of receipt where the event time is missing or impossible, and counts it', async () => {
    const times: [ts: unknown, partition: string][] = [
      ['2025-12-31T23:59:59.999Z', '2025-12-31-23'],
      ['2026-01-01T00:30:00+01:00', '2025-12-31-23'],
      [0, '1970-01-01-00'],
      [new Date(Date.UTC(2024, 1, 29, 5)), '2024-02-29-05'],
      [undefined, '2026-03-01-07'],
      [null, '2026-03-01-07'],
      ['yesterday', '2026-03-01-07'],
      ['2026-02-30T00:00:00Z', '2026-03-01-07'],
      [-1, '2026-03-01-07'],
      [8.64e15, '2026-03-01-07'],
      [Number.NaN, '2026-03-01-07'],
    ];
    const { sink, store, counters } = setUp({
      eventTime: 'payload.ts',
      key: '{year}-{month}-{day}-{hour}/{batch}.ndjson',
      maxRecords: 1,
    });
    for (const [ts, partition] of times) {
      await sink.input({ topic: 'a', payload: { ts }, receivedAt: RECEIVED }, () => undefined);
      assert.equal(store.attempts.at(-1)?.key.split('/')[0], partition, String(ts));
    }
    assert.equal(counters.total('event-time-missing'), 7);
    await sink.input({ topic: 'a', payload: {}, receivedAt: Number.NaN }, () => undefined);
    assert.equal(store.attempts.at(-1)?.key.split('/')[0], '2026-03-02-00', 'the clock, for an impossible receipt');
  });

  it('gives objects keys that are unique and in the order of time', async () => {
    const { sink, clock, store } = setUp({ maxRecords: 1, key: '{batch}.ndjson' });
    for (const payload of [1, 2, 3, 4, 5]) {
      await sink.input({ payload }, () => undefined);
      await clock.advance(1);
    }
    const keys = store.attempts.map(({ key }) => key);
    assert.deepEqual(keys, [...new Set(keys)].sort());
  });

  it('tries at once when it closes, without waiting for the end of a pause', async () => {
    const { sink, clock, store } = setUp({ maxRecords: 1 });
    store.answer = () => new ConfigError('expected bucket "b", got NoSuchBucket', { code: 'no-bucket' });
    const stored = sink.input({ topic: 'a', payload: 1 }, () => undefined);
    await store.attempt(1, clock);
    await turn();
    store.answer = () => undefined;
    await sink.close();
    await stored;
    assert.deepEqual(store.lines(), [1]);
  });

  it('gives up ten seconds after it began to close, and says what it could not store', async () => {
    const { sink, clock, store, logs } = setUp();
    store.answer = () => 'hang';
    const stored = sink.input({ topic: 'a', payload: 1 }, () => undefined);
    const failure = assert.rejects(
      stored,
      (error: unknown) => error instanceof UnavailableError && error.code === 'closed',
    );
    let closed = false;
    const closing = sink.close().then(() => (closed = true));
    await clock.advance(9_999);
    assert.equal(closed, false);
    await clock.advance(1);
    await Promise.all([closing, failure]);
    assert.match(logs.at(-1) ?? '', /^error an object was not stored .*records=1/);
    await assert.rejects(
      sink.input({ topic: 'a', payload: 2 }, () => undefined),
      (error: unknown) => error instanceof UnavailableError && error.code === 'closed',
    );
  });

  it('looks for its store at the start until it is there', async () => {
    const { sink, clock, store, statuses } = setUp();
    store.answer = () => new UnavailableError('expected an answer, got none', { code: 'unreachable' });
    sink.start();
    await clock.advance(2_000);
    assert.match(
      statuses.join('\n'),
      /^busy looking for memory\nerror expected an answer, got none; trying again in 1 s/,
    );
    store.answer = () => undefined;
    await clock.advance(30_000);
    assert.equal(statuses.at(-1), 'ok 0 objects, 0 records');
  });
});

function linesOf(body: Buffer): unknown[] {
  const text = (body[0] === 0x1f ? gunzipSync(body) : body).toString();
  assert.ok(text.endsWith('\n'));
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

const TICK_MS = 50;

/** Time that a test moves. */
class TestClock implements Clock {
  #now = Date.UTC(2026, 2, 2);
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  later(run: () => void, milliseconds: number): () => void {
    const timer = { at: this.#now + milliseconds, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass, and what is due happen in its order, each with what follows from it. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await turn();
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }
}

/** An object store that answers as the test says. */
class ScriptedStore extends EventEmitter implements ObjectStore {
  readonly place = 'memory';
  readonly objects = new Map<string, Buffer>();
  readonly attempts: { readonly key: string; readonly hash: string; readonly at: number }[] = [];
  mostAtOnce = 0;
  answer: (key: string) => Error | 'hang' | undefined = () => undefined;
  #atOnce = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  async put(key: string, body: Uint8Array, { signal }: PutOptions): Promise<void> {
    const bytes = Buffer.from(body);
    this.attempts.push({ key, hash: createHash('sha256').update(bytes).digest('hex'), at: this.#clock.now() });
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    try {
      await turn();
      const answer = this.answer(key);
      if (answer === 'hang' && signal !== undefined) {
        await once(signal, 'abort');
        throw new Error('aborted');
      }
      if (answer instanceof Error) throw answer;
      this.objects.set(key, bytes);
    } finally {
      this.#atOnce--;
    }
  }

  check(): Promise<void> {
    const answer = this.answer('');
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve();
  }

  close(): void {
    this.objects.clear();
  }

  /** Lets time pass until there have been so many attempts, and the last has its answer. */
  async attempt(count: number, clock: TestClock): Promise<void> {
    while (this.attempts.length < count) await clock.advance(TICK_MS);
    await turn();
    await turn();
  }

  /** What all objects hold, parsed. */
  lines(): unknown[] {
    return [...this.objects.values()]
      .flatMap(linesOf)
      .map((line) => (typeof line === 'object' && line !== null && 'payload' in line ? line.payload : line));
  }

  bytes(): number {
    return [...this.objects.values()].reduce((sum, body) => sum + body.length, 0);
  }
}

function setUp(settings: Partial<Config> = {}) {
  const clock = new TestClock();
  const store = new ScriptedStore(clock);
  const counters = new Counters();
  const statuses: string[] = [];
  const logs: string[] = [];
  const config = compileSettings<Config>(schema).resolve(
    { store: 'store', key: '{topic[0]}/{batch}.ndjson', compression: 'none', ...settings },
    () => undefined,
  );
  const sink = new S3Sink(
    {
      config,
      instance: 'test',
      counters,
      isWired: () => true,
      status: (level, text) => statuses.push(`${level} ${typeof text === 'function' ? text() : text}`),
      log: (level, sentence, fields) =>
        logs.push(`${level} ${sentence} ${new URLSearchParams(fields as never).toString()}`),
    },
    { store, clock },
  );
  return { sink, clock, store, counters, statuses, logs };
}
