/** Commands that write documents. Each is one transaction, on the disk before it is answered. */
import { decode } from '../bson/decode.js';
import { isDoc, type Doc, type Value } from '../bson/values.js';
import { wholeNumber } from '../bson/numbers.js';
import { CommandError, notImplemented } from '../errors.js';
import { truthy } from '../query/expression.js';
import { compileFilter } from '../query/filter.js';
import { compileProjection } from '../query/projection.js';
import { compileSort, naturalOrder, type SortKey } from '../query/sort.js';
import type { Catalog } from '../storage/catalog.js';
import type { Collection, Row } from '../storage/collection.js';
import { compileUpdate, type Update } from '../update/update.js';
import type { Command, Fields, Session } from './command.js';
import { MAX_BATCH } from './handshake.js';
import { checkCollation, type Request } from './request.js';

/**
 * Runs the items of a bulk write in one transaction, and gives the entries of `writeErrors`: the items that are
 * refused. In order, the first is the end. Anything but a refusal undoes the whole command.
 */
function eachItem(
  request: Request,
  session: Session,
  field: string,
  write: (item: Buffer, index: number) => void,
): Fields[] {
  const items = request.documents(field);
  if (items.length === 0 || items.length > MAX_BATCH) {
    throw new CommandError(
      'InvalidLength',
      `Write batch sizes must be between 1 and ${MAX_BATCH}. Got ${items.length} operations.`,
    );
  }
  const ordered = !request.has('ordered') || request.flag('ordered');
  return session.catalog.transaction(() => {
    const errors: Fields[] = [];
    for (const [index, item] of items.entries()) {
      try {
        write(item, index);
      } catch (error) {
        if (!(error instanceof CommandError)) throw error;
        errors.push({ index, code: error.code, errmsg: error.message, ...error.details });
        if (ordered) break;
      }
    }
    return errors;
  });
}

function withErrors(reply: Fields, errors: readonly Fields[]): Fields {
  return errors.length === 0 ? reply : { ...reply, writeErrors: errors };
}

const INSERT: Command = {
  fields: ['documents', 'ordered', 'bypassDocumentValidation'],
  run: (request, session) => {
    const name = request.collection();
    let collection: Collection | undefined;
    let n = 0;
    const errors = eachItem(request, session, 'documents', (document) => {
      collection ??= session.catalog.obtain(request.db, name);
      collection.insert(document);
      n++;
    });
    return withErrors({ n }, errors);
  },
};

/** Throws for a field of an item that is not among those that are read. */
function readItem(raw: Buffer, command: string, fields: readonly string[]): Doc {
  const item = decode(raw);
  for (const [field, value] of item) {
    if (fields.includes(field) || field === 'comment') continue;
    if (field === 'collation') checkCollation(value);
    else if (!(Array.isArray(value) && value.length === 0)) throw notImplemented(`'${command}.${field}'`);
  }
  return item;
}

function filterOf(item: Doc, command: string): Doc {
  const filter = item.get('q');
  if (isDoc(filter)) return filter;
  throw new CommandError('TypeMismatch', `BSON field '${command}.q' is missing or no object`);
}

const UPDATE: Command = {
  fields: ['updates', 'ordered', 'bypassDocumentValidation'],
  run: (request, session) => {
    const name = request.collection();
    const upserted: { index: number; _id: Value }[] = [];
    let n = 0;
    let nModified = 0;
    const errors = eachItem(request, session, 'updates', (raw, index) => {
      const item = readItem(raw, 'update.updates', ['q', 'u', 'upsert', 'multi']);
      const filter = filterOf(item, 'update.updates');
      const update = compileUpdate(item.get('u'));
      const multi = truthy(item.get('multi'));
      if (multi && update.replaces) {
        throw new CommandError('FailedToParse', 'multi update is not supported for replacement-style update');
      }
      const collection = session.catalog.get(request.db, name);
      let matched = 0;
      for (const row of matching(collection, filter, multi)) {
        matched++;
        n++;
        if (change(collection, row, update)) nModified++;
      }
      if (matched > 0 || !truthy(item.get('upsert'))) return;
      upserted.push({ index, _id: upsert(session.catalog, request.db, name, filter, update).get('_id') ?? null });
      n++;
    });
    return withErrors({ n, nModified, ...(upserted.length > 0 ? { upserted } : {}) }, errors);
  },
};

/** Those that match, or the first. */
function* matching(collection: Collection | undefined, spec: Doc, multi: boolean): Generator<Row> {
  const filter = compileFilter(spec);
  for (const rows of collection?.find(filter) ?? []) {
    for (const row of rows) {
      yield row;
      if (!multi) return;
    }
  }
}

