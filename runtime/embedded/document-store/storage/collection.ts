/** One collection: its documents in the order of insertion, found by `_id`, and its indexes. */
import type { SQLOutputValue, StatementSync } from 'node:sqlite';
import { keyOf } from '../bson/compare.js';
import { validate, withLeadingId } from '../bson/decode.js';
import { encode } from '../bson/encode.js';
import { Int32, ObjectId } from 'bson';
import type { Doc, Value } from '../bson/values.js';
import { CommandError } from '../errors.js';
import type { Filter } from '../query/filter.js';
import type { StoreFile } from './file.js';
import { checkId } from './identity.js';
import { duplicateKey, type Index, type UniqueKey } from './indexes.js';
import { Item } from './item.js';

/** A chunk of a scan ends at the first of these: between two, other connections have their turn. */
const CHUNK_ROWS = 512;
const CHUNK_BYTES = 4 * 1024 * 1024;

const ID_INDEX_KEY: Doc = new Map([['_id', new Int32(1)]]);

export interface Row {
  /** Grows with each insert; a document keeps it through its updates. */
  readonly seq: number;
  readonly item: Item;
}

export interface CollectionRecord {
  id: number;
  db: string;
  name: string;
  uuid: Buffer;
  documents: number;
  bytes: number;
}

/** A lasting place of a command's documents; writes happen within a transaction of the catalog. */
export class Collection {
  readonly id: number;
  readonly ns: string;
  /** Set when it is no longer there; whoever holds it must let go. */
  dropped = false;
  /** Whether its counts have changed since they were written. */
  dirty = false;
  #statements: Statements | undefined;
  #indexes: readonly Index[] = [];
  #record: CollectionRecord;
  /** The indexes that have to be told of documents, and what they read. */
  #kept: readonly Index[] = [];
  #keptFields: ReadonlySet<string> | undefined = new Set();

  constructor(
    readonly file: StoreFile,
    record: CollectionRecord,
  ) {
    this.id = record.id;
    this.ns = `${record.db}.${record.name}`;
    this.#record = record;
  }

  get name(): string {
    return this.#record.name;
  }

  get uuid(): Buffer {
    return this.#record.uuid;
  }

  /** Kept, not counted. */
  get documents(): number {
    return this.#record.documents;
  }

  /** Of all documents together. */
  get bytes(): number {
    return this.#record.bytes;
  }

  /** Beside the one on `_id`, which every collection has. */
  get indexes(): readonly Index[] {
    return this.#indexes;
  }

  set indexes(indexes: readonly Index[]) {
    this.#indexes = indexes;
    this.#kept = indexes.filter(({ kept }) => kept);
    const fields = this.#kept.map((index) => index.fields);
    this.#keptFields = fields.includes(undefined) ? undefined : new Set(fields.flatMap((each) => [...(each ?? [])]));
  }

  /** What the disk says, after a transaction was undone. */
  restore(record: CollectionRecord): void {
    this.#record = record;
    this.dirty = false;
  }

  /**
   * Stores a document as it came, with an `_id` if it has none. Throws DuplicateKey, and for an `_id` that cannot be
   * one.
   */
  insert(document: Buffer): void {
    validate(document);
    const { raw, id } = withLeadingId(document);
    if (id !== undefined) {
      this.#insert(raw, checkId(id));
      return;
    }
    const made = new ObjectId();
    this.#insert(withId(raw, made), made);
  }

  /** As `insert`, for a document that was made here and has its `_id`. */
  insertDoc(doc: Doc): void {
    const raw = encode(doc);
    validate(raw);
    this.#insert(raw, doc.get('_id') ?? null);
  }

