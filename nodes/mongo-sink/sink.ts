import { batchClock } from '../adapter/batch-clock.js';
import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { atMost, FLUSH_LIMIT_MS, pause } from '../adapter/waiting.js';
import { Batcher } from '../lib/batch.js';
import { tagOf } from '../lib/delivery/carried.js';
import type { DeliveryTag, Outcome } from '../lib/delivery/outcome.js';
import { UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { templateScope } from '../lib/scope.js';
import type { Counts, SpoolRecord } from '../lib/spool/record.js';
import type { WriteFailures } from '../mongo-connection/bulk-write.js';
import type { ConnectionState } from '../mongo-connection/connection.js';
import { Backlog, type BacklogContext, type NotStored } from '../spooling/backlog.js';
import { type CollectionName, compileCollectionName } from './collection-name.js';
import { CollectionSetup, type SetupStore } from './collection-setup.js';
import type { Config } from './config.js';
import { compileDocument, type DocumentOf } from './document.js';
import { type OpenEntry, OpenEntries } from './open-entries.js';
import { compileOperation, type OperationOf } from './operation.js';
import { encodeWrite, spooledMessage, writeSpooled } from './spooled-write.js';
import { showState } from './state.js';
import { type Write, Writer, type WriteStore } from './writer.js';

/** What the sink needs of a database: `MongoConnection`. */
export interface Store extends SetupStore, WriteStore {
  /** Hosts and database, for the status. */
  readonly address: string;
  readonly state: ConnectionState;
  onState(listener: (state: ConnectionState) => void): () => void;
}

export type SinkContext = BacklogContext &
  Pick<NodeContext<Config, unknown>, 'config' | 'closing' | 'status' | 'isWired'>;

/** A message on its way into the store. */
interface Entry extends Write, OpenEntry {
  readonly settled: PromiseWithResolvers<'stored' | 'spooled'>;
  readonly bytes: number;
  readonly identity: string | undefined;
  readonly delivery: DeliveryTag | undefined;
  /** On its way to the disk. */
  spooling: boolean;
}

const STORED = 0;
const RETRY = { initialMs: 100, maximumMs: 2_000 };
/** Of what a node that closes has, for what the server did not take to reach the disk. */
const SPOOL_LIMIT_MS = 2_000;

/**
 * Stores messages as documents, in batches. A message is done when its document is durable under the write concern, or is
 * found to have been stored before, or when it is durable in the spool; until then it stays open, which is what holds back
 * the source.
 */
export class MongoSink implements Behaviour {
  readonly #context: SinkContext;
  readonly #store: Store;
  readonly #batcher: Batcher<Entry>;
  readonly #documentOf: DocumentOf;
  readonly #collectionName: CollectionName;
  readonly #operationOf: OperationOf;
  readonly #setup: CollectionSetup;
  readonly #writer: Writer;
  /** What was spooled; undefined where there can be no spool. */
  readonly #backlog: Backlog | undefined;
  readonly #spools: boolean;
  readonly #ordered: boolean;
  readonly #answersStored: boolean;
  readonly #open = new OpenEntries<Entry>();
  readonly #givingUp = new AbortController();
  readonly #forget: () => void;
  #outage: string | undefined;
  /** Messages that wait to be told where to go. */
  #inLine = 0;

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
    // Two writes to one key must not overtake each other: the state that came last is the one to stay.
    this.#ordered = config.ordered || config.operation !== 'insert';
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
    this.#backlog = Backlog.of(context, {
      page: { records: config.maxBatchCount, bytes: config.maxBatchBytes },
      write: (records) => this.#drain(records),
      messageOf: spooledMessage,
      changed: () => this.#show(),
    });
    this.#spools = config.spool !== 'off' && this.#backlog !== undefined;
    this.#writer = new Writer({
      config,
      store,
      setup: this.#setup,
      counters: context.counters,
      ordered: this.#ordered,
      impatient: this.#spools,
    });
    this.#forget = store.onState(({ kind }) => {
      if (kind === 'connected') this.#backlog?.serverIsBack();
      else if (kind === 'unavailable' && this.#spools && !this.#ordered) this.#spoolOpen();
      this.#show();
    });
    this.#show();
    const { fixed } = this.#collectionName;
    if (fixed !== undefined) void this.#setup.ready(fixed);
  }

  /**
   * Resolves when the document is durable: in the database, or in the spool.
   *
   * @throws RejectedError for a message that no document can be made of, or whose document the server refuses
   * @throws UnavailableError `queue-full`, `spool-full` and what else the disk says; `closed` when the node was closed
   *   before the server took it
   */
  input(message: Message, send: Send): Promise<Outcome> {
    const entry = this.#entryOf(message);
    if (this.#givingUp.signal.aborted) throw closedError();
    this.#open.add(entry);
    this.#place(entry);
    const settled = entry.settled.promise;
    if (!this.#answersStored) return settled;
    return settled.then((outcome) => {
      send(outcome === 'spooled' ? { ...message, spooled: true } : message, STORED);
      return outcome;
    });
  }

  onDisk(): Counts | undefined {
    return this.#backlog?.counts;
  }

  spooled(): number | undefined {
    return this.#backlog === undefined ? 0 : this.#backlog.left;
  }

  /**
   * Writes what waits, for some seconds; what the server has not taken then goes to the spool, and is written by the node
   * that comes after. Without a spool it has failed, and says so.
   */
  async close(): Promise<void> {
    if (!this.#spools) await atMost(FLUSH_LIMIT_MS, this.#batcher.drain());
    else if (!this.#isDown) await atMost(FLUSH_LIMIT_MS - SPOOL_LIMIT_MS, this.#batcher.drain());
    this.#forget();
    this.#givingUp.abort();
    if (this.#spools) {
      this.#spoolOpen();
      await atMost(SPOOL_LIMIT_MS, Promise.allSettled([...this.#open].map(({ settled }) => settled.promise)));
    }
    this.#batcher.clear();
    await this.#backlog?.close();
    if (this.#open.size === 0) return;
    this.#context.log('error', 'closed with messages that the server did not take', { messages: this.#open.size });
    this.#context.counters.add('abandoned', this.#open.size, 'closed');
    for (const entry of [...this.#open]) this.#reject(entry, closedError());
  }

  #entryOf(message: Message): Entry {
    let scope: object | undefined;
    const lazyScope = (): object =>
      (scope ??= templateScope(message, {
        instance: this.#context.instance,
        receivedAt: message.receivedAt ?? Date.now(),
      }));
    const document = this.#documentOf(message, lazyScope);
    const { operation, id, newer, bytes } = this.#operationOf(document, message, lazyScope);
    return {
      operation,
      bytes,
      settled: Promise.withResolvers<'stored' | 'spooled'>(),
      collection: this.#collectionName.of(lazyScope),
      id,
      messageId: message._msgid,
      identity: message.identity,
      delivery: tagOf(message),
      ...(newer === undefined ? {} : { newer }),
      collisions: 0,
      spooling: false,
    };
  }

  /** Where the order matters and something is on disk, that is before it. */
  #place(entry: Entry): void {
    if (!this.#ordered || this.#backlog?.isBusy !== true) {
      this.#offer(entry);
    } else if (this.#inLine >= this.#context.config.maxQueue) {
      this.#refuse(entry);
    } else {
      this.#inLine++;
      this.#backlog
        .turn()
        .then(
          (turn) => (turn === 'behind' && !entry.spooling ? this.#spool(entry) : this.#offer(entry)),
          (error: unknown) => this.#reject(entry, error),
        )
        .finally(() => this.#inLine--);
    }
  }

  #offer(entry: Entry): void {
    if (entry.spooling) return; // the node closes
    if (this.#spools && (this.#context.config.spool === 'always' || this.#isDown)) this.#spool(entry);
    else if (this.#batcher.offer(entry, entry.bytes, entry.collection)) return;
    // A server that is too slow is no better than one that is away; but what is in the queue comes first.
    else if (this.#spools && !this.#ordered) this.#spool(entry);
    else this.#refuse(entry);
  }

  /** No write has been taken since one failed; or the driver has no server. With nothing on disk, the next write tries. */
  get #isDown(): boolean {
    const failed = this.#outage !== undefined && this.#backlog?.isBusy === true;
    return failed || this.#store.state.kind === 'unavailable';
  }

  #refuse(entry: Entry): void {
    const { maxQueue, maxQueueBytes } = this.#context.config;
    this.#context.counters.add('refused', 1, 'queue-full');
    const sentence = `expected at most ${maxQueue} waiting messages of ${maxQueueBytes} bytes together, got one more`;
    this.#reject(entry, new UnavailableError(sentence, { code: 'queue-full' }));
  }

  /**
   * Also what is being written: an answer that does not come can take as long as the connection allows. Where it was written
   * after all, its record finds it there, by its `_id`; so not for an update, which could be done twice.
   */
  #spoolOpen(): void {
    this.#batcher.clear();
    for (const entry of this.#open) if (!entry.spooling) this.#spool(entry);
  }

  /** @param first - it was in the batch that failed, and is before all that is still under way */
  #spool(entry: Entry, first = false): void {
    const { config } = this.#context;
    if (this.#backlog === undefined || this.#backlog.waiting >= config.maxQueue) {
      this.#refuse(entry);
      return;
    }
    entry.spooling = true;
    const closing = this.#givingUp.signal.aborted;
    const others = this.#ordered && !first && !closing && this.#batcher.inFlight > 0;
    const { delivery, identity } = entry;
    this.#backlog
      .append(
        { at: Date.now(), delivery, identity, body: encodeWrite(entry) },
        others ? this.#batcher.drain() : undefined,
      )
      .then(
        () => this.#resolve(entry, 'spooled'),
        (error: unknown) => this.#reject(entry, error),
      );
  }

  /** Settles every entry; never rejects. */
  async #write(entries: Entry[], collection: string): Promise<void> {
    try {
      let open = entries;
      for (let attempt = 0; open.length > 0; attempt++) {
        if (attempt > 0) await pause(attempt - 1, RETRY, this.#givingUp.signal);
        if (this.#givingUp.signal.aborted) return; // `close` answers for what is open
        if (attempt > 0) this.#context.counters.add('retried', open.length);
        open = this.#settle(open, await this.#writer.write(collection, open));
        if (!this.#spools || open.length === 0) continue;
        for (const entry of open) this.#spool(entry, true);
        for (const entry of this.#batcher.clear()) this.#spool(entry);
        return;
      }
    } catch (error) {
      // Ours to mend: nothing that the server or a document can do ends here.
      for (const entry of entries) this.#reject(entry, error);
    }
  }

  /** @returns what is to be tried again */
  #settle(entries: Entry[], failures: WriteFailures): Entry[] {
    const again: Entry[] = [];
    for (const [index, entry] of entries.entries()) {
      const failure = failures.get(index);
      if (!this.#open.has(entry) || entry.spooling) continue; // given up meanwhile
      if (failure === undefined) this.#resolve(entry, 'stored');
      else if (failure instanceof UnavailableError) again.push(entry);
      else this.#reject(entry, failure);
    }
    this.#noteOutage(failures);
    return again;
  }

  async #drain(records: readonly SpoolRecord[]): Promise<ReadonlyMap<number, NotStored>> {
    const notStored = await writeSpooled(this.#writer, records);
    this.#noteOutage(notStored);
    return notStored;
  }

  #noteOutage(failures: ReadonlyMap<number, NotStored>): void {
    const outage = [...failures.values()].find((failure) => failure instanceof UnavailableError);
    if (outage !== undefined && this.#outage === undefined) {
      const { address } = this.#store;
      this.#context.log('warn', 'cannot store, will try again', { server: address, reason: outage.message });
    }
    this.#outage = outage?.message;
    this.#show();
  }

  #resolve(entry: Entry, outcome: 'stored' | 'spooled'): void {
    this.#open.delete(entry);
    entry.settled.resolve(outcome);
  }

  #reject(entry: Entry, error: unknown): void {
    this.#open.delete(entry);
    entry.settled.reject(error);
  }

  #show(): void {
    const { state, address } = this.#store;
    const { counters, config, status } = this.#context;
    const { level, text } = showState({
      address,
      stored: counters.total('stored'),
      waiting: this.#open.size,
      spooled: this.#backlog?.records ?? 0,
      alwaysSpools: config.spool === 'always',
      problem: this.#backlog?.problem,
      outage: this.#outage ?? this.#setup.held ?? (state.kind === 'unavailable' ? state.sentence : undefined),
      connecting: state.kind === 'connecting',
      warning: this.#setup.warning,
    });
    status(level, text);
  }
}

function closedError(): UnavailableError {
  return new UnavailableError('expected the server to take the document before the node was closed, got no answer', {
    code: 'closed',
  });
}
