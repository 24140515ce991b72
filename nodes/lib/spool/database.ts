/** The SQLite file of a spool: how it is opened and laid out, and what SQLite's errors mean here. */
import { closeSync, existsSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { messageOf, UnavailableError } from '../errors.js';

const VERSION = 2;
/** `slsp`: https://www.sqlite.org/pragma.html#pragma_application_id */
const APPLICATION = 0x736c7370;
const PAGE_BYTES = 4_096;

/**
 * With the WAL and `synchronous = FULL` a commit returns when its pages are on the disk
 * (https://www.sqlite.org/pragma.html#pragma_synchronous), and of one that was torn nothing is seen: its frames carry
 * checksums. `locking_mode = EXCLUSIVE` keeps other processes out until the file is closed or this process has died.
 */
const PRAGMAS = `
  PRAGMA page_size = ${PAGE_BYTES};
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA temp_store = MEMORY;
`;

/** The index holds all that is asked of records at a start, so that their bodies are not read. */
const SCHEMA = `
  CREATE TABLE record (
    seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, source TEXT, number INTEGER, identity TEXT,
    bytes INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL, bundle INTEGER
  ) STRICT;
  CREATE INDEX record_delivery ON record (source, number, bytes);
  CREATE INDEX record_bundle ON record (bundle, seq) WHERE bundle IS NOT NULL;
  CREATE TABLE bundle (id INTEGER PRIMARY KEY, about TEXT NOT NULL, taken INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE seen (id INTEGER PRIMARY KEY, added TEXT NOT NULL, forgotten TEXT NOT NULL) STRICT;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${VERSION};
`;

/** https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** Thrown when a file does not hold what was put into it. */
export class DamagedError extends Error {}

/**
 * @throws DamagedError when it is no spool
 * @throws UnavailableError `spool-in-use`, `spool-version`, and what `failureOf` says of the disk
 */
export function openDatabase(file: string): DatabaseSync {
  let sql: DatabaseSync | undefined;
  try {
    sql = new DatabaseSync(file);
    sql.exec(PRAGMAS);
    // Takes the lock, which the exclusive mode then keeps.
    sql.exec('BEGIN IMMEDIATE');
    const [version, application] = ['user_version', 'application_id'].map((name) => pragma(sql, name));
    const isNew = sql.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.['tables'] === 0;
    if (isNew) sql.exec(SCHEMA);
    else if (application !== APPLICATION) throw new DamagedError('not a spool');
    else if (version !== VERSION) {
      throw new UnavailableError(`expected version ${VERSION} of a spool in ${file}, got version ${String(version)}`, {
        code: 'spool-version',
      });
    }
    sql.exec('COMMIT');
    return sql;
  } catch (error) {
    sql?.close();
    throw failureOf(error, file);
  }
}

export function pragma(sql: DatabaseSync | undefined, name: string): unknown {
  return sql?.prepare(`PRAGMA ${name}`).get()?.[name];
}

/** One transaction: all of it is on the disk when this returns, or none of it when it throws. */
export function transaction<T>(sql: DatabaseSync, work: () => T): T {
  sql.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    sql.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has rolled back by itself after some errors (a full disk among them).
    if (sql.isTransaction) sql.exec('ROLLBACK');
    throw error;
  }
}

/** What SQLite's error is to a caller: a DamagedError, an UnavailableError, or itself when it is ours to mend. */
export function failureOf(error: unknown, file: string): unknown {
  const code = sqliteCode(error);
  if (code === undefined) return error;
  if (isDamage(error)) return new DamagedError(messageOf(error), { cause: error });
  if (code === SQLITE_BUSY) {
    return new UnavailableError(`expected a spool that no other process has open, got ${file}, which one has`, {
      code: 'spool-in-use',
      cause: error,
    });
  }
  if (code === SQLITE_FULL) return diskFull(file, error);
  return new UnavailableError(`expected the spool ${file} to be readable and writable, got: ${messageOf(error)}`, {
    code: 'spool-disk',
    cause: error,
  });
}

export function diskFull(file: string, cause?: unknown): UnavailableError {
  return new UnavailableError(`expected room on the disk for the spool ${file}, got none`, {
    code: 'spool-disk-full',
    cause,
  });
}

export function isDamage(error: unknown): boolean {
  const code = sqliteCode(error);
  return error instanceof DamagedError || code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

/** node:sqlite gives SQLite's extended result code, of which the low byte is the plain one. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

/** Renames a file that is not open, and its log with it, which may hold more than the file. */
export function renameDatabase(from: string, to: string): void {
  if (existsSync(`${from}-wal`)) renameSync(`${from}-wal`, `${to}-wal`);
  renameSync(from, to);
}

export function removeDatabase(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
}

/**
 * Puts the first page of one file into another, which must both be closed (to close a file ends SQLite's locks on it,
 * whoever does it). The first page says where tables begin, which is the same in all spools; the free pages and the size
 * that it knows of are those of the other file (https://www.sqlite.org/fileformat.html#the_database_header).
 */
export function graftFirstPage(from: string, to: string): void {
  const page = Buffer.alloc(PAGE_BYTES);
  const source = openSync(from, 'r');
  readSync(source, page, 0, PAGE_BYTES, 0);
  closeSync(source);
  page.fill(0, 32, 40); // no free pages
  page.writeUInt32BE(page.readUInt32BE(24) + 1, 92); // the size in the header does not hold: that of the file does
  const target = openSync(to, 'r+');
  writeSync(target, page, 0, PAGE_BYTES, 0);
  closeSync(target);
}