  #insert(raw: Buffer, id: Value): void {
    const doc = this.#readForIndexes(Item.read(raw));
    const keys = this.#newKeys(doc, undefined);
    const { changes, lastInsertRowid } = this.#sql.insert.run(keyOf(id), raw);
    if (changes === 0) throw duplicateKey(this.ns, '_id_', ID_INDEX_KEY, [id]);
    const seq = Number(lastInsertRowid);
    this.#addKeys(keys, seq);
    this.#addExpiries(doc, seq);
    this.#count(1, raw.length);
  }

  /** Gives false when nothing has changed. Throws DuplicateKey. `_id` must be the same. */
  replace(row: Row, doc: Doc): boolean {
    // Before `raw` of the new one: an update changes the fields of the row's own item in place.
    const before = row.item.raw;
    const raw = encode(doc);
    if (raw.equals(before)) return false;
    // An update can nest deeper than what a client may send.
    validate(raw);
    if (this.#kept.length > 0) {
      const previous = this.#readForIndexes(Item.read(before));
      const keys = this.#newKeys(doc, row.seq);
      this.#removeKeys(previous, row.seq);
      this.#addKeys(keys, row.seq);
      this.#addExpiries(doc, row.seq);
    }
    this.#sql.update.run(raw, row.seq);
    this.#count(0, raw.length - before.length);
    return true;
  }

  remove(row: Row): void {
    if (this.#kept.length > 0) this.#removeKeys(this.#readForIndexes(row.item), row.seq);
    this.#sql.remove.run(row.seq);
    this.#count(-1, -row.item.raw.length);
  }

  removeExpired(index: Index, now: number, most: number): number {
    const rows = this.#sql.expired.all(index.id ?? 0, now, most);
    for (const { seq } of rows) {
      const row = this.#sql.bySeq.get(Number(seq));
      if (row === undefined) throw new Error(`an expiry without its document: ${this.ns}, ${String(seq)}`);
      this.remove(rowOf(row));
    }
    return rows.length;
  }

  /** Fills a new index from the documents that are there; throws DuplicateKey. */
  fill(index: Index): void {
    if (!index.kept) return;
    for (const chunk of this.#chunks(1)) {
      for (const { seq, item } of chunk) {
        const doc = item.fields(index.fields);
        const keys = index.uniqueKeys(doc);
        this.#checkKeys(index, keys, seq);
        this.#addKeys([{ index, keys }], seq);
        this.#addExpiry(index, doc, seq);
      }
    }
  }

  /**
   * The rows that match, in chunks, each read when it is asked for: a row that has gone meanwhile is not given, one
   * that has come is. Throws QueryPlanKilled once the collection is dropped.
   */
  *find(filter: Filter, direction: 1 | -1 = 1): Generator<Row[]> {
    this.#checkThere();
    const chunks = filter.ids === undefined ? this.#chunks(direction) : [this.#byIds(filter.ids, direction)];
    for (const chunk of chunks) {
      yield filter.empty ? chunk : chunk.filter(({ item }) => filter.matches(item.fields(filter.fields)));
    }
  }

  #byIds(ids: readonly Value[], direction: 1 | -1): Row[] {
    const rows = new Map<number, Row>();
    for (const id of ids) {
      const row = this.#sql.byId.get(keyOf(id));
      if (row !== undefined) rows.set(Number(row['seq']), rowOf(row));
    }
    return [...rows.values()].sort((a, b) => (a.seq - b.seq) * direction);
  }

  *#chunks(direction: 1 | -1): Generator<Row[]> {
    const statement = direction === 1 ? this.#sql.forward : this.#sql.backward;
    let last = direction === 1 ? -1 : Number.MAX_SAFE_INTEGER;
    for (;;) {
      const rows: Row[] = [];
      let bytes = 0;
      for (const columns of statement.iterate(last, CHUNK_ROWS)) {
        const row = rowOf(columns);
        rows.push(row);
        bytes += row.item.raw.length;
        last = row.seq;
        if (bytes >= CHUNK_BYTES) break;
      }
      if (rows.length === 0) return;
      yield rows;
      this.#checkThere();
    }
  }

  #checkThere(): void {
    if (this.dropped) throw new CommandError('QueryPlanKilled', `collection dropped: ${this.ns}`);
  }

  #readForIndexes(item: Item): Doc {
    return this.#kept.length === 0 ? new Map<string, Value>() : item.fields(this.#keptFields);
  }

  /** All are looked up before one is written: a document is in every index or in none. */
  #newKeys(doc: Doc, seq: number | undefined): IndexKeys[] {
    return this.#kept.map((index) => {
      const keys = index.uniqueKeys(doc);
      this.#checkKeys(index, keys, seq);
      return { index, keys };
    });
  }

  #checkKeys(index: Index, keys: readonly UniqueKey[], seq: number | undefined): void {
    for (const { key, values } of keys) {
      const holder = this.#sql.holder.get(index.id ?? 0, key);
      if (holder !== undefined && Number(holder['seq']) !== seq) throw index.duplicate(this.ns, values);
    }
  }

  #addKeys(keys: readonly IndexKeys[], seq: number): void {
    for (const each of keys) for (const { key } of each.keys) this.#sql.addKey.run(each.index.id ?? 0, key, seq);
  }

  #removeKeys(doc: Doc, seq: number): void {
    for (const index of this.#kept) {
      for (const { key } of index.uniqueKeys(doc)) this.#sql.removeKey.run(index.id ?? 0, key);
      const at = index.expiry(doc);
      if (at !== undefined) this.#sql.removeExpiry.run(index.id ?? 0, at, seq);
    }
  }

  #addExpiries(doc: Doc, seq: number): void {
    for (const index of this.#kept) this.#addExpiry(index, doc, seq);
  }

  #addExpiry(index: Index, doc: Doc, seq: number): void {
    const at = index.expiry(doc);
    if (at !== undefined) this.#sql.addExpiry.run(index.id ?? 0, at, seq);
  }

  #count(documents: number, bytes: number): void {
    this.#record.documents += documents;
    this.#record.bytes += bytes;
    this.dirty = true;
  }

  get #sql(): Statements {
    return (this.#statements ??= prepare(this.file, this.id));
  }
}

