/**
 * The one SQLite file of a store: opened for this process alone, and every transaction on disk before it is answered.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CommandError, StartError } from '../errors.js';

const FILE = 'documents.sqlite';
const SCHEMA_VERSION = 1;

/** https://www.sqlite.org/rescode.html */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/**
 * `synchronous = FULL` with the WAL: a commit returns when its pages are on the disk
 * (https://www.sqlite.org/pragma.html#pragma_synchronous). With `locking_mode = EXCLUSIVE` the lock is held until the
 * file is closed or the process has died. Checkpoints every 16 MiB: at SQLite's own 4 MiB, each few thousand inserts
 * wait for one.
 */
const PRAGMAS = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 4096;
  PRAGMA journal_size_limit = 67108864;
  PRAGMA cache_size = -65536;
  PRAGMA temp_store = MEMORY;
`;

/**
 * Each collection has a table of its own, `documents_<id>`. `unique_keys` holds one row for each key of a unique
 * index, `expiries` one for each document that a TTL index will remove.
 */
const SCHEMA = `
  CREATE TABLE collections (
    id INTEGER PRIMARY KEY, db TEXT NOT NULL, name TEXT NOT NULL, uuid BLOB NOT NULL,
    documents INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, UNIQUE (db, name)
  );
  CREATE TABLE indexes (
    id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, name TEXT NOT NULL, spec BLOB NOT NULL, UNIQUE (collection, name)
  );
  CREATE TABLE unique_keys (
    index_id INTEGER NOT NULL, key BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (index_id, key)
  ) WITHOUT ROWID;
  CREATE TABLE expiries (
    index_id INTEGER NOT NULL, at INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (index_id, at, seq)
  ) WITHOUT ROWID;
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

export class StoreFile {
  private constructor(readonly sql: DatabaseSync) {}

  /** Throws `StartError` where the directory is another process's, or holds what this version does not read. */
  static open(directory: string): StoreFile {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, FILE);
    let sql: DatabaseSync | undefined;
    try {
      sql = new DatabaseSync(path);
      sql.exec(PRAGMAS);
      const file = new StoreFile(sql);
      file.#prepareSchema(path);
      return file;
    } catch (error) {
      sql?.close();
      throw startError(error, directory, path);
    }
  }

  #prepareSchema(path: string): void {
    // BEGIN IMMEDIATE takes the lock, which the exclusive mode then keeps.
    this.write(() => {
      const row = this.sql.prepare('PRAGMA user_version').get();
      const version = Number(row?.['user_version']);
      if (version === 0) this.sql.exec(SCHEMA);
      else if (version !== SCHEMA_VERSION) {
        throw new StartError(
          `expected version ${SCHEMA_VERSION} of the document store in ${path}, got version ${version}`,
        );
      }
    });
  }

  /** One transaction: all of it is on the disk when this returns, or none of it when it throws. */
  write<T>(work: () => T): T {
    this.sql.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.sql.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors (a full disk among them).
      if (this.sql.isTransaction) this.sql.exec('ROLLBACK');
      throw sqliteCode(error) === SQLITE_FULL
        ? new CommandError('OutOfDiskSpace', 'the disk of the document store is full')
        : error;
    }
  }

  close(): void {
    this.sql.close();
  }
}

/** node:sqlite gives SQLite's extended result code, of which the low byte is the plain one. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  return error.errcode & 0xff;
}

function startError(error: unknown, directory: string, path: string): unknown {
  switch (sqliteCode(error)) {
    case SQLITE_BUSY:
      return new StartError(
        `the directory ${directory} is in use by another process: a document store opens it alone`,
        {
          cause: error,
        },
      );
    case SQLITE_NOTADB:
      return new StartError(`expected a document store in ${path}, got a file that is none`, { cause: error });
    case undefined:
      return error;
    default:
      return new StartError(`the document store in ${path} cannot be opened: ${String(error)}`, { cause: error });
  }
}
