import {
  type AnyBulkWriteOperation,
  type Collection,
  type Db,
  type Document,
  type IndexDirection,
  MongoClient,
  type MongoClientOptions,
  MongoServerError,
  type ServerDescription,
  type TopologyDescription,
} from 'mongodb';
import type { Behaviour } from '../adapter/define-node.js';
import type { StatusLevel } from '../adapter/status.js';
import { pause, within } from '../adapter/waiting.js';
import { ConfigError, messageOf } from '../lib/errors.js';
import { bulkWrite, unavailable, type WriteFailures } from './bulk-write.js';
import { collectionNameProblem } from './collection-name.js';
import type { Config, Credentials } from './config.js';
import { isUnavailable } from './driver-errors.js';
import { redactor, withoutUser } from './redact.js';
import { createTimeSeries, type TimeSeries } from './time-series.js';

export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected' }
  /** `sentence`: what stands in the way, without secrets. */
  | { readonly kind: 'unavailable'; readonly sentence: string };

export interface IndexOptions {
  readonly unique: boolean;
  /** After how many seconds from the date in its field a document is removed. */
  readonly expireAfterSeconds?: number | undefined;
}

/** Fields with their direction, in their order. */
export type IndexKeys = ReadonlyMap<string, IndexDirection>;

/** What the connection tells of itself, beside its state. */
export interface ConnectionPorts {
  status(level: StatusLevel, text: string): void;
  log(level: 'info' | 'warn', sentence: string, fields?: Readonly<Record<string, unknown>>): void;
}

const RECONNECT = { initialMs: 250, maximumMs: 5_000 };
/** How soon a server that has gone away without a word is missed: the driver asks it at this interval. */
const HEARTBEAT_MS = 5_000;
const UNAUTHORIZED = 13;

/**
 * One MongoClient for all nodes that use it. It begins to connect when the first of them asks for it, in the background,
 * and goes on trying; nobody has to wait for it.
 */
export class MongoConnection implements Behaviour {
  static readonly nodeType = 'mongo-connection';
  /** Hosts and database, for a status: `localhost:27017/iot`. */
  readonly address: string;
  readonly redact: (text: string) => string;
  readonly #client: MongoClient;
  readonly #databaseName: string;
  readonly #writeTimeoutMs: number;
  readonly #ports: ConnectionPorts;
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  readonly #closing = new AbortController();
  #state: ConnectionState = { kind: 'connecting' };
  #begun: Promise<void> | undefined;

  /** @throws ConfigError `uri`, `database` */
  constructor(config: Config, credentials: Credentials, ports: ConnectionPorts) {
    this.redact = redactor(config.uri, credentials.password);
    this.#ports = ports;
    this.#client = clientOf(config, credentials, this.redact);
    this.#databaseName = databaseOf(config);
    this.#writeTimeoutMs = config.serverSelectionTimeout + config.writeTimeout;
    const { srvHost, hosts } = this.#client.options;
    this.address = `${srvHost ?? hosts.map(String).join(',')}/${this.#databaseName}`;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Calls back on each change of state, until the returned function is called. */
  onState(listener: (state: ConnectionState) => void): () => void {
    this.#begin();
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  database(): Db {
    this.#begin();
    return this.#client.db(this.#databaseName);
  }

  /** @throws ConfigError for a name that no collection of data has */
  collection(name: string): Collection {
    const problem = collectionNameProblem(name);
    if (problem !== undefined) throw new ConfigError(problem, { code: 'collection-name' });
    return this.database().collection(name);
  }

  /** Writes under the connection's write concern; says of each operation whether it was carried out (`bulkWrite`). */
  async write(
    collection: string,
    operations: readonly AnyBulkWriteOperation[],
    { ordered }: { readonly ordered: boolean },
  ): Promise<WriteFailures> {
    const target = this.collection(collection);
    try {
      await this.#client.connect(); // at once, where there is a connection
    } catch (error) {
      // Whatever it is, it is not the documents' fault.
      const failure = unavailable(error, this.redact);
      return new Map(operations.map((_operation, index) => [index, failure]));
    }
    return bulkWrite(target, operations, { ordered, timeoutMs: this.#writeTimeoutMs, redact: this.redact });
  }

  /** Whether a collection has a document that a filter finds. @throws UnavailableError */
  async has(collection: string, filter: Document): Promise<boolean> {
    try {
      await this.#client.connect();
      const find = this.collection(collection).findOne(filter, { projection: { _id: 1 }, readPreference: 'primary' });
      const found = await within(this.#writeTimeoutMs, find);
      return found !== null;
    } catch (error) {
      throw unavailable(error, this.redact);
    }
  }

  /** @throws UnavailableError when it may work later, ConfigError `index` when the server says no; neither holds a secret */
  async createIndex(collection: string, keys: IndexKeys, { unique, expireAfterSeconds }: IndexOptions): Promise<void> {
    await this.#administer('index', async (database) => {
      const options = {
        ...(unique ? { unique } : {}),
        ...(expireAfterSeconds === undefined ? {} : { expireAfterSeconds }),
      };
      await database.collection(collection).createIndex(keys as Map<string, IndexDirection>, options, {});
    });
  }

  /**
   * Makes a time-series collection where there is no collection of the name.
   *
   * @returns how what is there differs from what was asked for; undefined when it does not
   * @throws UnavailableError when it may work later, ConfigError `time-series` when the server says no
   */
  async createTimeSeries(collection: string, wanted: TimeSeries): Promise<string | undefined> {
    return this.#administer('time-series', async (database) => createTimeSeries(database, collection, wanted));
  }

  async #administer<T>(code: string, work: (database: Db) => Promise<T>): Promise<T> {
    try {
      await this.#client.connect();
      return await work(this.database());
    } catch (error) {
      if (isUnavailable(error) && !isRefusal(error)) throw unavailable(error, this.redact);
      const sentence = this.redact(messageOf(error));
      throw new ConfigError(withRemedy(error, sentence), { code });
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#listeners.clear();
    await this.#client.close();
    await this.#begun;
  }

  #begin(): void {
    this.#begun ??= this.#connect();
  }

  async #connect(): Promise<void> {
    const { signal } = this.#closing;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        await this.#client.connect();
        this.#change({ kind: 'connected' });
        // From here on the driver watches the servers by itself.
        this.#client.on('topologyDescriptionChanged', ({ newDescription }) => this.#change(stateOf(newDescription)));
        return;
      } catch (error) {
        this.#change({ kind: 'unavailable', sentence: messageOf(error) });
        await pause(attempt, RECONNECT, signal);
      }
    }
  }

  #change(next: ConnectionState): void {
    if (this.#closing.signal.aborted) return;
    const state = next.kind === 'unavailable' ? { ...next, sentence: this.redact(next.sentence) } : next;
    const before = this.#state;
    this.#state = state;
    if (state.kind === 'connected' && before.kind !== 'connected') {
      this.#ports.log('info', 'connected', { server: this.address });
      this.#ports.status('ok', `connected to ${this.address}`);
    } else if (state.kind === 'unavailable') {
      this.#ports.status('error', state.sentence);
      // One line for one outage.
      if (before.kind !== 'unavailable')
        this.#ports.log('warn', 'server unavailable', { server: this.address, reason: state.sentence });
    }
    for (const listener of this.#listeners) listener(state);
  }
}