function change(collection: Collection | undefined, row: Row, update: Update): boolean {
  // Read anew: an update changes what it is given.
  return collection?.replace(row, update.apply(decode(row.item.raw))) ?? false;
}

function upsert(catalog: Catalog, db: string, name: string, filter: Doc, update: Update): Doc {
  const doc = update.insert(filter);
  catalog.obtain(db, name).insertDoc(doc);
  return doc;
}

const DELETE: Command = {
  fields: ['deletes', 'ordered'],
  run: (request, session) => {
    const name = request.collection();
    let n = 0;
    const errors = eachItem(request, session, 'deletes', (raw) => {
      const item = readItem(raw, 'delete.deletes', ['q', 'limit']);
      const limit = wholeNumber(item.get('limit'));
      if (limit !== 0 && limit !== 1) {
        throw new CommandError(
          'FailedToParse',
          `The limit field in delete objects must be 0 or 1. Got ${String(limit)}`,
        );
      }
      const collection = session.catalog.get(request.db, name);
      for (const row of matching(collection, filterOf(item, 'delete.deletes'), limit === 0)) {
        collection?.remove(row);
        n++;
      }
    });
    return withErrors({ n }, errors);
  },
};

const FIND_AND_MODIFY: Command = {
  fields: ['query', 'sort', 'remove', 'update', 'new', 'fields', 'upsert', 'bypassDocumentValidation'],
  run: (request, session) => {
    const name = request.collection();
    const remove = request.flag('remove');
    if (remove === (request.get('update') !== undefined)) {
      throw new CommandError('FailedToParse', "Either an update or 'remove=true' must be specified, and not both");
    }
    if (remove && (request.flag('new') || request.flag('upsert'))) {
      throw new CommandError('FailedToParse', "Cannot specify 'new=true' or 'upsert=true' along with 'remove=true'");
    }
    const fields = request.doc('fields');
    const project = fields === undefined || fields.size === 0 ? (doc: Doc) => doc : compileProjection(fields, true);
    const { value, ...lastErrorObject } = session.catalog.transaction(() =>
      remove ? findAndRemove(request, session, name) : findAndUpdate(request, session, name),
    );
    return { lastErrorObject, value: value === undefined ? null : project(value) };
  },
};

interface Modified {
  readonly n: number;
  readonly updatedExisting?: boolean;
  readonly upserted?: Value;
  /** What the answer shows of the document. */
  readonly value: Doc | undefined;
}

function findAndRemove(request: Request, session: Session, name: string): Modified {
  const collection = session.catalog.get(request.db, name);
  const row = firstRow(collection, request.doc('query') ?? new Map<string, Value>(), request.doc('sort'));
  if (row === undefined) return { n: 0, value: undefined };
  collection?.remove(row);
  return { n: 1, value: row.item.doc };
}

function findAndUpdate(request: Request, session: Session, name: string): Modified {
  const query = request.doc('query') ?? new Map<string, Value>();
  const update = compileUpdate(request.get('update'));
  const collection = session.catalog.get(request.db, name);
  const row = firstRow(collection, query, request.doc('sort'));
  const showNew = request.flag('new');
  if (row !== undefined) {
    const doc = update.apply(decode(row.item.raw));
    collection?.replace(row, doc);
    return { n: 1, updatedExisting: true, value: showNew ? doc : row.item.doc };
  }
  if (!request.flag('upsert')) return { n: 0, updatedExisting: false, value: undefined };
  const doc = upsert(session.catalog, request.db, name, query, update);
  return { n: 1, updatedExisting: false, upserted: doc.get('_id') ?? null, value: showNew ? doc : undefined };
}

/** The first that matches in the order of the sort. */
function firstRow(collection: Collection | undefined, spec: Doc, sortSpec: Doc | undefined): Row | undefined {
  const direction = naturalOrder(sortSpec);
  const sort = direction === undefined ? compileSort(sortSpec) : undefined;
  let first: { row: Row; key: SortKey } | undefined;
  for (const rows of collection?.find(compileFilter(spec), direction) ?? []) {
    for (const row of rows) {
      if (sort === undefined) return row;
      const key = sort.key(row.item.fields(sort.fields));
      if (first === undefined || sort.compare(key, first.key) < 0) first = { row, key };
    }
  }
  return first?.row;
}

export const WRITE: ReadonlyMap<string, Command> = new Map([
  ['insert', INSERT],
  ['update', UPDATE],
  ['delete', DELETE],
  ['findAndModify', FIND_AND_MODIFY],
  ['findandmodify', FIND_AND_MODIFY],
]);
