import { type AnyBulkWriteOperation, BSON, ObjectId } from 'mongodb';
import { messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { checkBson } from './bson-check.js';
import type { Config } from './config.js';
import type { Document } from './document.js';
import { documentIdentity, ownId } from './identity.js';
import { compileKeyed } from './keyed-operation.js';

/** The write that a message asks for. */
export interface Operation {
  readonly operation: AnyBulkWriteOperation;
  /** The `_id` that an insert is known by when the message comes again. */
  readonly id?: string | number;
  /** Which document it changes only when it is newer. */
  readonly newer?: Newer;
  /** Its size as BSON: not less, and of an insert about. */
  readonly bytes: number;
}

export interface Newer {
  /** Finds the document by its key. */
  readonly key: Document;
  /** Finds it, when it is not older than the message. */
  readonly notOlder: Document;
}

/** @throws RejectedError for what cannot be written */
export type OperationOf = (document: Document, message: Message, scope: () => object) => Operation;

export type Prepare = (document: Document, message: Message, scope: () => object) => Omit<Operation, 'bytes'>;

/** The server's limit for one document: https://www.mongodb.com/docs/manual/reference/limits/#bson-documents */
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** An `_id` that is not a text, and the name of a text. */
const ID_BYTES = 32;

/** @throws ConfigError for a key or for operators that cannot be */
export function compileOperation(
  config: Pick<Config, 'operation' | 'key' | 'update' | 'operators' | 'updatePath' | 'newerOnly'>,
): OperationOf {
  if (config.operation === 'insert') return insertOf;
  const prepare = compileKeyed(config);
  return (document, message, scope) => {
    const prepared = prepare(document, message, scope);
    return { ...prepared, bytes: sizeOf(prepared.operation) };
  };
}

/** A payload's own `_id` wins, then the message's identity; else one is made here, so that a retry has the same. */
function insertOf(document: Document, message: Message): Operation {
  const content = checkBson(document);
  const id = ownId(document) ?? documentIdentity(message) ?? new ObjectId();
  const withId: Document = { _id: id, ...document };
  withId['_id'] = id; // over a null of the document's own
  const known = typeof id === 'string' || typeof id === 'number';
  const operation = { insertOne: { document: withId } };
  const atMost = content + ID_BYTES + (typeof id === 'string' ? 3 * id.length : 0);
  const bytes = atMost < MAX_DOCUMENT_BYTES ? atMost : sizeOf(operation);
  return known ? { operation, id, bytes } : { operation, bytes };
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
