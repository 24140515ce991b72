/** Writes to the document that has the key of a message: upsert, update, delete. */
import { types } from 'node:util';
import { type AnyBulkWriteOperation, ObjectId } from 'mongodb';
import { ConfigError, describeValue, RejectedError } from '../lib/errors.js';
import { compilePath, pathSteps } from '../lib/template.js';
import { checkBson } from './bson-check.js';
import type { Config } from './config.js';
import type { Document } from './document.js';
import { documentIdentity, ownId } from './identity.js';
import type { Newer, Prepare } from './operation.js';
import { compileUpdateDocument, conflicting } from './update-document.js';

type KeyedConfig = Pick<Config, 'operation' | 'key' | 'update' | 'operators' | 'updatePath' | 'newerOnly'>;

/** @throws ConfigError for a key or for operators that cannot be */
export function compileKeyed(config: KeyedConfig): Prepare {
  const { key, newerOnly } = config;
  if (key.length === 0) {
    throw new ConfigError(`/key: expected the fields by which a document is found, got none`, {
      code: 'setting',
      path: '/key',
    });
  }
  const byId = key.includes('_id');
  const filterOf = compileFilter(key);
  const change = compileChange(config);
  const condition =
    newerOnly === undefined || config.operation === 'delete' ? undefined : compileNewer(newerOnly, key.map(dotted));
  return (made, message, scope) => {
    const id = ownId(made) ?? (byId ? documentIdentity(message) : undefined);
    const rest = { ...made };
    delete rest['_id'];
    const document: Document = id === undefined ? rest : { _id: id, ...rest };
    checkBson(document);
    const filter = filterOf(document);
    if (condition === undefined) return { operation: change({ filter, document, rest, id, scope }) };
    const { path, value } = condition(document);
    // Not `$lt`: a document that has no such field yet, or one of another type, is older as well.
    const older: Document = { ...filter, [path]: { $not: { $gte: value } } };
    const newer: Newer = { key: filter, notOlder: { ...filter, [path]: { $gte: value } } };
    return { operation: change({ filter: older, document, rest, id, scope, mark: { path, value } }), newer };
  };
}

/** Finds by plain values only: an object would be read as operators, and match what it should not. */
function compileFilter(key: readonly string[]): (document: Document) => Document {
  const fields = key.map((path) => ({ path, name: dotted(path), read: compilePath(path) }));
  return (document) => {
    const filter: Document = {};
    for (const { path, name, read } of fields) {
      const value = read(document);
      if (value === undefined || value === null || (typeof value === 'object' && !isPlainValue(value))) {
        throw new RejectedError(`expected a value for the key ${path}, got ${describeValue(value)}`, {
          code: 'key',
          details: { field: path },
        });
      }
      filter[name] = value;
    }
    return filter;
  };
}

function isPlainValue(value: object): boolean {
  return types.isDate(value) || value instanceof ObjectId;
}

/** A path as MongoDB writes it. */
export function dotted(path: string): string {
  return pathSteps(path).join('.');
}

interface Mark {
  readonly path: string;
  readonly value: unknown;
}

/** @param key - the condition on one of its fields would take the place of what finds the document, and find others */
function compileNewer(source: string, key: readonly string[]): (document: Document) => Mark {
  const path = dotted(source);
  if (conflicting(path, [...key, '_id']) !== undefined) {
    throw new ConfigError(
      `/newerOnly: expected a field that is none of the key, nor _id, got ${JSON.stringify(source)}`,
      {
        code: 'setting',
        path: '/newerOnly',
      },
    );
  }
  const read = compilePath(source);
  return (document) => {
    const value = read(document);
    const grows = typeof value === 'string' || typeof value === 'bigint' || types.isDate(value);
    if (grows || (typeof value === 'number' && !Number.isNaN(value))) return { path, value };
    throw new RejectedError(
      `expected a date, a number or a text in ${source}, to tell newer from older, got ${describeValue(value)}`,
      { code: 'newer-only', details: { field: source } },
    );
  };
}

interface Parts {
  readonly filter: Document;
  readonly document: Document;
  /** The document without its `_id`. */
  readonly rest: Document;
  readonly id: unknown;
  readonly scope: () => object;
  /** What an update has to leave in the document, for the next one to be compared with. */
  readonly mark?: Mark;
}

function compileChange(config: KeyedConfig): (parts: Parts) => AnyBulkWriteOperation {
  if (config.operation === 'delete') return ({ filter }) => ({ deleteOne: { filter } });
  const key = config.key.map(dotted);
  // The `_id` of a document that is there cannot be changed; a filter on it sets it by itself.
  const onInsert = (id: unknown): Document | undefined =>
    id === undefined || key.includes('_id') ? undefined : { _id: id };
  if (config.operation === 'upsert') {
    if (config.update === 'replace') {
      return ({ filter, document }) => ({ replaceOne: { filter, replacement: document, upsert: true } });
    }
    return ({ filter, rest, id }) => {
      const setOnInsert = onInsert(id);
      const update = { $set: rest, ...(setOnInsert === undefined ? {} : { $setOnInsert: setOnInsert }) };
      return { updateOne: { filter, update, upsert: true } };
    };
  }
  const updateOf = compileUpdateDocument(
    config,
    config.newerOnly === undefined ? key : [...key, dotted(config.newerOnly)],
  );
  return ({ filter, id, scope, mark }) => {
    const update = updateOf(scope);
    const setOnInsert = onInsert(id);
    if (setOnInsert !== undefined) update['$setOnInsert'] = { ...setOnInsert, ...update['$setOnInsert'] };
    if (mark !== undefined) update['$set'] = { ...update['$set'], [mark.path]: mark.value };
    checkBson(update);
    return { updateOne: { filter, update, upsert: true } };
  };
}
