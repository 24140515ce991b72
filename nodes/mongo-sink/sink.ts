import type { AnyBulkWriteOperation } from 'mongodb';
import { batchClock } from '../adapter/batch-clock.js';
import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { atMost, FLUSH_LIMIT_MS, pause } from '../adapter/waiting.js';
import { Batcher } from '../lib/batch.js';
import { describeValue, RejectedError, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { templateScope } from '../lib/scope.js';
import { isDuplicateId, type WriteFailures } from '../mongo-connection/bulk-write.js';
import type { ConnectionState } from '../mongo-connection/connection.js';
import { type CollectionName, compileCollectionName } from './collection-name.js';
import { CollectionSetup, type SetupStore } from './collection-setup.js';
import type { Config } from './config.js';
import { compileDocument, type DocumentOf } from './document.js';
import { compileOperation, type OperationOf } from './operation.js';
import { type Conditional, findOutdated, type LookUp } from './outdated.js';

/** What the sink needs of a database: `MongoConnection`. */
export interface Store extends SetupStore, LookUp {
  /** Hosts and database, for the status. */
  readonly address: string;
  readonly state: ConnectionState;
  onState(listener: (state: ConnectionState) => void): () => void;
  write(
    collection: string,
    operations: readonly AnyBulkWriteOperation[],
    options: { readonly ordered: boolean },
  ): Promise<WriteFailures>;
}

export type SinkContext = Pick<
  NodeContext<Config, unknown>,
  'config' | 'instance' | 'counters' | 'closing' | 'status' | 'log' | 'isWired'
>;

/** A message on its way into the store. */
interface Entry extends Conditional {
  readonly operation: AnyBulkWriteOperation;
  readonly stored: PromiseWithResolvers<void>;
  readonly collection: string;
  /** `_id` of an insert, where it is the same when the message comes again. */
  readonly id: string | number | undefined;
  readonly messageId: string | undefined;
}

const STORED = 0;
const NONE: ReadonlySet<number> = new Set();
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
  readonly #collectionName: CollectionName;
  readonly #operationOf: OperationOf;
  readonly #setup: CollectionSetup;
  readonly #inserts: boolean;
  readonly #ordered: boolean;
  readonly #answersStored: boolean;
  readonly #open = new Set<Entry>();
  /** The open messages that carry an `_id` of their own, by it. */
  readonly #openIds = new Map<string | number, Entry>();
  readonly #givingUp = new AbortController();
  readonly #forget: () => void;
  #outage: string | undefined;

  /** @throws ConfigError `setting` for a mapping, a key, operators or a collection that cannot be */
  constructor(context: SinkContext, store: Store) {
    const { config } = context;
    this.#context = context;
    this.#store = store;
    this.#documentOf = compileDocument(config);
    this.#collectionName = compileCollectionName(config);
    this.#operationOf = compileOperation(config);
    this.#setup = new CollectionSetup(config, store, {
      closing: context.closing,
      givingUp: this.#givingUp.signal,
      warn: (sentence, fields) => context.log('warn', sentence, fields),
      changed: () => this.#show(),
    });
    this.#inserts = config.operation === 'insert';
    // Two writes to one key must not overtake each other: the state that came last is the one to stay.
    this.#ordered = config.ordered || !this.#inserts;
    this.#answersStored = context.isWired(STORED);
    this.#batcher = new Batcher(
      {
        maxCount: config.maxBatchCount,
        maxBytes: config.maxBatchBytes,
        maxWaitMs: config.maxBatchWait,
        maxInFlight: config.maxInFlight,
        ...(this.#ordered ? { maxInFlightPerGroup: 1 } : {}),
        maxQueue: config.maxQueue,
        maxQueueBytes: config.maxQueueBytes,
      },
      batchClock(),
      (entries, collection) => this.#write(entries, collection),
    );
    this.#forget = store.onState(() => this.#show());
    this.#show();
    const { fixed } = this.#collectionName;
    if (fixed !== undefined) void this.#setup.ready(fixed);
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
    const document = this.#documentOf(message, lazyScope);
    const { operation, id, newer, bytes } = this.#operationOf(document, message, lazyScope);
    const collection = this.#collectionName.of(lazyScope);
    const entry: Entry = {
      operation,
      stored: Promise.withResolvers<void>(),
      collection,
      id,
      messageId: message._msgid,
      ...(newer === undefined ? {} : { newer }),
      collisions: 0,
    };
    this.#checkIdentity(entry);
    if (this.#givingUp.signal.aborted) throw closedError();
    if (!this.#batcher.offer(entry, bytes, collection)) {
      this.#context.counters.add('refused', 1, 'queue-full');
      const { maxQueue, maxQueueBytes } = this.#context.config;
      throw new UnavailableError(
        `expected at most ${maxQueue} waiting messages of ${maxQueueBytes} bytes together, got one more`,
        { code: 'queue-full' },
      );
    }
    this.#open.add(entry);
    if (entry.id !== undefined && !this.#openIds.has(entry.id)) this.#openIds.set(entry.id, entry);
    const { promise } = entry.stored;
    return this.#answersStored ? promise.then(() => send(message, STORED)) : promise;
  }

  /** Writes what waits, for at most 10 s; what then is still open has failed, and says so. */
  async close(): Promise<void> {
    await atMost(FLUSH_LIMIT_MS, this.#batcher.drain());
    this.#forget();
    this.#givingUp.abort();
    this.#batcher.clear();
    if (this.#open.size === 0) return;
    this.#context.log('error', 'closed with messages that the server did not take', { messages: this.#open.size });
    this.#context.counters.add('abandoned', this.#open.size, 'closed');
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
      const setup = this.#setup.ready(collection);
      if (setup !== undefined) await setup;
      let open = entries;
      for (let attempt = 0; open.length > 0; attempt++) {
        if (attempt > 0) await pause(attempt - 1, RETRY, this.#givingUp.signal);
        if (this.#givingUp.signal.aborted) return; // `close` answers for what is open
        this.#context.counters.add('batches');
        if (attempt > 0) this.#context.counters.add('retried', open.length);
        const failures = await this.#store.write(
          collection,
          open.map(({ operation }) => operation),
          { ordered: this.#ordered },
        );
        open = await this.#settle(open, failures, collection);
      }
    } catch (error) {
      // Ours to mend: nothing that the server or a document can do ends here.
      for (const entry of entries) {
        if (this.#open.has(entry)) this.#reject(entry, error);
      }
    }
  }

  /** @returns what is to be tried again */
  async #settle(entries: Entry[], refused: WriteFailures, collection: string): Promise<Entry[]> {
    const { outdated, failures } =
      refused.size === 0 || this.#context.config.newerOnly === undefined
        ? { outdated: NONE, failures: refused }
        : await findOutdated(this.#store, collection, entries, refused);
    const again: Entry[] = [];
    const counts = { stored: 0, duplicate: 0, outdated: 0 };
    let outage: UnavailableError | undefined;
    for (const [index, entry] of entries.entries()) {
      if (!this.#open.has(entry)) continue; // given up meanwhile
      const failure = failures.size === 0 ? undefined : failures.get(index);
      const duplicate = this.#inserts && isDuplicateId(failure);
      if (failure === undefined || duplicate) {
        counts.stored++;
        if (duplicate) counts.duplicate++;
        if (outdated.has(index)) counts.outdated++;
        this.#leave(entry);
        entry.stored.resolve();
      } else if (failure instanceof UnavailableError) {
        outage = failure;
        again.push(entry);
      } else {
        this.#reject(entry, failure);
      }
    }
    for (const [name, count] of Object.entries(counts)) if (count > 0) this.#context.counters.add(name, count);
    if (outage === undefined) this.#outage = undefined;
    else this.#reportOutage(outage);
    this.#show();
    return again;
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

  #show(): void {
    const { state, address } = this.#store;
    const stored = this.#context.counters.total('stored');
    const total = `${counted.format(stored)} stored`;
    const outage = this.#outage ?? this.#setup.held ?? (state.kind === 'unavailable' ? state.sentence : undefined);
    if (outage !== undefined) {
      const waiting = this.#open.size === 0 ? '' : `${counted.format(this.#open.size)} waiting; `;
      this.#context.status('error', `${waiting}${outage}`);
    } else if (state.kind === 'connecting' && stored === 0) {
      this.#context.status('busy', `connecting to ${address}…`);
    } else if (this.#setup.warning !== undefined) {
      this.#context.status('warning', `${total}; ${this.#setup.warning}`);
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
