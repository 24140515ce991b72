import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { ConfigError, RejectedError, UnavailableError } from '../../nodes/lib/errors.js';
import type { Message } from '../../nodes/lib/message.js';
import { ofDelivery } from '../delivery/of-delivery.js';
import { linesOf } from '../s3-sink.js';
import { useScriptedStore } from '../scripted-store.js';

const RECEIVED = Date.UTC(2026, 2, 1, 7, 59, 59);
const AWAY = new UnavailableError('expected an answer, got none', { code: 'unreachable' });

describe('s3-sink over time', () => {
  const setUp = useScriptedStore();

  it('is done with a message when it is in the spool; stores the object when its first record is as old as allowed', async () => {
    const { put, clock, store, counters, statuses, stored } = setUp({ maxAgeSeconds: 10 });
    assert.equal(await put({ topic: 'a', payload: 1 }), 'spooled');
    await clock.advance(9_000);
    assert.equal(await put({ topic: 'a', payload: 2 }), 'spooled');
    await clock.advance(999);
    assert.equal(store.attempts.length, 0);
    assert.equal(statuses.at(-1), 'ok 0 objects, 0 records; 2 spooled');
    await clock.advance(1);
    await stored(2);
    assert.deepEqual(store.lines(), [1, 2]);
    assert.deepEqual(counters.snapshot(), { spooled: 2, stored: 2, drained: 2, objects: 1, bytes: store.bytes() });
    await turn();
    assert.equal(statuses.at(-1), 'ok 1 object, 2 records');
  });

  it('stores the oldest open object when a 65th begins', async () => {
    const { put, clock, store, stored, close } = setUp();
    await Promise.all(Array.from({ length: 64 }, (_, index) => put({ topic: `t${index}`, payload: index })));
    await put({ topic: 't0', payload: 'again' });
    await clock.advance(0);
    assert.equal(store.attempts.length, 0);
    await put({ topic: 't64', payload: 64 });
    await stored(2);
    assert.deepEqual(store.lines(), [0, 'again']);
    await close();
    assert.equal(store.objects.size, 65);
  });

  it('tries again under the same key with the same bytes, ever slower, and counts it', async () => {
    const { put, clock, store, counters, statuses, stored } = setUp({ maxRecords: 2 });
    store.answer = () => AWAY;
    await Promise.all([1, 2].map((payload) => put({ topic: 'a', payload })));
    await store.attempt(8, clock);
    store.answer = () => undefined;
    await store.attempt(9, clock);
    await stored(2);
    assert.equal(new Set(store.attempts.map(({ key, hash }) => `${key} ${hash}`)).size, 1);
    const pauses = store.attempts.slice(1).map(({ at }, index) => at - (store.attempts[index]?.at ?? 0));
    for (const [index, pause] of pauses.entries()) {
      const ceiling = Math.min(30_000, 500 * 2 ** index);
      assert.ok(pause >= ceiling / 2 && pause <= ceiling, `pause ${index}: ${pause}`);
    }
    const { retried, objects, spooled } = counters.snapshot();
    assert.deepEqual([retried, objects, spooled], [8, 1, 2]);
    assert.ok(statuses.includes('error 2 spooled; expected an answer, got none; trying again in 1 s'));
    await turn();
    assert.equal(statuses.at(-1), 'ok 1 object, 2 records');
  });

  it('takes an object that an earlier attempt has stored for stored, and counts it', async () => {
    const { put, clock, store, counters, stored } = setUp({ maxRecords: 1 });
    store.answer = () => AWAY;
    await put({ topic: 'a', payload: 1 });
    await store.attempt(1, clock);
    store.answer = () => 'found';
    await store.attempt(2, clock);
    await stored(1);
    const [first, second] = store.attempts;
    assert.deepEqual([second?.key, second?.hash], [first?.key, first?.hash]);
    assert.deepEqual(
      [counters.total('retried'), counters.total('found'), counters.total('stored'), counters.total('objects')],
      [1, 1, 1, 1],
    );
  });

  it('gives an object a new key when another object has its own, and counts it', async () => {
    const { put, store, counters, logs, stored } = setUp({ maxRecords: 2 });
    store.answer = () => (store.attempts.length < 3 ? 'taken' : undefined);
    await Promise.all([1, 2].map((payload) => put({ topic: 'a', payload })));
    await stored(2);
    const keys = store.attempts.map(({ key }) => key);
    assert.equal(new Set(keys).size, 3);
    assert.deepEqual([...store.objects.keys()], [keys[2]]);
    assert.deepEqual([counters.total('key-taken'), counters.total('stored'), counters.total('objects')], [2, 2, 1]);
    assert.match(logs[0] ?? '', /^warn another object has the key of this one, which gets a new one key=a.*&newKey=a/);
  });

  it('tries again slowly when somebody has to act first', async () => {
    const { put, clock, store, stored } = setUp({ maxRecords: 1 });
    store.answer = () => new ConfigError('expected bucket "b", got NoSuchBucket', { code: 'no-bucket' });
    await put({ topic: 'a', payload: 1 });
    await store.attempt(1, clock);
    await clock.advance(2_400);
    assert.equal(store.attempts.length, 1);
    await store.attempt(3, clock);
    store.answer = () => undefined;
    await store.attempt(4, clock);
    await stored(1);
    assert.deepEqual(store.lines(), [1]);
  });

  it('keeps no object from being stored by one that fails', async () => {
    const { put, clock, store, stored } = setUp({ maxRecords: 1 });
    store.answer = (key) =>
      key.startsWith('bad') ? new UnavailableError('expected room, got none', { code: 'disk' }) : undefined;
    for (const index of [0, 1, 2, 3, 4, 5]) await put({ topic: `bad${index}`, payload: index });
    await store.attempt(1, clock);
    await Promise.all(Array.from({ length: 20 }, (_, index) => put({ topic: 'good', payload: index })));
    const done = stored(20);
    while (store.objects.size < 20) await (clock.pending > 0 ? clock.advanceToNext() : turn());
    await done;
  });

  it('has four objects on their way at most', async () => {
    const { put, clock, store, close } = setUp({ maxRecords: 1 });
    store.answer = () => 'hang';
    for (const index of [0, 1, 2, 3, 4, 5]) await put({ topic: 'a', payload: index });
    while (store.attempts.length < 4) await turn();
    await clock.advance(60_000);
    assert.deepEqual([store.attempts.length, store.mostAtOnce], [4, 4]);
    const closing = close();
    await clock.advance(10_000);
    await closing;
  });

  it('asks a store that is away one thing at a time, however much waits, and gives it all when it is back', async () => {
    const { put, clock, store, stored, counters } = setUp({ maxRecords: 1 });
    store.answer = () => AWAY;
    await Promise.all(Array.from({ length: 200 }, (_, index) => put({ topic: 'a', payload: index })));
    await store.attempt(1, clock);
    const begun = clock.now();
    while (clock.now() < begun + 3_600_000) await (clock.pending > 0 ? clock.advanceToNext() : turn());
    const attempts = store.attempts.length;
    assert.ok(attempts < 300, `${attempts} attempts in an hour`);
    store.answer = () => undefined;
    while (store.objects.size < 1) await (clock.pending > 0 ? clock.advanceToNext() : turn());
    const back = clock.now();
    while (store.objects.size < 200) await (clock.pending > 0 ? clock.advanceToNext() : turn());
    await stored(200);
    assert.equal(counters.total('retried'), attempts);
    assert.equal(clock.now(), back, 'none waits for the end of a pause of its own');
  });

  it('has no more bytes on their way than the form says, and rejects what is larger', async () => {
    const { put, clock, store, stored } = setUp({ maxBufferedBytes: 65_536, maxBytes: 40_000, line: 'payload' });
    await assert.rejects(
      put({ topic: 'a', payload: 'x'.repeat(70_000) }),
      (error: unknown) => error instanceof RejectedError && error.code === 'too-large',
    );
    store.answer = () => AWAY;
    const payload = 'x'.repeat(997); // 1,000 bytes with quotes and the end of the line
    await Promise.all(Array.from({ length: 400 }, () => put({ topic: 'a', payload })));
    await store.attempt(1, clock);
    store.answer = () => undefined;
    while (store.objects.size < 10) await (clock.pending > 0 ? clock.advanceToNext() : turn());
    await stored(400);
    assert.equal(store.mostAtOnce, 1);
  });

  it('stores open objects when they take half of the spool, and waits for no age', async () => {
    const { put, store, stored } = setUp({ spoolMaxBytes: 65_536, line: 'payload' });
    const payload = 'x'.repeat(997);
    await Promise.all(Array.from({ length: 33 }, (_, index) => put({ topic: `t${index}`, payload })));
    await stored(1);
    assert.ok(store.objects.size < 33);
  });

  it('rejects the records of an object that the store will never take, and goes on', async () => {
    const { put, store, counters, rejected, drained, stored } = setUp({ maxRecords: 2 });
    store.answer = () => new RejectedError('expected a shorter key, got this', { code: 'key' });
    const messages = [1, 2].map((payload) => ({ topic: 'a', identity: `i${payload}`, receivedAt: RECEIVED, payload }));
    await Promise.all(messages.map((message, index) => put(ofDelivery({ ...message }, index, 'in'))));
    while (drained.length < 2) await turn();
    assert.deepEqual(
      drained,
      [0, 1].map((number) => [number, 'dead-lettered']),
    );
    assert.deepEqual(
      rejected.map(({ message, error }) => [message, error.code]),
      messages.map((message) => [message, 'key']),
    );
    assert.deepEqual([store.attempts.length, counters.total('retried'), counters.total('stored')], [1, 0, 0]);
    store.answer = () => undefined;
    // They may be sent again: nothing has stored them.
    await Promise.all(messages.map(put));
    await stored(2);
    assert.deepEqual(store.lines(), [1, 2]);
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
    const { put, store, counters, stored } = setUp({
      eventTime: 'payload.ts',
      key: '{year}-{month}-{day}-{hour}/{batch}.ndjson',
      maxRecords: 1,
    });
    for (const [index, [ts, partition]] of times.entries()) {
      await put({ topic: 'a', payload: { ts }, receivedAt: RECEIVED });
      await stored(index + 1);
      assert.equal(store.attempts.at(-1)?.key.split('/')[0], partition, String(ts));
    }
    assert.equal(counters.total('event-time-missing'), 7);
    await put({ topic: 'a', payload: {}, receivedAt: Number.NaN });
    await stored(times.length + 1);
    assert.equal(store.attempts.at(-1)?.key.split('/')[0], '2026-03-02-00', 'the clock, for an impossible receipt');
  });

  it('gives objects keys that are unique and in the order of time', async () => {
    const { put, clock, store, stored } = setUp({ maxRecords: 1, key: '{batch}.ndjson' });
    for (const payload of [1, 2, 3, 4, 5]) {
      await put({ payload });
      await clock.advance(1);
    }
    await stored(5);
    const keys = [...store.objects.keys()].sort();
    assert.deepEqual(
      keys.map((key) => linesOf(store.objects.get(key) ?? Buffer.alloc(0)).map((line) => (line as Message).payload)),
      [[1], [2], [3], [4], [5]],
    );
  });

  it('tries at once when it closes, without waiting for the end of a pause', async () => {
    const { put, clock, store, close } = setUp({ maxRecords: 1 });
    store.answer = () => new ConfigError('expected bucket "b", got NoSuchBucket', { code: 'no-bucket' });
    await put({ topic: 'a', payload: 1 });
    await store.attempt(1, clock);
    store.answer = () => undefined;
    await close();
    assert.deepEqual(store.lines(), [1]);
  });

  it('gives up some seconds after it began to close, and leaves what it could not store to the one that comes after', async () => {
    const { put, clock, store, close } = setUp();
    store.answer = () => 'hang';
    await put({ topic: 'a', payload: 1 });
    let closed = false;
    const closing = close().then(() => (closed = true));
    while (store.attempts.length === 0) await turn();
    await clock.advance(5_999);
    assert.equal(closed, false);
    await clock.advance(1);
    await closing;
    await assert.rejects(
      put({ topic: 'a', payload: 2 }),
      (error: unknown) => error instanceof UnavailableError && error.code === 'closed',
    );
    const next = setUp();
    await next.stored(1);
    assert.deepEqual(next.store.lines(), [1]);
    assert.deepEqual(
      next.store.attempts,
      [{ ...store.attempts[0], at: next.store.attempts[0]?.at }],
      'the same object',
    );
  });

  it('looks for its store at the start until it is there', async () => {
    const { sink, clock, store, statuses } = setUp();
    store.answer = () => AWAY;
    sink.start();
    await clock.advance(2_000);
    assert.match(
      statuses.join('\n'),
      /^busy looking for memory\n(.*\n)*error expected an answer, got none; trying again in 1 s/,
    );
    store.answer = () => undefined;
    await clock.advance(30_000);
    assert.equal(statuses.at(-1), 'ok 0 objects, 0 records');
  });
});
