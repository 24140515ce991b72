/** The databases and collections of a store, and its transactions. */
import { randomBytes } from 'node:crypto';
import { decode } from '../bson/decode.js';
import { encode } from '../bson/encode.js';
import type { Doc } from '../bson/values.js';
import { Collection, documentsTable, type CollectionRecord } from './collection.js';
import type { StoreFile } from './file.js';
import { Index } from './indexes.js';

const UUID_VERSION_4 = 0x40;
const UUID_VARIANT = 0x80;

export class Catalog {
  /** By namespace, `db.collection`. */
  readonly #collections = new Map<string, Collection>();

  constructor(readonly file: StoreFile) {
    this.#load();
  }

  /**
   * One transaction of reads and writes, without a pause in it. What this object holds is put back to what the disk
   * says when it throws.
   */
  transaction<T>(work: () => T): T {
    try {
      return this.file.write(() => {
        const result = work();
        this.#writeCounts();
        return result;
      });
    } catch (error) {
      this.#load();
      throw error;
    }
  }

  get(db: string, name: string): Collection | undefined {
    return this.#collections.get(`${db}.${name}`);
  }

  /** Those of one database, by name. */
  list(db: string): Collection[] {
    return this.all()
      .filter(({ ns }) => ns.startsWith(`${db}.`))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  databases(): string[] {
    return [...new Set(this.all().map(({ ns }) => ns.slice(0, ns.indexOf('.'))))].sort();
  }

  all(): Collection[] {
    return [...this.#collections.values()];
  }

  /** Within a transaction. */
  obtain(db: string, name: string): Collection {
    return this.get(db, name) ?? this.#create(db, name);
  }

  #create(db: string, name: string): Collection {
    const uuid = randomBytes(16);
    uuid[6] = ((uuid[6] ?? 0) & 0x0f) | UUID_VERSION_4;
    uuid[8] = ((uuid[8] ?? 0) & 0x3f) | UUID_VARIANT;
    const { lastInsertRowid } = this.file.sql
      .prepare('INSERT INTO collections (db, name, uuid) VALUES (?, ?, ?)')
      .run(db, name, uuid);
    const id = Number(lastInsertRowid);
    this.file.sql.exec(documentsTable(id));
    const collection = new Collection(this.file, { id, db, name, uuid, documents: 0, bytes: 0 });
    this.#collections.set(collection.ns, collection);
    return collection;
  }

  /** Within a transaction. */
  drop(collection: Collection): void {
    for (const index of collection.indexes) this.#forget(index);
    this.file.sql.exec(`DROP TABLE documents_${collection.id}`);
    this.file.sql.prepare('DELETE FROM collections WHERE id = ?').run(collection.id);
    this.#collections.delete(collection.ns);
    collection.dropped = true;
  }

  /** Within a transaction. Throws DuplicateKey when the documents do not allow it. */
  createIndex(collection: Collection, spec: Doc): void {
    const { name } = new Index(spec, undefined);
    const { lastInsertRowid } = this.file.sql
      .prepare('INSERT INTO indexes (collection, name, spec) VALUES (?, ?, ?)')
      .run(collection.id, name, encode(spec));
    const index = new Index(spec, Number(lastInsertRowid));
    collection.fill(index);
    collection.indexes = [...collection.indexes, index];
  }

  /** Within a transaction. */
  dropIndex(collection: Collection, index: Index): void {
    this.#forget(index);
    collection.indexes = collection.indexes.filter((each) => each !== index);
  }

  #forget(index: Index): void {
    for (const statement of [
      'DELETE FROM unique_keys WHERE index_id = ?',
      'DELETE FROM expiries WHERE index_id = ?',
      'DELETE FROM indexes WHERE id = ?',
    ]) {
      this.file.sql.prepare(statement).run(index.id ?? 0);
    }
  }

  #writeCounts(): void {
    for (const collection of this.#collections.values()) {
      if (!collection.dirty) continue;
      this.file.sql
        .prepare('UPDATE collections SET documents = ?, bytes = ? WHERE id = ?')
        .run(collection.documents, collection.bytes, collection.id);
      collection.dirty = false;
    }
  }

  /** Objects that are known stay the same ones: cursors hold them. */
  #load(): void {
    const known = new Map(this.all().map((collection) => [collection.id, collection]));
    this.#collections.clear();
    for (const record of this.#records()) {
      const collection = known.get(record.id) ?? new Collection(this.file, record);
      known.delete(record.id);
      collection.restore(record);
      collection.indexes = this.#indexes(record.id);
      this.#collections.set(collection.ns, collection);
    }
    for (const collection of known.values()) collection.dropped = true;
  }

  #records(): CollectionRecord[] {
    const rows = this.file.sql.prepare('SELECT id, db, name, uuid, documents, bytes FROM collections').all();
    return rows.map((row) => ({
      id: Number(row['id']),
      db: String(row['db']),
      name: String(row['name']),
      uuid: Buffer.from(row['uuid'] as Uint8Array),
      documents: Number(row['documents']),
      bytes: Number(row['bytes']),
    }));
  }

  #indexes(collection: number): Index[] {
    const rows = this.file.sql.prepare('SELECT id, spec FROM indexes WHERE collection = ? ORDER BY id').all(collection);
    return rows.map((row) => new Index(decode(Buffer.from(row['spec'] as Uint8Array)), Number(row['id'])));
  }
}
