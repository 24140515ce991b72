import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { DeliveryTag } from '../delivery/outcome.js';
import { messageOf } from '../errors.js';
import { DamagedError, diskFull, failureOf, isDamage, openDatabase, pragma, transaction } from './database.js';
import {
  bytesOf,
  type Appended,
  type Bundle,
  type Counts,
  type Damage,
  type Gone,
  type NewRecord,
  type ReadLimits,
  type SpooledDelivery,
  type SpoolRecord,
} from './record.js';
import { isWhole, recover, tagOf, type Row } from './recover.js';
import { SeenIdentities } from './seen.js';

export interface SpoolFileOptions {
  /** An absolute path, in a folder that is there. */
  readonly file: string;
  /** The most that records may count together (`Counts`). A larger record is taken when there is no other. */
  readonly maxBytes: number;
  /** What a record finds for which there is no room: it is refused, or the oldest ones go that nobody has read. */
  readonly whenFull: 'block' | 'drop-oldest';
  /**
   * How many identities are remembered at least, also of records that were removed; what has one of them is not put in
   * again. 0: none.
   */
  readonly rememberIdentities: number;
}

const COLUMNS = 'seq, at, source, number, identity, bytes, checksum, body, bundle';
/** So many bytes that nothing is in are given back to the disk when there are no records. */
const SHRINK_BYTES = 8 * 1024 * 1024;
/** The log before SQLite writes it into the file (4 MB), the file's growth by as much, and again as much for what leaves. */
const KEPT_FREE_BYTES = 16 * 1024 * 1024;

interface Statements {
  readonly insert: StatementSync;
  readonly identities: StatementSync;
  readonly bundle: StatementSync;
  readonly after: StatementSync;
  readonly afterInBundle: StatementSync;
  readonly find: StatementSync;
  readonly size: StatementSync;
  readonly remove: StatementSync;
  readonly droppable: StatementSync;
  readonly deliveries: StatementSync;
  readonly oldest: StatementSync;
}

/** A spool's file. All of it is synchronous, and an fsync takes its time: it lives in a thread of its own. */
export class SpoolFile {
  readonly #options: SpoolFileOptions;
  readonly #now: () => number;
  readonly #damaged: (damage: Damage) => void;
  #sql: DatabaseSync | undefined;
  #statements!: Statements;
  #seen!: SeenIdentities;
  #counts = { records: 0, bytes: 0 };
  #nextSeq = 1;
  /** The last record that somebody has read: what he has, is not dropped. */
  #readThrough = 0;
  /** Up to here all were dropped, or are of bundles that were taken. */
  #droppedThrough = 0;
  /** What was begun last: it is not begun again for each of its records. */
  #begun: number | undefined;

  /** @throws UnavailableError `spool-in-use`, `spool-disk`, `spool-disk-full`, `spool-version` */
  constructor(options: SpoolFileOptions, now: () => number, damaged: (damage: Damage) => void) {
    this.#options = options;
    this.#now = now;
    this.#damaged = damaged;
    this.#guard(() => undefined);
  }

  get counts(): Counts {
    const oldest = this.#statements.oldest.get()?.['at'];
    return { ...this.#counts, oldestAt: typeof oldest === 'number' ? oldest : undefined };
  }

  /** Takes records from the first on, as far as there is room: what it says nothing of was not taken. */
  append(records: readonly NewRecord[]): Appended {
    this.#checkDisk(records.reduce((sum, record) => sum + bytesOf(record), 0));
    return this.#write(() => {
      const seqs: (number | undefined)[] = [];
      const dropped: Gone[] = [];
      for (const record of records) {
        const bytes = bytesOf(record);
        const isNew = this.#isNew(record);
        if (isNew && !this.#makeRoom(bytes, dropped)) {
          if (record.identity !== undefined) this.#seen.forget(record.identity);
          break;
        }
        seqs.push(isNew ? this.#insert(record, bytes) : undefined);
      }
      return { seqs, dropped };
    });
  }

