import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { ConfigError, RejectedError, UnavailableError } from '../../nodes/lib/errors.js';
import { setUp, TICK_MS } from '../scripted-store.js';

const RECEIVED = Date.UTC(2026, 2, 1, 7, 59, 59);

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

  it('takes an object that an earlier attempt has stored for stored, and counts it', async () => {
    const { sink, clock, store, counters } = setUp({ maxRecords: 1 });
    store.answer = () => new UnavailableError('expected an answer, got none', { code: 'unreachable' });
    const stored = sink.input({ topic: 'a', payload: 1 }, () => undefined);
    await store.attempt(1, clock);
    store.answer = () => 'found';
    await store.attempt(2, clock);
    await stored;
    const [first, second] = store.attempts;
    assert.deepEqual([second?.key, second?.hash], [first?.key, first?.hash]);
    assert.deepEqual(
      [counters.total('retried'), counters.total('found'), counters.total('stored'), counters.total('objects')],
      [1, 1, 1, 1],
    );
  });

  it('gives an object a new key when another object has its own, and counts it', async () => {
    const { sink, store, counters, logs } = setUp({ maxRecords: 2 });
    store.answer = () => (store.attempts.length < 3 ? 'taken' : undefined);
    const sent: unknown[] = [];
    await Promise.all(
      [1, 2].map((payload) => sink.input({ topic: 'a', payload }, ({ object }) => void sent.push(object))),
    );
    const keys = store.attempts.map(({ key }) => key);
    assert.equal(new Set(keys).size, 3);
    assert.deepEqual([[...store.objects.keys()], sent], [[keys[2]], [keys[2], keys[2]]]);
    assert.deepEqual([counters.total('key-taken'), counters.total('stored'), counters.total('objects')], [2, 2, 1]);
    assert.match(logs[0] ?? '', /^warn another object has the key of this one, which gets a new one key=a.*&newKey=a/);
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
    assert.equal(counters.snapshot()['refused{queue-full}'], 1);
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

  it('counts a header line as long as it is held: the memory does not grow with the objects that were stored', async () => {
    const header = 'h'.repeat(997);
    const { sink, clock, store, counters } = setUp({
      maxBufferedBytes: 65_536,
      maxRecords: 1,
      key: '{batch}{suffix}',
      format: 'csv',
      columns: [{ header, path: 'payload' }],
    });
    for (let index = 0; index < 70; index++) await sink.input({ topic: 'a', payload: index }, () => undefined);
    assert.equal(store.objects.size, 70);
    store.answer = () => new UnavailableError('expected an answer, got none', { code: 'unreachable' });
    const payload = 'x'.repeat(997);
    const inputs = Array.from({ length: 100 }, () => sink.input({ topic: 'a', payload }, () => undefined));
    const outcomes = Promise.allSettled(inputs);
    // A header and a record take some 2,000 of 65,536 bytes; all the memory is there again, and no more.
    await clock.advance(0);
    assert.equal(counters.total('refused'), 67);
    await Promise.all([sink.close(), clock.advance(20_000)]);
    await outcomes;
    assert.equal(counters.snapshot()['abandoned{closed}'], 33);
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