/** The server has an index with these keys or this name, and other options. */
const INDEX_CONFLICTS = new Set<unknown>([85, 86]);

function withRemedy(error: unknown, sentence: string): string {
  const conflict = error instanceof MongoServerError && INDEX_CONFLICTS.has(error.code);
  return conflict ? `${sentence} (drop the index that is there, or ask for the same)` : sentence;
}

/** Who may write may not always make an index: to wait for that right would be to say nothing of it. */
function isRefusal(error: unknown): boolean {
  return error instanceof MongoServerError && error.code === UNAUTHORIZED;
}

function stateOf({ servers }: TopologyDescription): ConnectionState {
  const all = [...servers.values()];
  if (all.some(takesWrites)) return { kind: 'connected' };
  const reasons = new Set(all.flatMap(({ error }) => (error ? [messageOf(error)] : [])));
  return { kind: 'unavailable', sentence: [...reasons].join('; ') || 'no server that takes writes' };
}

function takesWrites({ type }: ServerDescription): boolean {
  return type === 'Standalone' || type === 'RSPrimary' || type === 'Mongos' || type === 'LoadBalancer';
}

/** A client that has not connected. @throws ConfigError `uri` */
export function clientOf(
  config: Config,
  { user, password }: Credentials,
  redact: (text: string) => string,
): MongoClient {
  const { uri } = config;
  // The driver would take what follows the first @ for the host, and show it.
  const at = (uri.split('?')[0] ?? '').split('@').length - 1;
  if (at > 1) throw uriError('a second @: percent-encode it in user and password (%40)');
  const options: MongoClientOptions = {
    appName: config.appName,
    writeConcern: {
      w: config.writeConcern === 'majority' ? 'majority' : Number(config.writeConcern),
      journal: config.journal,
      wtimeoutMS: config.writeTimeout,
    },
    serverSelectionTimeoutMS: config.serverSelectionTimeout,
    connectTimeoutMS: Math.max(config.serverSelectionTimeout, 1_000),
    heartbeatFrequencyMS: HEARTBEAT_MS,
    // As JSON has it: a property without a value is left out, and not stored as null.
    ignoreUndefined: true,
    ...(user === undefined ? {} : { auth: { username: user, password: password ?? '' } }),
  };
  try {
    return new MongoClient(uri, options);
  } catch (error) {
    // A sentence about the part with the user may quote pieces of a password, so only one about the rest is repeated.
    const problem = problemOf(() => new MongoClient(withoutUser(uri)));
    throw uriError(
      problem === undefined && uri.includes('@')
        ? 'a user or password with characters that must be percent-encoded'
        : redact(problem ?? messageOf(error)),
    );
  }
}

function uriError(got: string): ConfigError {
  return new ConfigError(
    `/uri: expected a MongoDB connection string such as mongodb://localhost:27017/iot, got ${got}`,
    {
      code: 'uri',
      path: '/uri',
    },
  );
}

function problemOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The driver falls back to a database named `test` without a word: data in an unexpected place is lost data. */
/** @throws ConfigError `database` */
export function databaseOf(config: Config): string {
  const path = /^[^/]*\/\/[^/]*\/(.*)$/.exec(config.uri.split('?')[0] ?? '')?.[1] ?? '';
  const name = config.database ?? decodeURIComponent(path);
  if (name === '') {
    throw new ConfigError('/database: expected a name, here or in the path of the URI, got neither', {
      code: 'database',
      path: '/database',
    });
  }
  if (/[/\\. "$*<>:|?@\0]/.test(name)) {
    throw new ConfigError('/database: expected a name without / \\ . " $ * < > : | ? and spaces, got one with them', {
      code: 'database',
      path: '/database',
    });
  }
  return name;
}