  /** The next records after one, in order. */
  read(after: number, limits: ReadLimits): SpoolRecord[] {
    return this.#guard(() => {
      const records = pageOf(this.#statements.after.iterate(after, limits.records) as Iterable<Row>, limits);
      this.#readThrough = Math.max(this.#readThrough, records.at(-1)?.seq ?? 0);
      return records;
    });
  }

  /** Those of the records that are still there, in the given order. */
  get(seqs: readonly number[]): SpoolRecord[] {
    return this.#guard(() => seqs.flatMap((seq) => (this.#statements.find.all(seq) as Row[]).map(recordOf)));
  }

  remove(seqs: readonly number[]): void {
    this.#write(() => {
      for (const seq of seqs) this.#delete(seq);
    });
    if (this.#counts.records === 0) this.#shrink();
  }

  /** The ids of the bundles that there are, in their order. */
  bundles(): number[] {
    const ids = 'SELECT id FROM bundle UNION SELECT bundle FROM record WHERE bundle IS NOT NULL ORDER BY 1';
    return this.#guard(() => (this.#sql?.prepare(ids).all() ?? []).map(({ id }) => Number(id)));
  }

  /** From now on nothing of it is dropped. @returns what is kept about it */
  takeBundle(id: number): string | undefined {
    const about = this.#write(() =>
      this.#sql?.prepare('UPDATE bundle SET taken = 1 WHERE id = ? RETURNING about').get(id),
    );
    return about === undefined ? undefined : String(about['about']);
  }

  changeBundle(id: number, about: string): void {
    this.#write(() => this.#sql?.prepare('UPDATE bundle SET about = ? WHERE id = ?').run(about, id));
  }

  /** The next records of a bundle after one, in order. */
  readBundle(id: number, after: number, limits: ReadLimits): SpoolRecord[] {
    return this.#guard(() =>
      pageOf(this.#statements.afterInBundle.iterate(id, after, limits.records) as Iterable<Row>, limits),
    );
  }

  /** @param forget - whether records with the identities of these are taken again */
  removeBundle(id: number, forget: boolean): void {
    this.#write(() => {
      if (forget) for (const { identity } of this.#statements.identities.all(id)) this.#seen.forget(String(identity));
      const sums = 'SELECT count(*) AS records, total(bytes) AS bytes FROM record WHERE bundle = ?';
      const removed = this.#sql?.prepare(sums).get(id);
      this.#sql?.prepare('DELETE FROM record WHERE bundle = ?').run(id);
      this.#sql?.prepare('DELETE FROM bundle WHERE id = ?').run(id);
      this.#begun = undefined;
      this.#counts.records -= Number(removed?.['records']);
      this.#counts.bytes -= Number(removed?.['bytes']);
    });
    if (this.#counts.records === 0) this.#shrink();
  }

  /** The next deliveries after one, in the order of source and number. */
  deliveries(after: DeliveryTag | undefined, most: number): SpooledDelivery[] {
    return this.#guard(() =>
      this.#statements.deliveries
        .all(after?.source ?? '', after?.number ?? -1, most)
        .flatMap((row) => ({ ...(tagOf(row) ?? { source: '', number: 0 }), records: Number(row['records']) })),
    );
  }

  close(): void {
    this.#sql?.close();
  }

  #open(): void {
    const sql = openDatabase(this.#options.file);
    this.#sql = sql;
    this.#begun = undefined;
    this.#seen = new SeenIdentities(sql, this.#options.rememberIdentities);
    this.#statements = {
      insert: sql.prepare(`INSERT INTO record (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
      identities: sql.prepare('SELECT identity FROM record WHERE bundle = ? AND identity IS NOT NULL'),
      bundle: sql.prepare('INSERT OR IGNORE INTO bundle (id, about) VALUES (?, ?)'),
      afterInBundle: sql.prepare(`SELECT ${COLUMNS} FROM record WHERE bundle = ? AND seq > ? ORDER BY seq LIMIT ?`),
      after: sql.prepare(`SELECT ${COLUMNS} FROM record WHERE seq > ? ORDER BY seq LIMIT ?`),
      find: sql.prepare(`SELECT ${COLUMNS} FROM record WHERE seq = ?`),
      size: sql.prepare('SELECT bytes FROM record WHERE seq = ?'),
      remove: sql.prepare('DELETE FROM record WHERE seq = ?'),
      droppable: sql.prepare(
        `SELECT seq, source, number, identity FROM record WHERE seq > ?
         AND coalesce((SELECT NOT taken FROM bundle WHERE id = record.bundle), 1) ORDER BY seq LIMIT 1`,
      ),
      deliveries: sql.prepare(
        'SELECT source, number, count(*) AS records FROM record WHERE (source, number) > (?, ?) GROUP BY source, number LIMIT ?',
      ),
      oldest: sql.prepare('SELECT at FROM record ORDER BY seq LIMIT 1'),
    };
    const sums = sql.prepare('SELECT count(*) AS records, total(bytes) AS bytes FROM record').get();
    this.#counts = { records: Number(sums?.['records']), bytes: Number(sums?.['bytes']) };
    const last = sql.prepare('SELECT max(seq) AS last FROM record').get()?.['last'];
    this.#nextSeq = Math.max(this.#nextSeq, Number(last ?? 0) + 1);
  }

  #insert({ at, delivery, identity, bundle, body }: NewRecord, bytes: number): number {
    const seq = this.#nextSeq++;
    const { source = null, number = null } = delivery ?? {};
    const counted = bytes + (bundle === undefined ? 0 : this.#begin(bundle));
    const { insert } = this.#statements;
    insert.run(seq, at, source, number, identity ?? null, counted, crc32(body), body, bundle?.id ?? null);
    this.#counts.records++;
    this.#counts.bytes += counted;
    return seq;
  }

  /** @returns the bytes that it takes, where it is the first record of its bundle */
  #begin({ id, about }: Bundle): number {
    if (id === this.#begun) return 0;
    const isFirst = this.#statements.bundle.run(id, about).changes === 1;
    this.#begun = id;
    return isFirst ? Buffer.byteLength(about) : 0;
  }

  /** What leaves needs some room too, in the log: without, a full disk would stay full. */
  #checkDisk(bytes: number): void {
    const { file } = this.#options;
    const { bsize, blocks, bavail } = statfsSync(dirname(file));
    const kept = Math.min(KEPT_FREE_BYTES, (bsize * blocks) / 4);
    // Once in the log, once in the file.
    if (bsize * bavail - 2 * bytes < kept) throw diskFull(file);
  }

  #isNew({ identity }: NewRecord): boolean {
    if (identity === undefined || this.#options.rememberIdentities === 0) return true;
    return this.#seen.see(identity);
  }

  #delete(seq: number): void {
    const bytes = this.#statements.size.get(seq)?.['bytes'];
    if (bytes === undefined) return;
    this.#statements.remove.run(seq);
    this.#counts.records--;
    this.#counts.bytes -= Number(bytes);
  }

  #makeRoom(bytes: number, dropped: Gone[]): boolean {
    const { maxBytes, whenFull } = this.#options;
    while (this.#counts.records > 0 && this.#counts.bytes + bytes > maxBytes) {
      const after = Math.max(this.#readThrough, this.#droppedThrough);
      const row = whenFull === 'block' ? undefined : this.#statements.droppable.get(after);
      if (row === undefined) return false;
      const seq = Number(row['seq']);
      this.#droppedThrough = seq;
      this.#delete(seq);
      // It was not stored: when it comes again, that is no second time.
      if (typeof row['identity'] === 'string') this.#seen.forget(row['identity']);
      dropped.push({ seq, delivery: tagOf(row) });
    }
    return true;
  }

  #write<T>(work: () => T): T {
    return this.#guard(() => {
      const counts = { ...this.#counts };
      const droppedThrough = this.#droppedThrough;
      try {
        const result = transaction(this.#sql as DatabaseSync, () => {
          const done = work();
          this.#seen.save();
          return done;
        });
        this.#seen.saved();
        return result;
      } catch (error) {
        this.#seen.undo();
        this.#counts = counts;
        this.#droppedThrough = droppedThrough;
        this.#begun = undefined;
        throw error;
      }
    });
  }

  /** Does it again with what can be read of a file that turns out to be damaged. */
  #guard<T>(work: () => T): T {
    try {
      try {
        if (this.#sql?.isOpen !== true) this.#open();
        return work();
      } catch (error) {
        if (!isDamage(error)) throw error;
        if (this.#sql?.isOpen === true) this.#sql.close();
        const damage = recover(this.#options.file, this.#now(), messageOf(error));
        this.#open();
        this.#damaged(damage);
        return work();
      }
    } catch (error) {
      throw failureOf(error, this.#options.file);
    }
  }

  /** To an empty file the pages that were in use are of no use but to the next outage. */
  #shrink(): void {
    const sql = this.#sql as DatabaseSync;
    const [size, free] = ['page_size', 'freelist_count'].map((name) => Number(pragma(sql, name)));
    if ((size ?? 0) * (free ?? 0) < SHRINK_BYTES) return;
    try {
      sql.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
    } catch (error) {
      // A full disk: they are used again, which is all that is promised.
      if (isDamage(error)) throw error;
    }
  }
}

function pageOf(rows: Iterable<Row>, limits: ReadLimits): SpoolRecord[] {
  const records: SpoolRecord[] = [];
  let bytes = 0;
  for (const row of rows) {
    bytes += row.body.length;
    if (records.length > 0 && bytes > limits.bytes) break;
    records.push(recordOf(row));
  }
  return records;
}

function recordOf(row: Row): SpoolRecord {
  const { seq, at, identity, body } = row;
  if (!isWhole(row)) throw new DamagedError(`the checksum of record ${seq} does not fit`);
  return {
    seq,
    at: Number(at),
    delivery: tagOf(row),
    ...(typeof identity === 'string' && { identity }),
    body,
  };
}
