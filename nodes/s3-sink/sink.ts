import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { atMost } from '../adapter/waiting.js';
import { tagOf } from '../lib/delivery/carried.js';
import type { Outcome } from '../lib/delivery/outcome.js';
import { ConfigError, messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import { identityOf } from '../lib/identity.js';
import type { Message } from '../lib/message.js';
import { spoolFile } from '../lib/spool/place.js';
import { bytesOf, type Counts, type NewRecord } from '../lib/spool/record.js';
import type { Spool } from '../lib/spool/spool.js';
import type { ObjectStore } from '../object-store/store.js';
import { NodeSpool, type NodeSpoolContext } from '../spooling/node-spool.js';
import type { Clock } from './clock.js';
import { COMPRESSIONS } from './compression.js';
import type { Config } from './config.js';
import { recordFormat, type RecordFormat } from './format.js';
import { isInOurEra, ObjectKeys } from './object-keys.js';
import { suffixOf } from './object-suffix.js';
import { OpenObject } from './open-object.js';
import { OpenObjects } from './open-objects.js';
import { SecondDocuments } from './second-documents.js';
import { encodeIdentity, encodeRecord, type ObjectHead } from './spooled-object.js';
import { Storing, type StoringContext } from './storing.js';
import { Uploads } from './uploads.js';

const STORED = 0;
const number = new Intl.NumberFormat('en-US');
const PARALLEL_UPLOADS = 4;
/** Among the ids of objects: the look for the store at the start. */
const CHECK = 0;
/** How many identities are known again, also of records that were stored long ago. */
const IDENTITIES = 100_000;
/** Of the time that a node has to close: for what it has been given to reach the spool, and for the store. */
const APPEND_LIMIT_MS = 2_000;
const STORE_LIMIT_MS = 6_000;

export type SinkContext = StoringContext &
  NodeSpoolContext &
  Pick<NodeContext<Config, unknown>, 'config' | 'userDir' | 'status' | 'isWired'>;

export interface Ports {
  readonly store: ObjectStore;
  readonly clock: Clock;
}

/** A message as it stands in an object. */
interface Line {
  /** Of its line with the end. */
  readonly bytes: number;
  readonly partition: string;
  readonly record: Omit<NewRecord, 'bundle'>;
}

/**
 * Gathers messages to objects of lines, one open object a partition, and stores them. A message is done when its record is
 * in the spool: what is there is the objects, open ones and those on their way, and outlives the process.
 */
export class S3Sink implements Behaviour {
  readonly #context: SinkContext;
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #format: RecordFormat;
  readonly #keys: ObjectKeys;
  readonly #documents = new SecondDocuments();
  readonly #objects: OpenObjects;
  readonly #uploads: Uploads;
  readonly #storing: Storing;
  readonly #spool: NodeSpool;
  /** Rolled, with records on their way into the spool. */
  readonly #rolling = new Set<Promise<void>>();
  #lastId = CHECK;
  #away = false;
  /** Messages on their way into the spool. */
  #appending = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  /** @throws ConfigError when the key is wrong */
  constructor(context: SinkContext, { store, clock }: Ports) {
    const { config, instance, userDir } = context;
    if (userDir === undefined)
      throw new ConfigError('expected a user folder for the spool, got none', { code: 'spool' });
    this.#context = context;
    this.#store = store;
    this.#clock = clock;
    this.#format = recordFormat(config, instance);
    this.#keys = new ObjectKeys(config, suffixOf(this.#format, config.compression), instance);
    this.#objects = new OpenObjects({
      config: { ...config, maxBytes: Math.min(config.maxBytes, config.maxBufferedBytes) },
      clock,
      begin: (partition) => this.#begin(partition),
      rolled: (object) => this.#roll(object),
    });
    this.#uploads = new Uploads({
      clock,
      parallel: Math.max(1, Math.min(PARALLEL_UPLOADS, Math.floor(config.maxBufferedBytes / config.maxBytes))),
      attempt: (id, signal) => (id === CHECK ? this.#look(signal) : this.#storing.store(id, signal)),
      failed: (id, error) => this.#failed(id, error),
      changed: () => this.#show(),
    });
    this.#spool = new NodeSpool(context, {
      file: spoolFile(userDir, context.id),
      rememberIdentities: IDENTITIES,
      opened: (spool) => this.#goOn(spool),
      changed: () => this.#show(),
    });
    this.#storing = new Storing(context, { store, spool: this.#spool, keys: this.#keys, clock });
    void this.#spool.keepOpening();
  }

  /** Finds out at once whether the store takes objects, and not only with the first. */
  start(): void {
    this.#context.status('busy', `looking for ${this.#store.place}`);
    this.#uploads.add(CHECK);
  }

  /**
   * Resolves when the record of the message is durable in the spool, or has been there before.
   *
   * @throws RejectedError `payload`, `too-large`, `key-field`, `key`, `same-identity`
   * @throws UnavailableError `spool-full` and what else the disk says; `closed`
   */
  async input(message: Message, send: Send): Promise<Outcome> {
    if (this.#idle !== undefined) throw closedError();
    const line = this.#lineOf(message);
    const object = await this.#append(line);
    this.#context.counters.add(object === undefined ? 'duplicate' : 'spooled');
    this.#show();
    if (this.#context.isWired(STORED)) {
      send(object === undefined ? message : { ...message, object: object.key, spooled: true }, STORED);
    }
    return object === undefined ? 'stored' : 'spooled';
  }

  onDisk(): Counts | undefined {
    return this.#spool.counts;
  }

  spooled(): number | undefined {
    const { left } = this.#spool;
    return left === undefined ? undefined : left + this.#appending;
  }

  /** Ends the open objects: what comes then begins others. */
  flush(): void {
    this.#objects.rollAll();
  }

  /** Stores what is open and what waits, for some seconds, and as long as the store takes it; the rest stays in the spool. */
  async close(): Promise<void> {
    this.#idle = Promise.withResolvers<void>();
    if (this.#appending > 0) await atMost(APPEND_LIMIT_MS, this.#idle.promise);
    this.#spool.stop();
    this.#objects.rollAll();
    await atMost(0, Promise.all(this.#rolling)); // one with records that are still on their way is for who comes after
    await this.#uploads.finish(STORE_LIMIT_MS);
    await this.#spool.close();
  }

  /** @returns the object that it is in; undefined when it has been there before, in this one or another */
  async #append({ partition, bytes, record }: Line): Promise<OpenObject | undefined> {
    this.#appending++;
    try {
      const spool = await this.#spool.open();
      if (this.#spool.stopping.aborted) throw closedError();
      const object = this.#objects.withRoom(partition, bytes);
      const { bundle } = object;
      const taken = object.take(bytes, bytesOf(record), () => spool.append({ ...record, bundle }));
      this.#objects.rollFull(partition);
      return (await taken) ? object : undefined;
    } catch (error) {
      if (error instanceof UnavailableError) this.#context.counters.add('refused', 1, error.code);
      throw error;
    } finally {
      if (--this.#appending === 0) this.#idle?.resolve();
    }
  }

  #lineOf(message: Message): Line {
    const { maxBufferedBytes } = this.#context.config;
    const receivedAt = receiptOf(message) ?? this.#clock.now();
    const text = this.#format.line(message, receivedAt);
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > maxBufferedBytes) {
      throw new RejectedError(`expected a record of at most ${maxBufferedBytes} bytes, got ${bytes}`, {
        code: 'too-large',
      });
    }
    const { partition, time, eventTimeMissing } = this.#keys.place(message, receivedAt);
    if (eventTimeMissing) this.#context.counters.add('event-time-missing');
    const identity = this.#identityOf(message);
    if (identity !== undefined) {
      const own = receiptOf(message) === undefined ? this.#format.line(message, 0) : text;
      this.#documents.check(identity, message, own);
    }
    return {
      bytes,
      partition,
      record: { at: this.#clock.now(), delivery: tagOf(message), identity, body: encodeRecord(time, text) },
    };
  }

  /** None where it is not whole characters: on its way to the disk it could become that of another. */
  #identityOf(message: Message): string | undefined {
    const identity = identityOf(message);
    if (identity?.isWellFormed() !== true) return undefined;
    return encodeIdentity(this.#keys.placeOf(message), identity);
  }

  #begin(partition: string): OpenObject {
    const { compression, format, line } = this.#context.config;
    const { head, contentType } = this.#format;
    const key = this.#keys.newKey(partition, this.#clock.now());
    const about: ObjectHead = {
      key,
      partition,
      lines: format === 'csv' ? 'csv' : line,
      head,
      compression,
      contentType: COMPRESSIONS[compression].contentType ?? contentType,
    };
    const headBytes = head === undefined ? 0 : Buffer.byteLength(head) + 1;
    return new OpenObject(key, { id: ++this.#lastId, about: JSON.stringify(about) }, headBytes);
  }

  /** It may be read back when all of it is there. */
  #roll(object: OpenObject): void {
    const rolling = object.settled().then(() => {
      this.#rolling.delete(rolling);
      if (object.records > 0) this.#uploads.add(object.bundle.id);
    });
    this.#rolling.add(rolling);
  }

  /** What an earlier run has left takes no more records: it may have been on its way. */
  async #goOn(spool: Spool): Promise<void> {
    for (const id of await spool.bundles()) {
      this.#lastId = Math.max(this.#lastId, id);
      this.#uploads.add(id);
    }
  }

  /** An object that was stored meanwhile has said more. */
  async #look(signal: AbortSignal): Promise<void> {
    if (this.#context.counters.total('objects') === 0) await this.#store.check(signal);
  }

  #failed(id: number, error: unknown): void {
    if (id !== CHECK) this.#context.counters.add('retried');
    if (!this.#away) this.#context.log('warn', 'cannot store objects; trying again', { error: messageOf(error) });
    this.#away = true;
  }

  #show(): void {
    const { status, counters, log } = this.#context;
    const failure = this.#uploads.failure;
    if (this.#away && failure === undefined) {
      this.#away = false;
      log('info', 'objects are stored again');
    }
    const wrong = this.#spool.problem?.message ?? failure;
    const stored = (): string =>
      `${counted(counters.total('objects'), 'object')}, ${counted(counters.total('stored'), 'record')}`;
    const spooled = (): string[] => (this.#spool.records > 0 ? [`${number.format(this.#spool.records)} spooled`] : []);
    if (wrong !== undefined) status('error', () => [...spooled(), wrong].join('; '));
    else status('ok', () => [stored(), ...spooled()].join('; '));
  }
}

function receiptOf({ receivedAt }: Message): number | undefined {
  return typeof receivedAt === 'number' && isInOurEra(receivedAt) ? receivedAt : undefined;
}

function closedError(): UnavailableError {
  return new UnavailableError('expected an open node, got a message while it closes', { code: 'closed' });
}

function counted(count: number, noun: string): string {
  return `${number.format(count)} ${noun}${count === 1 ? '' : 's'}`;
}
