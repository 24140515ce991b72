import type { AnyBulkWriteOperation, Document, Filter } from 'mongodb';
import type { DeadLetter, LetterFilter } from '../lib/dead-letter.js';
import { isDuplicateId, unavailable } from '../mongo-connection/bulk-write.js';
import type { MongoConnection } from '../mongo-connection/connection.js';
import { sizeOf, type LetterStore } from './store.js';

/** Letters as documents of a collection: `_id` is the letter's id, `at` a date. */
export class LetterCollection implements LetterStore {
  readonly place: string;
  readonly #connection: MongoConnection;
  readonly #name: string;

  /** @throws ConfigError for a name that no collection of data has */
  constructor(connection: MongoConnection, name: string) {
    connection.collection(name);
    this.#connection = connection;
    this.#name = name;
    this.place = `${name} in ${connection.address}`;
  }

  async append(letters: readonly DeadLetter[]): ReturnType<LetterStore['append']> {
    const operations = letters.map((letter): AnyBulkWriteOperation => ({
      insertOne: { document: toDocument(letter) },
    }));
    const failures = await this.#connection.write(this.#name, operations, { ordered: false });
    return new Map([...failures].filter(([, failure]) => !isDuplicateId(failure)));
  }

  async last(count: number, maxBytes: number): Promise<DeadLetter[]> {
    return this.#read({}, count, maxBytes);
  }

  async #read(query: Filter<Document>, count: number, maxBytes: number): Promise<DeadLetter[]> {
    try {
      const letters: DeadLetter[] = [];
      let bytes = 0;
      const found = this.#connection.collection(this.#name).find(query).sort({ _id: -1 }).limit(count);
      for await (const document of found) {
        const letter = fromDocument(document as unknown as LetterDocument);
        bytes += sizeOf(letter);
        if (letters.length > 0 && bytes > maxBytes) break;
        letters.push(letter);
      }
      return letters;
    } catch (error) {
      throw unavailable(error, this.#connection.redact);
    }
  }

  async find(filter: LetterFilter, count: number, maxBytes: number): Promise<DeadLetter[]> {
    return this.#read(queryOf(filter), count, maxBytes);
  }

  async markReplayed(ids: readonly string[]): Promise<void> {
    const update = { filter: { _id: { $in: [...ids] as never } }, update: { $set: { replayedAt: new Date() } } };
    const [failure] = (await this.#connection.write(this.#name, [{ updateMany: update }], { ordered: false })).values();
    if (failure !== undefined) throw failure;
  }

  async close(): Promise<void> {
    // The connection is a node of its own.
  }
}

type LetterDocument = Omit<DeadLetter, 'id' | 'at'> & { _id: string; at: Date; replayedAt?: Date };

function queryOf({ ids, reason, node, schema, since, until, replayed }: LetterFilter): Filter<Document> {
  const time = {
    ...(since !== undefined && { $gte: new Date(since) }),
    ...(until !== undefined && { $lt: new Date(until) }),
  };
  return {
    ...(ids !== undefined && { _id: { $in: [...ids] } }),
    ...(reason !== undefined && { 'reason.code': reason }),
    ...(node !== undefined && { $or: [{ 'node.id': node }, { 'node.name': node }, { 'node.type': node }] }),
    ...(schema !== undefined && { 'reason.schema.name': schema }),
    ...(Object.keys(time).length > 0 && { at: time }),
    ...(replayed !== true && { replayedAt: { $exists: false } }),
  } as object;
}

function toDocument({ id, at, ...letter }: DeadLetter): object {
  return { _id: id, at: new Date(at), ...letter };
}

function fromDocument({ _id, at, version, replayedAt: _marked, ...letter }: LetterDocument): DeadLetter {
  return { version, id: _id, at: at.toISOString(), ...letter };
}
