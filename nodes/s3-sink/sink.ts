import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { FLUSH_LIMIT_MS } from '../adapter/waiting.js';
import { messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { ObjectStore, PutOutcome } from '../object-store/store.js';
import type { Clock } from './clock.js';
import { COMPRESSIONS } from './compression.js';
import type { Config } from './config.js';
import { recordFormat, type RecordFormat } from './format.js';
import { objectMetadata } from './metadata.js';
import { isInOurEra, ObjectKeys } from './object-keys.js';
import { suffixOf } from './object-suffix.js';
import { MemoryObject, type OpenObject } from './open-object.js';
import { Persistent } from './persistent.js';

const STORED = 0;
const MAX_OPEN = 64;
const PARALLEL_UPLOADS = 4;
/** In `#failing`, beside the keys of objects: no key is empty. */
const CHECK = '';

type Context = Pick<
  NodeContext<Config, unknown>,
  'id' | 'name' | 'flow' | 'config' | 'instance' | 'counters' | 'status' | 'log' | 'isWired'
>;

export interface Ports {
  readonly store: ObjectStore;
  readonly clock: Clock;
}

interface Partition {
  readonly object: OpenObject;
  readonly cancelRoll: () => void;
}

/** Gathers messages to objects of lines, one open object a partition, and stores them. */
export class S3Sink implements Behaviour {
  readonly #context: Context;
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #format: RecordFormat;
  readonly #keys: ObjectKeys;
  readonly #uploads: Persistent;
  /** By partition, the oldest first. */
  readonly #open = new Map<string, Partition>();
  readonly #storing = new Set<Promise<void>>();
  /** What is tried again, each with the sentence for the status. */
  readonly #failing = new Map<string, string>();
  /** Bytes in open objects. */
  #openBytes = 0;
  /** Bytes in objects that are open or on their way. */
  #bufferedBytes = 0;
  #closed = false;

  /** @throws ConfigError when the key is wrong */
  constructor(context: Context, { store, clock }: Ports) {
    this.#context = context;
    this.#store = store;
    this.#clock = clock;
    const { config, instance } = context;
    this.#format = recordFormat(config, instance);
    this.#keys = new ObjectKeys(config, suffixOf(this.#format, config.compression), instance);
    this.#uploads = new Persistent(clock, PARALLEL_UPLOADS);
  }

  /** Finds out at once whether the store takes objects, and not only with the first. */
  start(): void {
    this.#context.status('busy', `looking for ${this.#store.place}`);
    this.#uploads
      .run(
        // An object that was stored meanwhile has said more.
        (signal) => (this.#context.counters.total('objects') > 0 ? Promise.resolve() : this.#store.check(signal)),
        (error, waitMs) => this.#failed(CHECK, error, waitMs),
      )
      .then(
        () => this.#succeeded(CHECK),
        () => undefined, // the node has closed
      );
  }

  /**
   * Resolves when the object that holds the message has been stored.
   *
   * @throws RejectedError `payload`, `too-large`, `key-field`, `key`
   * @throws UnavailableError `queue-full` when what waits has no room for it; `closed`
   */
  async input(message: Message, send: Send): Promise<void> {
    const { config, counters, isWired } = this.#context;
    if (this.#closed)
      throw new UnavailableError('expected an open node, got a message while it closes', { code: 'closed' });
    const receivedAt = this.#receiptOf(message);
    const text = this.#format.line(message, receivedAt);
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > config.maxBufferedBytes) {
      throw new RejectedError(`expected a record of at most ${config.maxBufferedBytes} bytes, got ${bytes}`, {
        code: 'too-large',
      });
    }
    const { partition, time, eventTimeMissing } = this.#keys.place(message, receivedAt);
    if (this.#bufferedBytes + bytes > config.maxBufferedBytes) {
      counters.add('refused', 1, 'queue-full');
      throw new UnavailableError(
        `expected room for a record of ${bytes} bytes, got ${this.#bufferedBytes} of ${config.maxBufferedBytes} bytes that wait for the object store`,
        { code: 'queue-full' },
      );
    }
    const object = this.#objectFor(partition, bytes);
    if (eventTimeMissing) counters.add('event-time-missing');
    const safe = object.append({ text, bytes, time });
    this.#hold(bytes);
    if (object.records >= config.maxRecords || object.bytes >= config.maxBytes) this.#roll(partition);
    // Else many open objects could hold all the room, and everything would wait for the age of one of them.
    while (this.#openBytes > config.maxBufferedBytes / 2) this.#rollOldest();
    await safe;
    if (isWired(STORED)) send({ ...message, object: object.key }, STORED);
  }

  async close(): Promise<void> {
    this.#closed = true;
    while (this.#open.size > 0) this.#rollOldest();
    this.#uploads.hurry();
    const cancel = this.#clock.later(() => this.#uploads.giveUp(), FLUSH_LIMIT_MS);
    await Promise.all(this.#storing);
    cancel();
    this.#uploads.giveUp();
  }

  #receiptOf({ receivedAt }: Message): number {
    return typeof receivedAt === 'number' && isInOurEra(receivedAt) ? receivedAt : this.#clock.now();
  }

  /**
   * The open object of a partition, with room for so many bytes more.
   *
   * @throws RejectedError `key`, and leaves all others as they are
   */
  #objectFor(partition: string, bytes: number): OpenObject {
    const open = this.#open.get(partition)?.object;
    if (open !== undefined) {
      if (open.bytes + bytes <= this.#context.config.maxBytes) return open;
      this.#roll(partition);
    }
    const object = new MemoryObject(this.#keys.newKey(partition, this.#clock.now()), this.#format.head);
    if (this.#open.size >= MAX_OPEN) this.#rollOldest();
    const cancelRoll = this.#clock.later(() => this.#roll(partition), this.#context.config.maxAgeSeconds * 1_000);
    this.#open.set(partition, { object, cancelRoll });
    this.#hold(object.bytes); // a header line
    return object;
  }

  #hold(bytes: number): void {
    this.#openBytes += bytes;
    this.#bufferedBytes += bytes;
  }

  #rollOldest(): void {
    const [partition] = this.#open.keys();
    if (partition !== undefined) this.#roll(partition);
  }

  /** Ends an open object and has it stored. */
  #roll(partition: string): void {
    const rolled = this.#open.get(partition);
    if (rolled === undefined) return;
    this.#open.delete(partition);
    rolled.cancelRoll();
    this.#openBytes -= rolled.object.bytes;
    const storing = this.#storeObject(partition, rolled.object).finally(() => this.#storing.delete(storing));
    this.#storing.add(storing);
  }

  /** Never rejects: the object's records are told. */
  async #storeObject(partition: string, object: OpenObject): Promise<void> {
    const { config, counters, log } = this.#context;
    const { records, bytes } = object;
    try {
      const body = await COMPRESSIONS[config.compression].compress(object.seal());
      while ((await this.#put(object, body)) === 'taken') {
        counters.add('key-taken');
        const { key } = object;
        object.rename(this.#keys.newKey(partition, this.#clock.now()));
        log('warn', 'another object has the key of this one, which gets a new one', { key, newKey: object.key });
      }
      counters.add('stored', records);
      counters.add('objects');
      counters.add('bytes', body.length);
      this.#failing.delete(CHECK);
      object.settle();
    } catch (error) {
      if (!(error instanceof RejectedError))
        log('error', 'an object was not stored', { key: object.key, records, error: messageOf(error) });
      if (error instanceof UnavailableError) counters.add('abandoned', records, error.code);
      object.fail(error);
    } finally {
      this.#bufferedBytes -= bytes;
      this.#showStatus();
    }
  }

  /** Tries until it is known what has become of the object. */
  async #put(object: OpenObject, body: Buffer): Promise<PutOutcome> {
    const { config, counters } = this.#context;
    const { key } = object;
    const options = {
      contentType: COMPRESSIONS[config.compression].contentType ?? this.#format.contentType,
      metadata: objectMetadata(this.#context, object),
      storageClass: config.storageClass,
      tags: Object.fromEntries(config.tags.map(({ name, value }) => [name, value])),
    };
    try {
      const outcome = await this.#uploads.run(
        (signal) => this.#store.put(key, body, { ...options, signal }),
        (error, waitMs) => {
          counters.add('retried');
          this.#failed(key, error, waitMs);
        },
      );
      if (outcome === 'found') counters.add('found');
      return outcome;
    } finally {
      this.#succeeded(key);
    }
  }

  #failed(what: string, error: unknown, waitMs: number): void {
    const sentence = messageOf(error);
    if (this.#failing.size === 0) this.#context.log('warn', 'cannot store objects; trying again', { error: sentence });
    this.#failing.set(what, `${sentence}; trying again in ${Math.ceil(waitMs / 1_000)} s`);
    this.#showStatus();
  }

  #succeeded(what: string): void {
    if (this.#failing.delete(what) && this.#failing.size === 0) this.#context.log('info', 'objects are stored again');
    this.#showStatus();
  }

  #showStatus(): void {
    const { status, counters } = this.#context;
    const [failure] = this.#failing.values();
    if (failure !== undefined) status('error', failure);
    else status('ok', `${count(counters.total('objects'), 'object')}, ${count(counters.total('stored'), 'record')}`);
  }
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en-US')} ${noun}${number === 1 ? '' : 's'}`;
}