interface IndexKeys {
  readonly index: Index;
  readonly keys: readonly UniqueKey[];
}

type Statements = ReturnType<typeof prepare>;

/** AUTOINCREMENT is not needed: a sequence number is never looked up after its document has gone. */
export function documentsTable(id: number): string {
  return `CREATE TABLE documents_${id} (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, doc BLOB NOT NULL)`;
}

function prepare({ sql }: StoreFile, id: number) {
  const table = `documents_${id}`;
  const statement = (text: string): StatementSync => sql.prepare(text);
  return {
    insert: statement(`INSERT INTO ${table} (id, doc) VALUES (?, ?) ON CONFLICT DO NOTHING`),
    update: statement(`UPDATE ${table} SET doc = ? WHERE seq = ?`),
    remove: statement(`DELETE FROM ${table} WHERE seq = ?`),
    byId: statement(`SELECT seq, doc FROM ${table} WHERE id = ?`),
    bySeq: statement(`SELECT seq, doc FROM ${table} WHERE seq = ?`),
    forward: statement(`SELECT seq, doc FROM ${table} WHERE seq > ? ORDER BY seq LIMIT ?`),
    backward: statement(`SELECT seq, doc FROM ${table} WHERE seq < ? ORDER BY seq DESC LIMIT ?`),
    holder: statement('SELECT seq FROM unique_keys WHERE index_id = ? AND key = ?'),
    addKey: statement('INSERT OR REPLACE INTO unique_keys (index_id, key, seq) VALUES (?, ?, ?)'),
    removeKey: statement('DELETE FROM unique_keys WHERE index_id = ? AND key = ?'),
    addExpiry: statement('INSERT OR IGNORE INTO expiries (index_id, at, seq) VALUES (?, ?, ?)'),
    removeExpiry: statement('DELETE FROM expiries WHERE index_id = ? AND at = ? AND seq = ?'),
    expired: statement('SELECT seq FROM expiries WHERE index_id = ? AND at <= ? LIMIT ?'),
  };
}

function rowOf(columns: Record<string, SQLOutputValue>): Row {
  const { seq, doc } = columns;
  if (typeof seq !== 'number' || !(doc instanceof Uint8Array))
    throw new Error('a row of documents without its document');
  return { seq, item: Item.read(Buffer.from(doc.buffer, doc.byteOffset, doc.byteLength)) };
}

/** The document with an `_id` put before its fields. */
function withId(raw: Buffer, id: ObjectId): Buffer {
  const header = Buffer.from('\x07_id\0', 'latin1');
  const document = Buffer.concat([raw.subarray(0, 4), header, id.id, raw.subarray(4)]);
  document.writeInt32LE(document.length);
  return document;
}
