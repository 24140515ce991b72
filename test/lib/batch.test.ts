import assert from 'node:assert/strict';
import { Batcher, type BatchClock, type BatchLimits } from '../../nodes/lib/batch.js';

/** Time that moves when the test says so. */
class TestClock implements BatchClock {
  #now = 0;
  #soon: (() => void)[] = [];
  #timers = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  soon(run: () => void): void {
    this.#soon.push(run);
  }

  later(run: () => void, milliseconds: number): () => void {
    const timer = { at: this.#now + milliseconds, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** The turn of the event loop ends. */
  turn(): void {
    for (const run of this.#soon.splice(0)) run();
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of [...this.#timers].filter(({ at }) => at <= this.#now)) {
      this.#timers.delete(timer);
      timer.run();
    }
  }
}

/** A batcher whose writes end when the test says so. */
function setUp(limits: Partial<BatchLimits> = {}) {
  const clock = new TestClock();
  const writes: { items: string; group: string; end: () => Promise<void> }[] = [];
  const batcher = new Batcher<string>(
    { maxCount: 3, maxBytes: 100, maxWaitMs: 10, maxInFlight: 2, maxQueue: 100, maxQueueBytes: 1_000, ...limits },
    clock,
    (items, group) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const end = async (): Promise<void> => {
        resolve();
        await promise;
        await promise; // the batcher hears of it in a reaction of its own
      };
      writes.push({ items: items.join(''), group, end });
      return promise;
    },
  );
  const offer = (text: string, group = ''): void => {
    for (const item of text) batcher.offer(item, 1, group);
  };
  return { clock, writes, batcher, offer, written: () => writes.map(({ items }) => items) };
}

describe('Batcher', () => {
  it('sends what arrived in one turn together, at once when nothing is being written', () => {
    const { clock, offer, written } = setUp();
    offer('ab');
    assert.deepEqual(written(), []);
    clock.turn();
    assert.deepEqual(written(), ['ab']);
  });

  it('lets items gather while a write is under way, and sends them when it ends', async () => {
    const { clock, offer, written, writes } = setUp();
    offer('a');
    clock.turn();
    offer('b');
    clock.turn();
    offer('c');
    clock.turn();
    assert.deepEqual(written(), ['a']);
    await writes[0]!.end();
    assert.deepEqual(written(), ['a', 'bc']);
  });

  it('parts writes where that is asked for, but not from what is alone, full or drained', async () => {
    const { clock, offer, written, writes, batcher } = setUp({ gatherMs: 5, maxInFlight: 1 });
    offer('a');
    clock.turn();
    offer('b');
    clock.advance(2);
    await writes[0]!.end();
    offer('c');
    clock.turn();
    clock.advance(2);
    assert.deepEqual(written(), ['a']);
    clock.advance(1);
    assert.deepEqual(written(), ['a', 'bc']);
    offer('defg');
    await writes[1]!.end();
    assert.deepEqual(written(), ['a', 'bc', 'def']);
    await writes[2]!.end();
    void batcher.drain();
    assert.deepEqual(written(), ['a', 'bc', 'def', 'g']);
    await writes[3]!.end();
    offer('h');
    clock.turn();
    assert.deepEqual(written(), ['a', 'bc', 'def', 'g', 'h']);
  });

  it('sends a full batch beside the write that is under way', () => {
    const { clock, offer, written } = setUp();
    offer('a');
    clock.turn();
    offer('bcde');
    clock.turn();
    assert.deepEqual(written(), ['a', 'bcd']);
  });

  it('sends a batch that is full by bytes, and an item that is too large alone', async () => {
    const { clock, batcher, written, writes } = setUp({ maxBytes: 10, maxInFlight: 1 });
    batcher.offer('a', 6);
    batcher.offer('b', 4);
    batcher.offer('c', 1);
    batcher.offer('D', 50);
    clock.turn();
    assert.deepEqual(written(), ['ab']);
    await writes[0]!.end();
    await writes[1]!.end();
    assert.deepEqual(written(), ['ab', 'c', 'D']);
  });

  it('sends what has waited long enough beside the write that is under way', () => {
    const { clock, offer, written } = setUp();
    offer('a');
    clock.turn();
    offer('b');
    clock.turn();
    clock.advance(9);
    offer('c');
    clock.turn();
    assert.deepEqual(written(), ['a']);
    clock.advance(1);
    assert.deepEqual(written(), ['a', 'bc']);
  });

  it('never has more writes under way than allowed', async () => {
    const { clock, offer, written, writes, batcher } = setUp();
    offer('abcdefghi');
    clock.turn();
    clock.advance(100);
    assert.deepEqual(written(), ['abc', 'def']);
    assert.equal(batcher.inFlight, 2);
    assert.equal(batcher.queued, 3);
    await writes[1]!.end();
    assert.deepEqual(written(), ['abc', 'def', 'ghi']);
  });

  it('keeps groups apart, and gives each its turn', async () => {
    const { clock, offer, writes } = setUp();
    offer('abcdef', 'x');
    offer('p', 'y');
    offer('q', 'z');
    clock.turn();
    await writes[0]!.end();
    await writes[1]!.end();
    assert.deepEqual(
      writes.map(({ items, group }) => [group, items]),
      [
        ['x', 'abc'],
        ['y', 'p'],
        ['z', 'q'],
        ['x', 'def'],
      ],
    );
  });

  it('writes one batch of a group at a time where the order matters', async () => {
    const { clock, offer, writes, written } = setUp({ maxInFlightPerGroup: 1 });
    offer('abcd');
    clock.turn();
    clock.advance(100);
    assert.deepEqual(written(), ['abc']);
    await writes[0]!.end();
    assert.deepEqual(written(), ['abc', 'd']);
  });

  it('refuses what the queue has no room for', () => {
    const { clock, batcher } = setUp({ maxQueue: 2, maxInFlight: 1 });
    assert.equal(batcher.offer('a', 1), true);
    assert.equal(batcher.offer('b', 1), true);
    assert.equal(batcher.offer('c', 1), false);
    clock.turn(); // a and b are being written now, and wait no longer
    assert.equal(batcher.offer('c', 1), true);
  });

  it('refuses what would be too many bytes, unless it is alone', () => {
    const { clock, batcher } = setUp({ maxQueueBytes: 10, maxInFlight: 1 });
    assert.equal(batcher.offer('a', 50), true);
    assert.equal(batcher.offer('b', 1), false);
    clock.turn(); // a is being written now
    assert.equal(batcher.offer('b', 6), true);
    assert.equal(batcher.offer('c', 4), true);
    assert.equal(batcher.offer('d', 1), false);
    assert.equal(batcher.clear().length, 2);
    assert.equal(batcher.offer('d', 10), true);
  });

  it('drains: sends all without waiting for company, and resolves when all is written', async () => {
    const { clock, offer, writes, written, batcher } = setUp();
    offer('a');
    clock.turn();
    offer('b');
    let drained = false;
    const draining = batcher.drain().then(() => (drained = true));
    assert.deepEqual(written(), ['a', 'b']);
    await writes[0]!.end();
    assert.equal(drained, false);
    await writes[1]!.end();
    await draining;
    await batcher.drain(); // nothing left: at once
  });

  it('gives back what waits, and is drained when the rest is written', async () => {
    const { clock, offer, writes, batcher } = setUp({ maxInFlight: 1 });
    offer('abcde');
    clock.turn();
    const draining = batcher.drain();
    assert.deepEqual(batcher.clear(), ['d', 'e']);
    assert.equal(batcher.queued, 0);
    await writes[0]!.end();
    await draining;
    assert.equal(writes.length, 1);
  });
});
