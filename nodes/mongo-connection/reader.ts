import { MongoServerError, type Document } from 'mongodb';
import { ConfigError, messageOf, UnavailableError } from '../lib/errors.js';
import { compileSettings } from '../lib/settings.js';
import { config, type Config, type Credentials } from './config.js';
import { MongoConnection } from './connection.js';

/** Unauthorized, AuthenticationFailed. */
const REFUSALS: readonly unknown[] = [13, 18];
/** How many documents come at a time. */
const BATCH = 5_000;

/** Reads back what a collection holds. */
export class CollectionReader {
  /** What a sentence calls it. Never a secret. */
  readonly place: string;
  readonly #connection: MongoConnection;
  readonly #name: string;

  /** @throws ConfigError for a URI that is none, or has no database */
  constructor(uri: string, credentials: Credentials, collection: string) {
    const settings = compileSettings<Config>(config).resolve({ uri }, (name) => process.env[name]);
    this.#connection = new MongoConnection(settings, credentials, { status: () => undefined, log: () => undefined });
    this.#name = collection;
    this.place = `${this.#connection.address}.${collection}`;
  }

  /** How many documents there are, roughly: cheap to ask for. */
  async count(): Promise<number> {
    try {
      return await this.#connection.collection(this.#name).estimatedDocumentCount();
    } catch (error) {
      throw this.#problem(error);
    }
  }

  /** Of each document, the fields that are asked for, and `_id`. */
  async *documents(fields: readonly string[]): AsyncIterable<Document> {
    const projection = Object.fromEntries(fields.map((field) => [field, 1]));
    try {
      yield* this.#connection.collection(this.#name).find({}, { projection, batchSize: BATCH });
    } catch (error) {
      throw this.#problem(error);
    }
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  #problem(error: unknown): ConfigError | UnavailableError {
    const { state, redact } = this.#connection;
    // What an operation says when the first connection fails is of the driver's inside.
    const got = state.kind === 'unavailable' ? state.sentence : redact(messageOf(error));
    const sentence = `expected ${this.place} to be read, got ${got}`;
    const refused = error instanceof MongoServerError && REFUSALS.includes(error.code);
    return refused
      ? new ConfigError(sentence, { code: 'refused' })
      : new UnavailableError(sentence, { code: 'unreadable' });
  }
}
