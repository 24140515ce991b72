import type { IndexDirection } from 'mongodb';
import { pause } from '../adapter/waiting.js';
import { ConfigError, messageOf, UnavailableError } from '../lib/errors.js';
import type { IndexKeys, IndexOptions } from '../mongo-connection/connection.js';
import type { TimeSeries } from '../mongo-connection/time-series.js';
import type { Config, IndexRow } from './config.js';
import { dotted } from './keyed-operation.js';

/** What is needed of a database to make collections ready. */
export interface SetupStore {
  createIndex(collection: string, keys: IndexKeys, options: IndexOptions): Promise<void>;
  /** @returns how what is there differs */
  createTimeSeries(collection: string, wanted: TimeSeries): Promise<string | undefined>;
}

export interface SetupPorts {
  /** Aborted when the node begins to close: what storing does not wait for ends here. */
  readonly closing: AbortSignal;
  /** Aborted when what is open is given up. */
  readonly givingUp: AbortSignal;
  warn(sentence: string, fields: Readonly<Record<string, unknown>>): void;
  /** `held` or `warning` has changed. */
  changed(): void;
}

type SetupConfig = Pick<
  Config,
  | 'operation'
  | 'indexes'
  | 'key'
  | 'newerOnly'
  | 'timeSeries'
  | 'timeField'
  | 'metaField'
  | 'granularity'
  | 'bucketMaxSpan'
  | 'expireAfterSeconds'
>;

const RETRY = { initialMs: 100, maximumMs: 2_000 };

/** @throws ConfigError for settings that the server takes in no collection */
export function checkSetup({
  timeSeries,
  operation,
  indexes,
}: Pick<SetupConfig, 'timeSeries' | 'operation' | 'indexes'>): void {
  if (timeSeries && operation !== 'insert') {
    throw setting('/timeSeries', `expected the operation insert for a time series, got ${operation}`);
  }
  for (const [index, { keys, expireAfterSeconds }] of indexes.entries()) {
    if (expireAfterSeconds === undefined || /^\s*(?!_id:)[^,]+:-?1\s*$/.test(keys)) continue;
    const path = `/indexes/${index}/expireAfterSeconds`;
    throw setting(path, `expected an index on one field other than _id, got ${JSON.stringify(keys)}`);
  }
}

/**
 * Makes collections ready, each once: beside the writes what only helps (indexes), and before the first write that
 * without which what is stored would be wrong: a time-series collection, which the first insert would else make a plain
 * one for good, and the unique index without which an older message would become a second document.
 */
export class CollectionSetup {
  readonly #config: SetupConfig;
  readonly #store: SetupStore;
  readonly #ports: SetupPorts;
  /** By collection: undefined once it is ready. */
  readonly #begun = new Map<string, Promise<void> | undefined>();
  readonly #held = new Map<string, string>();
  readonly #whenHeld = new Map<string, PromiseWithResolvers<void>>();
  #warning: string | undefined;

  /** @throws ConfigError as `checkSetup` */
  constructor(config: SetupConfig, store: SetupStore, ports: SetupPorts) {
    checkSetup(config);
    this.#config = config;
    this.#store = store;
    this.#ports = ports;
  }

  /** Why messages wait for a collection to be made. */
  get held(): string | undefined {
    return this.#held.values().next().value;
  }

  heldFor(collection: string): string | undefined {
    return this.#held.get(collection);
  }

