import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RejectedError, UnavailableError } from '../../nodes/lib/errors.js';
import type { Message } from '../../nodes/lib/message.js';
import { ofDelivery } from '../delivery/of-delivery.js';
import { startFolder, startFragileBucket, type FragileTestStore } from '../object-stores.js';
import { linesOf, textOf, useS3Sink } from '../s3-sink.js';
import { useScriptedStore } from '../scripted-store.js';
import { describeWithServer } from '../servers/server.js';
import { until } from '../sluice.js';

const RECEIVED = Date.UTC(2026, 2, 1, 7, 59, 59);
const HOUR_MS = 3_600_000;
const AWAY = new UnavailableError('expected an answer, got none', { code: 'unreachable' });

describe("s3-sink's spool", () => {
  const setUp = useScriptedStore();
  const message = (payload: unknown, identity?: string): Message => ({
    topic: 'a',
    receivedAt: RECEIVED,
    payload,
    ...(identity !== undefined && { identity }),
  });

  it('says of each record to which delivery it belongs when it is stored, and of those that were left, at the start', async () => {
    const first = setUp();
    first.store.answer = () => AWAY;
    for (const number of [7, 8, 8]) await first.put(ofDelivery(message(number), number, 'in'));
    await first.close();
    assert.deepEqual(first.drained, []);

    const { found, drained, stored, put, close } = setUp();
    await stored(3);
    assert.deepEqual(found, [
      [7, 1],
      [8, 2],
    ]);
    await put(ofDelivery(message(9), 9, 'in'));
    await close();
    assert.deepEqual(
      drained.sort(([a], [b]) => a - b),
      [7, 8, 8, 9].map((number) => [number, 'stored']),
    );
  });

  it('makes the same object of what was left, whatever the settings are then', async () => {
    const csv = { format: 'csv', compression: 'gzip', key: '{topic[0]}/{batch}{suffix}' } as const;
    const columns = [{ header: 'n', path: 'payload' }];
    const first = setUp({ ...csv, columns });
    first.store.answer = () => AWAY;
    for (const payload of [1, 2]) await first.put(message(payload));
    await first.close();

    const { store, put, stored, close } = setUp({ key: 'other/{batch}' });
    await put(message(3));
    await stored(2);
    await close();
    const [[key, body] = ['', Buffer.alloc(0)], [otherKey, other] = ['', Buffer.alloc(0)]] = store.objects;
    const [made] = first.store.attempts;
    assert.ok(store.attempts.some(({ key, hash }) => key === made?.key && hash === made.hash));
    assert.match(key, /^a\/.*\.csv\.gz$/);
    assert.equal(textOf(body), 'n\n1\n2\n');
    assert.match(otherKey, /^other\//);
    assert.equal(linesOf(other).length, 1);
  });

  it('looks for an object that got a new key under that one, after a restart', async () => {
    const first = setUp({ maxRecords: 1 });
    first.store.answer = () => (first.store.attempts.length === 1 ? 'taken' : 'hang');
    await first.put(message(1));
    while (first.store.attempts.length < 2) await turn();
    const closing = first.close();
    await first.clock.advance(10_000);
    await closing;
    const { store, counters, stored } = setUp();
    store.answer = () => 'found';
    await stored(1);
    assert.deepEqual(
      store.attempts.map(({ key, hash }) => [key, hash]),
      [[first.store.attempts[1]?.key, first.store.attempts[0]?.hash]],
    );
    assert.notEqual(first.store.attempts[0]?.key, first.store.attempts[1]?.key);
    assert.equal(counters.total('found'), 1);
  });

  it('adds nothing to an object that may have been on its way when the process ended', async () => {
    const first = setUp();
    first.store.answer = () => AWAY;
    await first.put(message(1));
    await first.close();
    const { store, put, close } = setUp();
    await put(message(2));
    await close();
    assert.deepEqual(store.lines().sort(), [1, 2]);
    assert.equal(store.objects.size, 2);
  });

  describe('with identities', () => {
    it('counts what comes again as a duplicate, also when its object was stored long ago, and after a restart', async () => {
      const first = setUp({ maxRecords: 2 });
      const come = (sink: typeof first, number: number, payload: unknown, identity: string) =>
        sink.put(ofDelivery(message(payload, identity), number, 'in'));
      assert.equal(await come(first, 1, 'x', 'i'), 'spooled');
      assert.equal(await come(first, 2, 'x', 'i'), 'stored');
      // What the redelivery says may differ: the first is the one that counts.
      assert.equal(await come(first, 3, 'another text', 'i'), 'stored');
      await Promise.all([come(first, 4, 'y', 'j'), come(first, 5, 'y', 'j')]);
      await first.close();
      assert.deepEqual(first.store.lines(), ['x', 'y']);
      assert.equal(first.counters.total('duplicate'), 3);
      assert.equal(first.counters.total('spooled'), 2);

      const { store, put, counters, close } = setUp();
      assert.equal(await put(ofDelivery(message('x', 'i'), 6, 'in')), 'stored');
      assert.equal(await put(ofDelivery({ ...message('x', 'i'), receivedAt: RECEIVED + HOUR_MS }, 7, 'in')), 'stored');
      assert.equal(await put(ofDelivery(message('z', 'k'), 8, 'in')), 'spooled');
      await close();
      assert.deepEqual([store.lines(), counters.total('duplicate')], [['z'], 2]);
    });

    it('knows it by its place too, but not by its hour', async () => {
      const { store, put, close } = setUp({ key: '{topic}/{hour}/{batch}' });
      const outcomes = [];
      for (const [topic, receivedAt] of [
        ['a', RECEIVED],
        ['b', RECEIVED],
        ['a', RECEIVED + HOUR_MS],
      ] as const) {
        outcomes.push(await put({ topic, receivedAt, identity: 'i', payload: topic }));
      }
      await close();
      assert.deepEqual(outcomes, ['spooled', 'spooled', 'stored']);
      assert.deepEqual(store.lines().sort(), ['a', 'b']);
    });

    it('rejects a second document of the same message under its identity, and takes an attempt that comes again', async () => {
      const { store, put, counters, clock, close } = setUp({ maxRecords: 2 });
      const same = (error: unknown): boolean =>
        error instanceof RejectedError &&
        error.code === 'same-identity' &&
        error.message ===
          'expected one record for each identity, got a second one with the identity "i" from the same message: give its parts identities of their own';
      const part = (payload: unknown, number: number): Promise<unknown> =>
        put(ofDelivery(message(payload, 'i'), number, 'in'));
      const first = part(1, 5);
      await assert.rejects(part(2, 5), same); // within the turn
      await first;
      await assert.rejects(part(3, 5), same); // when the first is in the spool
      assert.equal(await part(1, 5), 'stored'); // again
      await put(message('another'));
      while (store.objects.size === 0) await turn();
      await assert.rejects(part(4, 5), same); // when the first is stored
      // Of an inject node: by Node-RED's own id.
      const injected = { ...message('one', 'j'), _msgid: 'm' };
      await put(injected);
      await assert.rejects(put({ ...injected, payload: 'two' }), (error: unknown) => error instanceof RejectedError);
      // Without a time of its own it gets one here, which is another each time.
      const timeless = ofDelivery({ topic: 'a', identity: 'k', payload: 1 }, 6, 'in');
      assert.equal(await put(timeless), 'spooled');
      await clock.advance(5);
      assert.equal(await put(timeless), 'stored');
      await close();
      assert.deepEqual(store.lines(), [1, 'another', 'one', 1]);
      assert.equal(counters.total('duplicate'), 2);
    });

    it('stores what has none, or one that is not whole characters, as often as it comes', async () => {
      const { store, put, close } = setUp();
      for (const identity of [undefined, '', '\ud800', undefined, '', '\ud800']) await put(message('x', identity));
      await close();
      assert.equal(store.lines().length, 6);
    });
  });

  describe('that is full', () => {
    const settings = { spoolMaxBytes: 65_536, maxRecords: 5, line: 'payload' } as const;
    const text = (n: number): string => `${n}`.padEnd(9_900, 'x');
    const numbers = (lines: unknown[]): number[] => lines.map((line) => Number.parseInt(String(line), 10));

    it('takes nothing more, and goes on when there is room', async () => {
      const { store, put, counters, clock, stored } = setUp(settings);
      store.answer = () => AWAY;
      for (let n = 0; n < 6; n++) await put(message(text(n)));
      await assert.rejects(
        put(message(text(6))),
        (error: unknown) => error instanceof UnavailableError && error.code === 'spool-full',
      );
      assert.equal(counters.snapshot()['refused{spool-full}'], 1);
      store.answer = () => undefined;
      while (store.objects.size === 0) await (clock.pending > 0 ? clock.advanceToNext() : turn());
      await stored(3);
      await put(message(text(6)));
      await clock.advance(10_000);
      await stored(7);
      assert.deepEqual(numbers(store.lines()).sort(), [0, 1, 2, 3, 4, 5, 6]);
    });

    it('drops the oldest that are not on their way where that is asked for, and counts them', async () => {
      const dropping = { ...settings, spoolWhenFull: 'drop-oldest', maxRecords: 1 } as const;
      const first = setUp(dropping);
      first.store.answer = () => 'hang';
      const put = (n: number) => first.put(ofDelivery(message(text(n), `i${n}`), n, 'in'));
      for (let n = 0; n < 4; n++) await put(n);
      while (first.store.attempts.length < 4) await turn();
      for (let n = 4; n < 9; n++) await put(n);
      assert.equal(first.counters.snapshot()['dropped{spool-full}'], 3);
      assert.deepEqual(
        first.drained,
        [4, 5, 6].map((n) => [n, 'dropped']),
      );
      const closing = first.close();
      await first.clock.advance(10_000);
      await closing;

      const { store, counters, stored, close } = setUp(dropping);
      await stored(6);
      await close();
      assert.deepEqual(numbers(store.lines()).sort(), [0, 1, 2, 3, 7, 8]);
      for (const { key } of first.store.attempts) assert.ok(store.objects.has(key));
      assert.deepEqual([store.objects.size, counters.total('retried')], [6, 0], 'nothing of empty ones');
    });
  });

  it('holds what waits on disk and not in memory, while the store is away', async () => {
    const { store, put, clock, stored, counters } = setUp({ maxBytes: 1_000_000, line: 'payload' });
    store.answer = () => AWAY;
    const send = async (records: number): Promise<void> => {
      for (let n = 0; n < records; n += 200) {
        await Promise.all(
          Array.from({ length: 200 }, (_, index) => put(message(String(n + index).padEnd(2_000, '.')))),
        );
      }
    };
    await send(2_000);
    await store.attempt(1, clock);
    const before = memory();
    await send(50_000); // 100 MB
    await clock.advance(60_000);
    // What is not needed any more goes when the collector comes by it; what is held does not.
    await until(
      () => (memory() - before) / 1e6,
      (grown) => grown < 20,
    );
    store.answer = () => undefined;
    while (counters.total('stored') < 51_000) await (clock.pending > 0 ? clock.advanceToNext() : turn());
    await clock.advance(10_000);
    await stored(52_000);
  }).timeout(60_000);
});

describe("s3-sink's spool in a flow", () => {
  const sink = useS3Sink();

  describeWithServer('before a folder', startFolder, suite);
  describeWithServer('before a bucket', startFragileBucket, suite);

  function suite(server: () => FragileTestStore): void {
    it('is kept over a deploy while the store is away, and stored by the node that comes after', async () => {
      const place = server().place();
      await sink.load(place, { maxRecords: 3, maxAgeSeconds: 3_600 });
      await server().interrupt();
      const answered = sink.messages('stored', 5);
      for (let n = 0; n < 5; n++) sink.send('sink', { topic: 'a', identity: `i${n}`, payload: n });
      await answered;
      await sink.unload();
      await sink.load(place, { maxRecords: 3, maxAgeSeconds: 3_600 });
      await sink.statusLike('sink', /^5 spooled; expected /);
      await server().resume();
      await sink.stored(5);
      const again = sink.messages('stored', 1);
      sink.send('sink', { topic: 'a', identity: 'i4', payload: 4 });
      assert.equal((await again)[0]?.['spooled'], undefined);
      assert.equal(sink.counters()['duplicate'], 1);
      await sink.unload();
      const objects = [...(await place.objects()).values()].map((body) =>
        linesOf(body).map((line) => (line as Message).payload as number),
      );
      assert.deepEqual(
        objects.sort((a, b) => b.length - a.length),
        [
          [0, 1, 2],
          [3, 4],
        ],
      );
    }).timeout(60_000);
  }
});

/** Bytes that are in use, on the heap and beside it. */
function memory(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
