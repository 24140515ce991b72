/** A database of its own for each test, through the real driver. */
import { randomUUID } from 'node:crypto';
import {
  MongoClient,
  type Db,
  type Decimal128,
  type Document,
  type Double,
  type Long,
  type MongoClientOptions,
  type ObjectId,
} from 'mongodb';
import { startEmbeddedStore } from '../servers/mongo.js';
import type { TestServer } from '../servers/server.js';

/** A document with an `_id` that a test has chosen. */
export interface Thing extends Document {
  _id: string | number | ObjectId | Double | Long | Decimal128;
}

/** Called in a suite: connects before its tests, and gives an empty database to each. */
export function useDatabase(server: () => TestServer, options: MongoClientOptions = {}): () => Db {
  let client: MongoClient | undefined;
  let db: Db | undefined;
  before(async () => {
    client = await MongoClient.connect(server().url, { serverSelectionTimeoutMS: 5_000, ...options });
  });
  beforeEach(() => {
    db = client?.db(`test-${randomUUID()}`);
  });
  // A server that the environment names is left as it was.
  afterEach(async () => db?.dropDatabase());
  after(async () => client?.close());
  return () => {
    if (db === undefined) throw new Error('the database is used outside a test');
    return db;
  };
}

/** As `useDatabase`, of an embedded document store that is started for the suite. */
export function useStore(): () => Db {
  let store: TestServer | undefined;
  before(async () => {
    store = await startEmbeddedStore();
  });
  const db = useDatabase(() => {
    if (store === undefined) throw new Error('the store is used before it has started');
    return store;
  });
  after(async () => store?.stop());
  return db;
}

/** What a promise rejects with; an error when it does not. */
export async function rejection<T extends Error>(
  promise: Promise<unknown>,
  type: abstract new (...args: never[]) => T,
): Promise<T> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof type) return error;
    throw error;
  }
  throw new Error(`expected ${type.name}, got no error`);
}
