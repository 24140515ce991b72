import type { AnyBulkWriteOperation } from 'mongodb';
import type { DeadLetter } from '../lib/dead-letter.js';
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
    try {
      const letters: DeadLetter[] = [];
      let bytes = 0;
      for await (const document of this.#connection.collection(this.#name).find().sort({ _id: -1 }).limit(count)) {
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

  async close(): Promise<void> {
    // The connection is a node of its own.
  }
}

type LetterDocument = Omit<DeadLetter, 'id' | 'at'> & { _id: string; at: Date };

function toDocument({ id, at, ...letter }: DeadLetter): object {
  return { _id: id, at: new Date(at), ...letter };
}

function fromDocument({ _id, at, version, ...letter }: LetterDocument): DeadLetter {
  return { version, id: _id, at: at.toISOString(), ...letter };
}
