import { types } from 'node:util';
import { type AnyBulkWriteOperation, BSON, ObjectId } from 'mongodb';
import { ConfigError, describeValue, messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { compilePath } from '../lib/template.js';
import type { Config } from './config.js';
import type { Document } from './document.js';

/** The write that stores a document. */
export interface Operation {
  readonly operation: AnyBulkWriteOperation;
  /** The document's `_id`, where it is known before the write. */
  readonly id: unknown;
  /** Its size as BSON. */
  readonly bytes: number;
}

/** @throws RejectedError for a document that cannot be written */
export type OperationOf = (document: Document, message: Message) => Operation;

/** The server's limit for one document: https://www.mongodb.com/docs/manual/reference/limits/#bson-documents */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;

/** @throws ConfigError for an upsert without a key */
export function compileOperation(config: Pick<Config, 'operation' | 'key' | 'update'>): OperationOf {
  const prepare = config.operation === 'insert' ? prepareInsert : compileUpsert(config);
  return (document, message) => {
    const { operation, id } = prepare(document, message);
    return { operation, id, bytes: sizeOf(operation) };
  };
}

type Prepared = Omit<Operation, 'bytes'>;

/** A payload's own `_id` wins, then the message's identity; else one is made here, so that a retry has the same. */
function prepareInsert(document: Document, message: Message): Prepared {
  const id = ownId(document) ?? identityOf(message) ?? new ObjectId();
  const withId: Document = { _id: id, ...document };
  withId['_id'] = id; // over a null of the document's own
  return { operation: { insertOne: { document: withId } }, id };
}

function identityOf({ identity }: Message): string | undefined {
  return identity === '' ? undefined : identity;
}

/** Null is no `_id`: every document without one would be the duplicate of the first. */
function ownId(document: Document): unknown {
  return Object.hasOwn(document, '_id') ? (document['_id'] ?? undefined) : undefined;
}

function compileUpsert({
  key,
  update,
}: Pick<Config, 'key' | 'update'>): (document: Document, message: Message) => Prepared {
  if (key.length === 0) {
    throw new ConfigError('/key: expected the fields that an upsert finds its document by, got none', {
      code: 'setting',
      path: '/key',
    });
  }
  const fields = key.map((path) => ({ path, read: compilePath(path) }));
  const byId = key.includes('_id');
  return (made, message) => {
    const id = ownId(made) ?? (byId ? identityOf(message) : undefined);
    const rest = { ...made };
    delete rest['_id'];
    const document: Document = id === undefined ? rest : { _id: id, ...rest };
    const filter: Document = {};
    for (const { path, read } of fields) {
      const value = read(document);
      // Nothing but a plain value: an object would be read as operators, and match what it should not.
      if (value === undefined || value === null || (typeof value === 'object' && !isPlainValue(value))) {
        throw new RejectedError(`expected a value for the key ${path}, got ${describeValue(value)}`, {
          code: 'key',
          details: { field: path },
        });
      }
      filter[path] = value;
    }
    if (update === 'replace') {
      return { operation: { replaceOne: { filter, replacement: document, upsert: true } }, id };
    }
    // The `_id` of a document that is there cannot be changed; a filter on it sets it by itself.
    const change = { $set: rest, ...(id === undefined || byId ? {} : { $setOnInsert: { _id: id } }) };
    return { operation: { updateOne: { filter, update: change, upsert: true } }, id };
  };
}

function isPlainValue(value: object): boolean {
  return types.isDate(value) || value instanceof ObjectId;
}

/** @throws RejectedError for what cannot be written, or is larger than any document may be */
function sizeOf(operation: AnyBulkWriteOperation): number {
  let bytes: number;
  try {
    bytes = BSON.calculateObjectSize(operation, { ignoreUndefined: true });
  } catch (error) {
    throw new RejectedError(`expected a document that BSON can hold, got: ${messageOf(error)}`, {
      code: 'not-a-document',
      cause: error,
    });
  }
  if (bytes < MAX_DOCUMENT_BYTES) return bytes;
  throw new RejectedError(`expected a document of less than ${MAX_DOCUMENT_BYTES} bytes, got ${bytes}`, {
    code: 'document-too-large',
  });
}
