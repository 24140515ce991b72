import { existsSync } from 'node:fs';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { DeliveryTag } from '../delivery/outcome.js';
import { graftFirstPage, isDamage, openDatabase, removeDatabase, renameDatabase, transaction } from './database.js';
import type { Damage, Gone } from './record.js';

/** A row as SQLite gives it. */
export type Row = Record<string, SQLOutputValue> & {
  readonly seq: number;
  readonly checksum: number;
  readonly body: Uint8Array;
};

const COLUMNS = 'seq, at, source, number, identity, bytes, checksum, body, bundle';
const INSERT = `INSERT OR IGNORE INTO record (${COLUMNS}) VALUES (:seq, :at, :source, :number, :identity, :bytes, :checksum, :body, :bundle)`;
const BATCH = 500;

/** Sets a damaged file, which is closed, aside under a new name, and puts what can be read of it into one in its place. */
export function recover(file: string, at: number, reason: string): Damage {
  const movedTo = freeName(`${file}.damaged-${new Date(at).toISOString().slice(0, 19).replaceAll(':', '-')}Z`);
  renameDatabase(file, movedTo);
  let target: DatabaseSync | undefined;
  let source: DatabaseSync | undefined;
  try {
    openDatabase(file).close();
    source = openDamaged(movedTo, file);
    target = openDatabase(file);
    const { recovered, lost } = source === undefined ? { recovered: 0, lost: undefined } : copy(source, target);
    return { movedTo, reason, recovered, lost };
  } catch (error) {
    // The disk has no room for it: as it was, for the next attempt.
    target?.close();
    target = undefined;
    source?.close();
    source = undefined;
    removeDatabase(file);
    renameDatabase(movedTo, file);
    throw error;
  } finally {
    target?.close();
    source?.close();
  }
}

function freeName(name: string): string {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (!existsSync(candidate)) return candidate;
  }
}

/** @returns undefined when nothing of it can be read */
function openDamaged(file: string, whole: string): DatabaseSync | undefined {
  for (const mend of [() => undefined, () => graftFirstPage(whole, file)]) {
    try {
      mend();
      return openDatabase(file);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  return undefined;
}

function copy(source: DatabaseSync, target: DatabaseSync): { recovered: number; lost: Gone[] | undefined } {
  const listed = listedRecords(source);
  const insert = target.prepare(INSERT);
  const saved = new Set<number>();
  const save = (rows: Row[]): void => {
    transaction(target, () => {
      for (const row of rows) insert.run(row);
    });
    for (const { seq } of rows) saved.add(seq);
  };
  const rows: Row[] = [];
  for (const row of readableRows(source, listed.records)) {
    if (rows.push(row) >= BATCH) save(rows.splice(0));
  }
  save(rows);
  copyTable(source, target, 'bundle', 'id, about, taken');
  copyTable(source, target, 'seen', 'id, added, forgotten');
  const lost = [...listed.records].filter(([seq]) => !saved.has(seq)).map(([seq, delivery]) => ({ seq, delivery }));
  return { recovered: saved.size, lost: listed.whole ? lost : undefined };
}

function copyTable(source: DatabaseSync, target: DatabaseSync, table: string, columns: string): void {
  const places = columns.replace(/\w+/g, ':$&');
  const insert = target.prepare(`INSERT OR IGNORE INTO ${table} (${columns}) VALUES (${places})`);
  transaction(target, () => {
    const rows = untilDamage(() => source.prepare(`SELECT ${columns} FROM ${table} ORDER BY rowid`).iterate());
    for (const row of rows) insert.run(row);
  });
}

/** What the index says that there is: it may be whole where the records are not. */
function listedRecords(source: DatabaseSync): { records: Map<number, DeliveryTag | undefined>; whole: boolean } {
  const records = new Map<number, DeliveryTag | undefined>();
  try {
    const rows = source.prepare('SELECT seq, source, number FROM record INDEXED BY record_delivery').iterate();
    for (const row of rows) records.set(Number(row['seq']), tagOf(row));
    return { records, whole: true };
  } catch (error) {
    if (!isDamage(error)) throw error;
    return { records, whole: false };
  }
}

/** Reads from both ends to the first page that cannot be read, and looks for each record in between by itself. */
function* readableRows(source: DatabaseSync, listed: ReadonlyMap<number, unknown>): Generator<Row> {
  const scan = (order: string): Iterable<Row> =>
    untilDamage(() => source.prepare(`SELECT ${COLUMNS} FROM record ORDER BY seq ${order}`).iterate() as Iterable<Row>);
  let first = 0;
  for (const row of scan('ASC')) {
    first = row.seq;
    if (isWhole(row)) yield row;
  }
  let end: number | undefined;
  for (const row of scan('DESC')) {
    if (row.seq <= first) return;
    end = row.seq;
    if (isWhole(row)) yield row;
  }
  end ??= [...listed.keys()].reduce((highest, seq) => Math.max(highest, seq), 0) + 1;
  const find = source.prepare(`SELECT ${COLUMNS} FROM record WHERE seq = ?`);
  for (let seq = first + 1; seq < end; seq++) {
    for (const row of untilDamage(() => find.all(seq) as Row[])) if (isWhole(row)) yield row;
  }
}

function* untilDamage<T>(rows: () => Iterable<T>): Generator<T> {
  try {
    yield* rows();
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
}

export function isWhole({ body, checksum }: Row): boolean {
  return crc32(body) === checksum;
}

export function tagOf(row: Record<string, unknown>): DeliveryTag | undefined {
  const { source, number } = row;
  return typeof source === 'string' && typeof number === 'number' ? { source, number } : undefined;
}
