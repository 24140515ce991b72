import { MongoServerError, type Document } from 'mongodb';
import { ConfigError, messageOf, UnavailableError } from '../lib/errors.js';
import { compileSettings } from '../lib/settings.js';
import { config, type Config, type Credentials } from './config.js';
import { MongoConnection } from './connection.js';

/** Unauthorized, AuthenticationFailed. */
const REFUSALS: readonly unknown[] = [13, 18];
/** How many documents come at a time. */
const BATCH = 5_000;

/** The names of the collections of a database. @throws ConfigError, UnavailableError as `CollectionReader` does */
export async function collectionNames(uri: string, credentials: Credentials): Promise<string[]> {
  const connection = connect(uri, credentials);
  try {
    const collections = await connection.database().listCollections({}, { nameOnly: true }).toArray();
    return collections.map(({ name }) => name);
  } catch (error) {
    throw problem(error, connection, connection.address);
  } finally {
    await connection.close();
  }
}

/** Reads back what a collection holds. */
export class CollectionReader {
  /** What a sentence calls it. Never a secret. */
  readonly place: string;
  readonly #connection: MongoConnection;
  readonly #name: string;

  /** @throws ConfigError for a URI that is none, or has no database */
  constructor(uri: string, credentials: Credentials, collection: string) {
    this.#connection = connect(uri, credentials);
    this.#name = collection;
    this.place = `${this.#connection.address}.${collection}`;
  }

  /** How many documents there are, roughly: cheap to ask for. */
  async count(): Promise<number> {
    try {
      return await this.#connection.collection(this.#name).estimatedDocumentCount();
    } catch (error) {
      throw problem(error, this.#connection, this.place);
    }
  }

  /** Of each document, the fields that are asked for, and `_id`. */
  async *documents(fields: readonly string[]): AsyncIterable<Document> {
    const projection = Object.fromEntries(fields.map((field) => [field, 1]));
    try {
      yield* this.#connection.collection(this.#name).find({}, { projection, batchSize: BATCH });
    } catch (error) {
      throw problem(error, this.#connection, this.place);
    }
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}

function connect(uri: string, credentials: Credentials): MongoConnection {
  const settings = compileSettings<Config>(config).resolve({ uri }, (name) => process.env[name]);
  return new MongoConnection(settings, credentials, { status: () => undefined, log: () => undefined });
}

function problem(error: unknown, { state, redact }: MongoConnection, place: string): ConfigError | UnavailableError {
  // What an operation says when the first connection fails is of the driver's inside.
  const got = state.kind === 'unavailable' ? state.sentence : redact(messageOf(error));
  const sentence = `expected ${place} to be read, got ${got}`;
  const refused = error instanceof MongoServerError && REFUSALS.includes(error.code);
  return refused
    ? new ConfigError(sentence, { code: 'refused' })
    : new UnavailableError(sentence, { code: 'unreadable' });
}
