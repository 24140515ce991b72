import { batchClock } from '../adapter/batch-clock.js';
import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import { atMost, pause } from '../adapter/waiting.js';
import { Batcher } from '../lib/batch.js';
import { type DeadLetter, type DeadLetterDraft, DeadLetters, type LetterFilter } from '../lib/dead-letter.js';
import { ConfigError, UnavailableError } from '../lib/errors.js';
import { OrderedIds } from '../lib/identity.js';
import type { Config } from './config.js';
import type { LetterStore } from './store.js';

type QueueContext = Pick<NodeContext<Config, unknown>, 'config' | 'counters' | 'status' | 'log'>;

interface Entry {
  readonly letter: DeadLetter;
  readonly kept: PromiseWithResolvers<void>;
}

const BATCH = { maxCount: 500, maxBytes: 4_194_304, maxWaitMs: 10, maxInFlight: 1 };
const RETRY = { initialMs: 100, maximumMs: 2_000 };
const CLOSE_LIMIT_MS = 3_000;
const LISTED = 20;
const MOST_LISTED = 1_000;
/** A list ends before it is larger, but for its first letter. */
const MOST_LISTED_BYTES = 64 * 1024 * 1024;
/** About what a letter takes beside its payload. */
const ENVELOPE_BYTES = 600;
const counted = new Intl.NumberFormat('en');

/** Keeps what no node would take. A letter is kept when it is durable; while the store is away it waits. */
export class DeadLetterQueue extends DeadLetters implements Behaviour {
  readonly #context: QueueContext;
  readonly #store: LetterStore;
  readonly #batcher: Batcher<Entry>;
  readonly #ids = new OrderedIds();
  readonly #listeners = new Set<() => void>();
  readonly #open = new Set<Entry>();
  readonly #givingUp = new AbortController();
  #outage: string | undefined;
  #last: DeadLetter | undefined;

  constructor(context: QueueContext, store: LetterStore) {
    super();
    this.#context = context;
    this.#store = store;
    const { maxQueue, maxQueueBytes } = context.config;
    this.#batcher = new Batcher({ ...BATCH, maxQueue, maxQueueBytes }, batchClock(), (entries) => this.#write(entries));
    this.#show();
  }

  /** What has been kept, and what the last was for; or why nothing is kept at the moment. */
  get state(): { readonly level: 'ok' | 'error'; readonly text: string } {
    const kept = `${counted.format(this.#context.counters.total('kept'))} kept`;
    if (this.#outage !== undefined) {
      return { level: 'error', text: `${counted.format(this.#open.size)} waiting; ${this.#outage}` };
    }
    const last = this.#last;
    return {
      level: 'ok',
      text: last === undefined ? kept : `${kept}; last: ${last.reason.code} from ${last.node.name}`,
    };
  }

  /** Calls back on each change of `state`, until the returned function is called. */
  onState(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async keep(draft: DeadLetterDraft): Promise<void> {
    if (this.#givingUp.signal.aborted) throw closedError();
    const { version, ...others } = draft;
    const letter = { version, id: this.#ids.next(Date.parse(draft.at)), ...others };
    const entry: Entry = { letter, kept: Promise.withResolvers<void>() };
    const bytes = ENVELOPE_BYTES + (letter.message.payload?.data.length ?? 0);
    if (!this.#batcher.offer(entry, bytes)) {
      this.#context.counters.add('refused', 1, 'queue-full');
      const { maxQueue, maxQueueBytes } = this.#context.config;
      throw new UnavailableError(
        `expected at most ${maxQueue} waiting letters of ${maxQueueBytes} bytes together, got one more`,
        { code: 'queue-full' },
      );
    }
    this.#context.counters.add('received');
    this.#open.add(entry);
    await entry.kept.promise;
  }

  find(filter: LetterFilter, count: number): Promise<DeadLetter[]> {
    return this.#store.find(filter, count, MOST_LISTED_BYTES);
  }

  async markReplayed(ids: readonly string[]): Promise<void> {
    await this.#store.markReplayed(ids);
    this.#context.counters.add('replayed', ids.length);
  }

  /** `GET /sluice/node/:id/letters?count=20`: the last ones, the newest first; fewer where they are large. */
  async view(name: string, query: Readonly<Record<string, unknown>>): Promise<{ letters: DeadLetter[] }> {
    if (name !== 'letters') throw new ConfigError(`expected letters, got ${name}`, { code: 'view' });
    const count = query['count'] === undefined ? LISTED : Number(query['count']);
    if (!Number.isInteger(count) || count < 1 || count > MOST_LISTED) {
      throw new ConfigError(`count: expected a whole number from 1 to ${MOST_LISTED}, got ${String(query['count'])}`, {
        code: 'view',
      });
    }
    return { letters: await this.#store.last(count, MOST_LISTED_BYTES) };
  }

  /** Writes what waits. The nodes that use it have closed before, within 10 of the 15 s that Node-RED gives. */
  async close(): Promise<void> {
    await atMost(CLOSE_LIMIT_MS, this.#batcher.drain());
    this.#givingUp.abort();
    this.#batcher.clear();
    if (this.#open.size > 0) {
      this.#context.log('error', 'closed with dead letters that could not be kept', { letters: this.#open.size });
      this.#context.counters.add('abandoned', this.#open.size, 'closed');
    }
    for (const { kept } of this.#open) kept.reject(closedError());
    this.#open.clear();
    this.#listeners.clear();
    await this.#store.close();
  }

  /** Settles every entry; never rejects. */
  async #write(entries: readonly Entry[]): Promise<void> {
    try {
      let open = entries;
      for (let attempt = 0; ; attempt++) {
        const failures = await this.#store.append(open.map(({ letter }) => letter));
        open = this.#settle(open, failures);
        if (open.length === 0) return;
        const { signal } = this.#givingUp;
        await pause(attempt, RETRY, signal);
        if (signal.aborted) return; // `close` answers for what is open
      }
    } catch (error) {
      // Such as a letter that is longer than a text may be.
      for (const entry of entries) if (this.#open.has(entry)) this.#refuse(entry, error);
    }
  }

  /** @returns what is to be tried again */
  #settle(entries: readonly Entry[], failures: ReadonlyMap<number, Error>): Entry[] {
    const again: Entry[] = [];
    let outage: string | undefined;
    for (const [index, entry] of entries.entries()) {
      const failure = failures.get(index);
      if (failure instanceof UnavailableError) {
        outage = failure.message;
        again.push(entry);
        continue;
      }
      if (failure === undefined) {
        this.#open.delete(entry);
        this.#context.counters.add('kept', 1, entry.letter.reason.code);
        this.#last = entry.letter;
        entry.kept.resolve();
      } else {
        this.#refuse(entry, failure);
      }
    }
    if (outage !== undefined && this.#outage === undefined) {
      this.#context.log('warn', 'cannot keep dead letters, will try again', {
        place: this.#store.place,
        reason: outage,
      });
    }
    this.#outage = outage;
    this.#show();
    return again;
  }

  #refuse(entry: Entry, error: unknown): void {
    this.#open.delete(entry);
    this.#context.counters.add('refused', 1, 'store');
    entry.kept.reject(error);
  }

  #show(): void {
    const { level, text } = this.state;
    this.#context.status(level, text);
    for (const listener of this.#listeners) listener();
  }
}

function closedError(): UnavailableError {
  return new UnavailableError('expected the letter to be kept before the queue was closed, got no answer', {
    code: 'closed',
  });
}
