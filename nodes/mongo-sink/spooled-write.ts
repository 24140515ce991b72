import { type AnyBulkWriteOperation, BSON } from 'mongodb';
import { messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { SpoolRecord } from '../lib/spool/record.js';
import type { Newer } from './operation.js';
import type { NotStored } from '../spooling/backlog.js';
import type { Write, Writer } from './writer.js';

/** As the client writes it (`ignoreUndefined` of the connection). */
const WRITING = { ignoreUndefined: true };
/** Every type as it is: an Int32 that became a number could be written as a double, a Long as an Int32. */
const READING = { promoteValues: false, promoteLongs: false, promoteBuffers: false, bsonRegExp: true };

/** A write as the body of a record: BSON, because that is what it will be. */
export function encodeWrite({ collection, operation, newer }: Write): Uint8Array {
  return BSON.serialize({ collection, operation, ...(newer !== undefined && { newer }) }, WRITING);
}

/** @throws RejectedError `spool-record` for a body that is not one of these */
function decodeWrite({ body }: SpoolRecord): Write {
  try {
    const { collection, operation, newer } = BSON.deserialize(body, READING);
    return {
      collection: String(collection),
      operation: operation as AnyBulkWriteOperation,
      ...(newer !== undefined && { newer: newer as Newer }),
      collisions: 0,
    };
  } catch (error) {
    throw new RejectedError(`expected a write in the spool, got: ${messageOf(error)}`, {
      code: 'spool-record',
      cause: error,
    });
  }
}

/** Writes what was spooled, each collection's in order. @returns what was not stored, by its index */
export async function writeSpooled(
  writer: Writer,
  records: readonly SpoolRecord[],
): Promise<ReadonlyMap<number, NotStored>> {
  const notStored = new Map<number, NotStored>();
  const groups = new Map<string, { readonly indexes: number[]; readonly writes: Write[] }>();
  for (const [index, record] of records.entries()) {
    try {
      const write = decodeWrite(record);
      let group = groups.get(write.collection);
      if (group === undefined) groups.set(write.collection, (group = { indexes: [], writes: [] }));
      group.indexes.push(index);
      group.writes.push(write);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      notStored.set(index, error);
    }
  }
  await Promise.all(
    [...groups].map(async ([collection, { indexes, writes }]) => {
      for (const [position, failure] of await writer.write(collection, writes)) {
        notStored.set(indexes[position] ?? NaN, failure);
      }
    }),
  );
  return notStored;
}

/** What the dead letters get of it: the document, or the operation on the one with its key. */
export function spooledMessage({ body, identity, at }: SpoolRecord): Message {
  const { operation } = BSON.deserialize(body) as { operation: AnyBulkWriteOperation };
  return {
    payload: 'insertOne' in operation ? operation.insertOne.document : operation,
    ...(identity !== undefined && { identity }),
    receivedAt: at,
  };
}