  /** Resolves when writes to a collection have to wait for more than one attempt to make it. */
  async whenHeld(collection: string): Promise<void> {
    if (this.#held.has(collection)) return;
    let whenHeld = this.#whenHeld.get(collection);
    if (whenHeld === undefined) this.#whenHeld.set(collection, (whenHeld = Promise.withResolvers<void>()));
    await whenHeld.promise;
  }

  /** What could not be made, and nothing waits for. */
  get warning(): string | undefined {
    return this.#warning;
  }

  /** @returns undefined when it can be written to; else what resolves when it can, or when all is given up */
  ready(collection: string): Promise<void> | undefined {
    if (!this.#begun.has(collection)) this.#begin(collection);
    return this.#begun.get(collection);
  }

  #begin(collection: string): void {
    const { newerOnly, operation, key, timeSeries, indexes } = this.#config;
    const before: Promise<void>[] = [];
    if (timeSeries) before.push(this.#require(collection, () => this.#createTimeSeries(collection)));
    if (newerOnly !== undefined && operation !== 'insert' && operation !== 'delete' && key.join() !== '_id') {
      before.push(this.#require(collection, () => this.#createKeyIndex(collection, key)));
    }
    const first =
      before.length === 0 ? undefined : Promise.all(before).then(() => void this.#begun.set(collection, undefined));
    this.#begun.set(collection, first);
    // After the collection: an index makes a plain one.
    for (const row of indexes) void (first ?? Promise.resolve()).then(() => this.#help(collection, row));
  }

  async #createTimeSeries(collection: string): Promise<void> {
    const { timeField, metaField, granularity, bucketMaxSpan, expireAfterSeconds } = this.#config;
    const wanted = { timeField, metaField, granularity, bucketMaxSpan, expireAfterSeconds };
    const different = await this.#store.createTimeSeries(collection, wanted);
    if (different === undefined) return;
    // What is there is somebody's decision: storing goes on in it.
    this.#warn(`${collection} is not the time series of the form: ${different}`, 'the collection differs', {
      collection,
      reason: different,
    });
  }

  async #createKeyIndex(collection: string, key: readonly string[]): Promise<void> {
    const keys = new Map<string, IndexDirection>(key.map((path) => [dotted(path), 1]));
    await this.#store.createIndex(collection, keys, { unique: true });
  }

  /** Tries until it is made: the setting, or the server, may be put right while messages wait. */
  async #require(collection: string, make: () => Promise<void>): Promise<void> {
    const { givingUp } = this.#ports;
    for (let attempt = 0; !givingUp.aborted; attempt++) {
      try {
        await make();
        if (this.#held.delete(collection)) this.#ports.changed();
        return;
      } catch (error) {
        this.#hold(collection, error);
      }
      await pause(attempt, RETRY, givingUp);
    }
  }

  #hold(collection: string, error: unknown): void {
    const what = this.#config.timeSeries ? 'a time-series collection' : 'the unique index over its key';
    const sentence =
      error instanceof UnavailableError ? error.message : `${collection} waits for ${what}: ${messageOf(error)}`;
    if (!this.#held.has(collection)) {
      this.#ports.warn('cannot make the collection ready, will try again', { collection, reason: messageOf(error) });
    }
    this.#held.set(collection, sentence);
    this.#whenHeld.get(collection)?.resolve();
    this.#whenHeld.delete(collection);
    this.#ports.changed(); // each time: more may wait by now
  }

  async #help(collection: string, { keys, unique, expireAfterSeconds }: IndexRow): Promise<void> {
    const { closing } = this.#ports;
    for (let attempt = 0; !closing.aborted; attempt++) {
      try {
        await this.#store.createIndex(collection, indexKeys(keys), { unique, expireAfterSeconds });
        return;
      } catch (error) {
        if (!(error instanceof UnavailableError)) {
          const reason = messageOf(error);
          this.#warn(`index ${keys} of ${collection}: ${reason}`, 'cannot make the index', {
            collection,
            keys,
            reason,
          });
          return;
        }
      }
      await pause(attempt, RETRY, closing);
    }
  }

  #warn(text: string, sentence: string, fields: Readonly<Record<string, unknown>>): void {
    this.#warning = text;
    this.#ports.warn(sentence, fields);
    this.#ports.changed();
  }
}

function setting(path: string, sentence: string): ConfigError {
  return new ConfigError(`${path}: ${sentence}`, { code: 'setting', path });
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
