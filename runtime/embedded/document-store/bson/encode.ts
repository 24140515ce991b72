/** Writes BSON: `bson` does it, except where documents go out as the bytes that they are stored as. */
import { serialize } from 'bson';
import { MAX_DOCUMENT_BYTES, tooLarge } from './decode.js';
import type { Doc } from './values.js';

const INT32_BYTES = 4;
const TYPE_DOCUMENT = 3;
const TYPE_ARRAY = 4;

/** A document to be stored or sent, within the limit of size. */
export function encode(doc: Doc): Buffer {
  const buffer = encodeReply(doc);
  if (buffer.length > MAX_DOCUMENT_BYTES) throw tooLarge(buffer.length);
  return buffer;
}

/** Takes what `bson` takes; a reply may be larger than a document to be stored. */
export function encodeReply(reply: Readonly<Record<string, unknown>> | Doc): Buffer {
  const bytes = serialize(reply, { ignoreUndefined: true });
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The answer with a batch of a cursor: `{ cursor: { firstBatch | nextBatch: […], id, ns }, ok: 1 }`, the documents as
 * the bytes that they are.
 */
export function encodeBatch(
  field: 'firstBatch' | 'nextBatch',
  docs: readonly Buffer[],
  id: bigint,
  ns: string,
): Buffer {
  const array = encodeArray(docs);
  const rest = elements({ id, ns });
  const cursor = document(Buffer.concat([header(TYPE_ARRAY, field), array, rest]));
  return document(Buffer.concat([header(TYPE_DOCUMENT, 'cursor'), cursor, elements({ ok: 1 })]));
}

function encodeArray(docs: readonly Buffer[]): Buffer {
  let size = INT32_BYTES + 1;
  docs.forEach((doc, index) => (size += 2 + String(index).length + doc.length));
  const buffer = Buffer.allocUnsafe(size);
  let at = buffer.writeInt32LE(size);
  docs.forEach((doc, index) => {
    at = buffer.writeUInt8(TYPE_DOCUMENT, at);
    at += buffer.write(String(index), at, 'latin1');
    at = buffer.writeUInt8(0, at);
    at += doc.copy(buffer, at);
  });
  buffer.writeUInt8(0, at);
  return buffer;
}

function header(type: number, name: string): Buffer {
  return Buffer.from(`${String.fromCharCode(type)}${name}\0`, 'latin1');
}

/** The elements of a document, without its length and its end. */
function elements(fields: Readonly<Record<string, unknown>>): Buffer {
  return encodeReply(fields).subarray(INT32_BYTES, -1);
}

function document(content: Buffer): Buffer {
  const buffer = Buffer.allocUnsafe(INT32_BYTES + content.length + 1);
  buffer.writeInt32LE(buffer.length);
  content.copy(buffer, INT32_BYTES);
  buffer.writeUInt8(0, buffer.length - 1);
  return buffer;
}
