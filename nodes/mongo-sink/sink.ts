import { setTimeout as delay } from 'node:timers/promises';
import type { AnyBulkWriteOperation, IndexDirection } from 'mongodb';
import { batchClock } from '../adapter/batch-clock.js';
import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { backoffDelay } from '../lib/backoff.js';
import { Batcher } from '../lib/batch.js';
import { ConfigError, describeValue, messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { templateScope } from '../lib/scope.js';
import { compileTemplate } from '../lib/template.js';
import { isDuplicateId, type WriteFailures } from '../mongo-connection/bulk-write.js';
import { collectionNameProblem, type ConnectionState, type IndexKeys } from '../mongo-connection/connection.js';
import type { Config } from './config.js';
import { compileDocument, type DocumentOf } from './document.js';
import { compileOperation, type OperationOf } from './operation.js';

/** What the sink needs of a database: `MongoConnection`. */
export interface Store {
  /** Hosts and database, for the status. */
  readonly address: string;
  readonly state: ConnectionState;
  onState(listener: (state: ConnectionState) => void): () => void;
  write(
    collection: string,
    operations: readonly AnyBulkWriteOperation[],
    options: { readonly ordered: boolean },
  ): Promise<WriteFailures>;
  createIndex(collection: string, keys: IndexKeys, options: { readonly unique: boolean }): Promise<void>;
}

export type SinkContext = Pick<
  NodeContext<Config, unknown>,
  'config' | 'instance' | 'counters' | 'closing' | 'status' | 'log' | 'isWired'
>;

/** A message on its way into the store. */
interface Entry {
  readonly operation: AnyBulkWriteOperation;
  readonly stored: PromiseWithResolvers<void>;
  readonly collection: string;
  /** `_id`, where it is the same when the message comes again. */
  readonly id: string | number | undefined;
  readonly messageId: string | undefined;
}

const STORED = 0;
const FLUSH_LIMIT_MS = 10_000;
const RETRY = { initialMs: 100, maximumMs: 2_000 };
const counted = new Intl.NumberFormat('en');

/**
 * Stores messages as documents, in batches. A message is done when its document is durable under the write concern, or is
 * found to have been stored before; until then it stays open, which is what holds back the source.
 */
export class MongoSink implements Behaviour {
  readonly #context: SinkContext;
  readonly #store: Store;
  readonly #batcher: Batcher<Entry>;
  readonly #documentOf: DocumentOf;
  readonly #collectionOf: (scope: () => object) => string;
  readonly #operationOf: OperationOf;
  readonly #ordered: boolean;
  readonly #answersStored: boolean;
  readonly #open = new Set<Entry>();
  /** The open messages that carry an `_id` of their own, by it. */
  readonly #openIds = new Map<string | number, Entry>();
  readonly #indexed = new Set<string>();
  readonly #givingUp = new AbortController();
  readonly #forget: () => void;
  #outage: string | undefined;
  #indexProblem: string | undefined;

  /** @throws ConfigError `setting` for a mapping, a key or a collection that cannot be */
  constructor(context: SinkContext, store: Store) {
    const { config } = context;
    this.#context = context;
    this.#store = store;
    this.#documentOf = compileDocument(config);
    this.#collectionOf = compileCollection(config.collection);
    this.#operationOf = compileOperation(config);
    this.#ordered = config.operation === 'upsert';
    this.#answersStored = context.isWired(STORED);
    this.#batcher = new Batcher(
      {
        maxCount: config.maxBatchCount,
        maxBytes: config.maxBatchBytes,
        maxWaitMs: config.maxBatchWait,
        maxInFlight: config.maxInFlight,
        // Two upserts of one key must not overtake each other: the state that came last is the one to stay.
        ...(this.#ordered ? { maxInFlightPerGroup: 1 } : {}),
        maxQueue: config.maxQueue,
      },
      batchClock(),
      (entries, collection) => this.#write(entries, collection),
    );
    this.#forget = store.onState(() => this.#show());
    this.#show();
    if (compileTemplate(config.collection).roots.length === 0) this.#ensureIndexes(this.#collectionOf(() => ({})));
  }

  /**
   * Resolves when the document is durable.
   *
   * @throws RejectedError for a message that no document can be made of, or whose document the server refuses
   * @throws UnavailableError `queue-full`; `closed` when the node was closed before the server took it
   */
  input(message: Message, send: Send): Promise<void> {
    let scope: object | undefined;
    const lazyScope = (): object =>
      (scope ??= templateScope(message, {
        instance: this.#context.instance,
        receivedAt: message.receivedAt ?? Date.now(),
      }));
    const collection = this.#collectionOf(lazyScope);
    const { operation, id, bytes } = this.#operationOf(this.#documentOf(message, lazyScope), message);
    const entry: Entry = {
      operation,
      stored: Promise.withResolvers<void>(),
      collection,
      id: typeof id === 'string' || typeof id === 'number' ? id : undefined,
      messageId: message._msgid,
    };
    if (!this.#ordered) this.#checkIdentity(entry);
    if (this.#givingUp.signal.aborted) throw closedError();
    if (!this.#batcher.offer(entry, bytes, collection)) {
      this.#context.counters.add('refused', 1, 'queue-full');
      throw new UnavailableError(`expected at most ${this.#context.config.maxQueue} waiting messages, got one more`, {
        code: 'queue-full',
      });
    }
    this.#open.add(entry);
    if (entry.id !== undefined && !this.#openIds.has(entry.id)) this.#openIds.set(entry.id, entry);
    const { promise } = entry.stored;
    return this.#answersStored ? promise.then(() => send(message, STORED)) : promise;
  }

  /** Writes what waits, for at most 10 s; what then is still open has failed, and says so. */
  async close(): Promise<void> {
    const limit = new AbortController();
    await Promise.race([
      this.#batcher.drain(),
      delay(FLUSH_LIMIT_MS, undefined, { signal: limit.signal }).catch(() => undefined), // drained
    ]);
    limit.abort();
    this.#forget();
    this.#givingUp.abort();
    this.#batcher.clear();
    if (this.#open.size === 0) return;
    this.#context.log('error', 'closed with messages that the server did not take', { messages: this.#open.size });
    this.#context.counters.add('abandoned', this.#open.size);
    for (const entry of [...this.#open]) this.#reject(entry, closedError());
  }

  /**
   * E11000 on `_id` says that the document is there, which is what a redelivery should hear, also when it shares a batch
   * with the first delivery: the server then stores the first and refuses the second. But two documents that one
   * message was split into (a function node that sends twice, parts without identities of their own) carry the same
   * `_id` as well, and the second would be lost under the name of a duplicate. They are told apart by `_msgid`: copies
   * of one message keep it, a redelivery is given a new one. Seen only while the first is open, which is where parts
   * of one message meet: they arrive within a turn of the event loop, and a write takes longer. Once the first has been
   * answered, the same `_msgid` may be the source's next attempt at the whole message, and counts as one.
   */
  #checkIdentity({ id, messageId, collection }: Entry): void {
    if (id === undefined || messageId === undefined) return;
    const other = this.#openIds.get(id);
    if (other?.messageId !== messageId || other.collection !== collection) return;
    throw new RejectedError(
      `expected one document for each identity, got a second one with the _id ${describeValue(id)} from the same ` +
        'message: give its parts identities of their own',
      { code: 'same-identity' },
    );
  }

  /** Settles every entry; never rejects. */
  async #write(entries: Entry[], collection: string): Promise<void> {
    try {
      this.#ensureIndexes(collection);
      let open = entries;
      for (let attempt = 0; ; attempt++) {
        this.#context.counters.add('batches');
        const failures = await this.#store.write(
          collection,
          open.map(({ operation }) => operation),
          { ordered: this.#ordered },
        );
        open = this.#settle(open, failures);
        if (open.length === 0) return;
        await this.#pause(attempt);
        if (this.#givingUp.signal.aborted) return; // `close` answers for what is open
        this.#context.counters.add('retried', open.length);
      }
    } catch (error) {
      // Ours to mend: nothing that the server or a document can do ends here.
      for (const entry of entries) {
        if (this.#open.has(entry)) this.#reject(entry, error);
      }
    }
  }

  /** @returns what is to be tried again */
  #settle(entries: Entry[], failures: WriteFailures): Entry[] {
    const again: Entry[] = [];
    let stored = 0;
    let duplicates = 0;
    let outage: UnavailableError | undefined;
    for (const [index, entry] of entries.entries()) {
      const failure = failures.size === 0 ? undefined : failures.get(index);
      const duplicate = !this.#ordered && isDuplicateId(failure);
      if (!this.#open.has(entry)) continue; // given up meanwhile
      if (failure === undefined || duplicate) {
        stored++;
        if (duplicate) duplicates++;
        this.#leave(entry);
        entry.stored.resolve();
      } else if (failure instanceof UnavailableError) {
        outage = failure;
        again.push(entry);
      } else {
        this.#reject(entry, failure);
      }
    }
    if (stored > 0) this.#context.counters.add('stored', stored);
    if (duplicates > 0) this.#context.counters.add('duplicate', duplicates);
    if (outage === undefined) this.#outage = undefined;
    else this.#reportOutage(outage);
    this.#show();
    return again;
  }

  async #pause(attempt: number): Promise<void> {
    const { signal } = this.#givingUp;
    await delay(backoffDelay(attempt, RETRY), undefined, { signal }).catch(() => undefined); // giving up
  }

  #reportOutage({ message }: UnavailableError): void {
    if (this.#outage === undefined) {
      this.#context.log('warn', 'cannot store, will try again', { server: this.#store.address, reason: message });
    }
    this.#outage = message;
  }

  #reject(entry: Entry, error: unknown): void {
    this.#leave(entry);
    entry.stored.reject(error);
  }

  #leave(entry: Entry): void {
    this.#open.delete(entry);
    if (entry.id !== undefined && this.#openIds.get(entry.id) === entry) this.#openIds.delete(entry.id);
  }

  /** Begins to make the configured indexes of a collection, once; storing does not wait for them. */
  #ensureIndexes(collection: string): void {
    if (this.#context.config.indexes.length === 0 || this.#indexed.has(collection)) return;
    this.#indexed.add(collection);
    for (const { keys, unique } of this.#context.config.indexes) {
      void this.#createIndex(collection, keys, unique);
    }
  }

  async #createIndex(collection: string, keys: string, unique: boolean): Promise<void> {
    for (let attempt = 0; !this.#context.closing.aborted; attempt++) {
      try {
        await this.#store.createIndex(collection, indexKeys(keys), { unique });
        return;
      } catch (error) {
        if (!(error instanceof UnavailableError)) {
          this.#indexProblem = `index ${keys} of ${collection}: ${messageOf(error)}`;
          this.#context.log('warn', 'cannot make the index', { collection, keys, reason: messageOf(error) });
          this.#show();
          return;
        }
      }
      await delay(backoffDelay(attempt, RETRY), undefined, { signal: this.#context.closing }).catch(() => undefined); // closing
    }
  }

  #show(): void {
    const { state, address } = this.#store;
    const stored = this.#context.counters.total('stored');
    const total = `${counted.format(stored)} stored`;
    const outage = this.#outage ?? (state.kind === 'unavailable' ? state.sentence : undefined);
    if (outage !== undefined) {
      const waiting = this.#open.size === 0 ? '' : `${counted.format(this.#open.size)} waiting; `;
      this.#context.status('error', `${waiting}${outage}`);
    } else if (state.kind === 'connecting' && stored === 0) {
      this.#context.status('busy', `connecting to ${address}…`);
    } else if (this.#indexProblem !== undefined) {
      this.#context.status('warning', `${total}; ${this.#indexProblem}`);
    } else {
      this.#context.status('ok', total);
    }
  }
}

function closedError(): UnavailableError {
  return new UnavailableError('expected the server to take the document before the node was closed, got no answer', {
    code: 'closed',
  });
}

/** @throws ConfigError `setting` for a name that no collection can have */
export function compileCollection(text: string): (scope: () => object) => string {
  const template = compileTemplate(text);
  const fixed = template.roots.length === 0 ? template.render({}) : undefined;
  if (fixed !== undefined) {
    const problem = collectionNameProblem(fixed);
    if (problem === undefined) return () => fixed;
    throw new ConfigError(`/collection: ${problem}`, { code: 'setting', path: '/collection' });
  }
  return (scope) => {
    const name = template.render(scope());
    if (name === undefined) {
      throw new RejectedError(`expected a message with every field of ${text}, got one without`, {
        code: 'collection-name',
      });
    }
    const problem = collectionNameProblem(name);
    if (problem !== undefined) throw new RejectedError(problem, { code: 'collection-name' });
    return name;
  };
}

/** Reads `deviceUID:1,date:-1`; the form has checked it. */
function indexKeys(text: string): IndexKeys {
  const keys = new Map<string, IndexDirection>();
  for (const part of text.split(',')) {
    const colon = part.lastIndexOf(':');
    const direction = part.slice(colon + 1).trim();
    keys.set(part.slice(0, colon).trim(), (/^-?1$/.test(direction) ? Number(direction) : direction) as IndexDirection);
  }
  return keys;
}
