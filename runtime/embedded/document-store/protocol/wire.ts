/**
 * MongoDB's messages: framing, OP_MSG, and OP_QUERY for the handshake.
 * https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */
import { crc32c } from './crc32c.js';

/** Thrown for bytes that are no message of the protocol: after them nothing on the connection can be trusted. */
export class ProtocolViolation extends Error {
  override readonly name = 'ProtocolViolation';
}

export const MAX_MESSAGE_BYTES = 48_000_000;
/** A reply holds a document or a batch of 16 MiB, and what is around it. */
export const MAX_REPLY_BYTES = 16 * 1024 * 1024 + 16 * 1024;

const HEADER_BYTES = 16;
const CHECKSUM_BYTES = 4;

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_COMPRESSED = 2012;
const OP_MSG = 2013;

const CHECKSUM_PRESENT = 1 << 0;
const MORE_TO_COME = 1 << 1;
/** The lower 16 bits: a receiver must not go on with one that it does not know. */
const REQUIRED_FLAGS = 0xffff;

const KIND_BODY = 0;
const KIND_SEQUENCE = 1;

export interface Message {
  readonly requestId: number;
  /** The command, BSON not yet looked at. */
  readonly body: Buffer;
  /** OP_MSG's document sequences, by the name of the field that each stands for. */
  readonly sequences: ReadonlyMap<string, readonly Buffer[]>;
  /** The sender does not read an answer: a write with `w: 0`. */
  readonly unanswered: boolean;
  /** The namespace of an OP_QUERY, which OP_MSG has in its body. */
  readonly queried: string | undefined;
}

/** Puts the pieces of a TCP stream together. */
export class Framer {
  #pieces: Buffer[] = [];
  #size = 0;

  /** The complete messages, after one more piece. Throws `ProtocolViolation`. */
  *push(piece: Buffer): Generator<Buffer> {
    this.#pieces.push(piece);
    this.#size += piece.length;
    for (;;) {
      const length = this.#nextLength();
      if (length === undefined || this.#size < length) return;
      const all = this.#join();
      this.#pieces = length < all.length ? [all.subarray(length)] : [];
      this.#size -= length;
      yield all.subarray(0, length);
    }
  }

  #nextLength(): number | undefined {
    if (this.#size < HEADER_BYTES) return undefined;
    const [first] = this.#pieces;
    const head = first !== undefined && first.length >= HEADER_BYTES ? first : this.#join();
    const length = head.readInt32LE();
    if (length < HEADER_BYTES || length > MAX_MESSAGE_BYTES)
      throw new ProtocolViolation(`a message of ${length} bytes`);
    return length;
  }

  #join(): Buffer {
    const [first] = this.#pieces;
    const all = first !== undefined && this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces, this.#size);
    this.#pieces = [all];
    return all;
  }
}

/** Throws `ProtocolViolation`. */
export function parseMessage(message: Buffer): Message {
  const requestId = message.readInt32LE(4);
  const opCode = message.readInt32LE(12);
  switch (opCode) {
    case OP_MSG:
      return parseMsg(message, requestId);
    case OP_QUERY:
      return parseQuery(message, requestId);
    case OP_COMPRESSED:
      throw new ProtocolViolation('a compressed message, although no compressor was announced');
    default:
      throw new ProtocolViolation(`a message with the opcode ${opCode}`);
  }
}

function parseMsg(message: Buffer, requestId: number): Message {
  const flags = uint32(message, HEADER_BYTES);
  const unknown = flags & REQUIRED_FLAGS & ~(CHECKSUM_PRESENT | MORE_TO_COME);
  if (unknown !== 0) throw new ProtocolViolation(`the unknown flags 0x${unknown.toString(16)}`);
  let end = message.length;
  if ((flags & CHECKSUM_PRESENT) !== 0) {
    end -= CHECKSUM_BYTES;
    if (uint32(message, end) !== crc32c(message.subarray(0, end))) throw new ProtocolViolation('a wrong checksum');
  }
  let body: Buffer | undefined;
  const sequences = new Map<string, readonly Buffer[]>();
  let at = HEADER_BYTES + 4;
  while (at < end) {
    const kind = message[at++];
    if (kind !== KIND_BODY && kind !== KIND_SEQUENCE)
      throw new ProtocolViolation(`a section of the kind ${kind ?? ''}`);
    const section = sized(message, at, end);
    at += section.length;
    if (kind === KIND_SEQUENCE) {
      const { name, documents } = parseSequence(section);
      if (sequences.has(name)) throw new ProtocolViolation(`two sequences for '${name}'`);
      sequences.set(name, documents);
    } else {
      if (body !== undefined) throw new ProtocolViolation('a message with two bodies');
      body = section;
    }
  }
  if (body === undefined) throw new ProtocolViolation('a message without a body');
  return { requestId, body, sequences, unanswered: (flags & MORE_TO_COME) !== 0, queried: undefined };
}

function parseSequence(section: Buffer): { name: string; documents: Buffer[] } {
  const nameEnd = cstringEnd(section, 4);
  const documents: Buffer[] = [];
  let at = nameEnd + 1;
  while (at < section.length) {
    const document = sized(section, at, section.length);
    documents.push(document);
    at += document.length;
  }
  return { name: section.toString('utf8', 4, nameEnd), documents };
}

function parseQuery(message: Buffer, requestId: number): Message {
  const nameEnd = cstringEnd(message, HEADER_BYTES + 4);
  // After the name: how many to skip and to return, which mean nothing for a command.
  const body = sized(message, nameEnd + 1 + 8, message.length);
  const queried = message.toString('utf8', HEADER_BYTES + 4, nameEnd);
  return { requestId, body, sequences: new Map(), unanswered: false, queried };
}

/** What begins with its own length, as documents and sections do. */
function sized(buffer: Buffer, at: number, end: number): Buffer {
  const length = at + 4 <= end ? buffer.readInt32LE(at) : -1;
  if (length < 5 || at + length > end) throw new ProtocolViolation(`a section or document of ${length} bytes`);
  return buffer.subarray(at, at + length);
}

function cstringEnd(buffer: Buffer, from: number): number {
  const end = buffer.indexOf(0, from);
  if (end < 0) throw new ProtocolViolation('a name without an end');
  return end;
}

function uint32(buffer: Buffer, at: number): number {
  if (at < HEADER_BYTES || at + 4 > buffer.length) throw new ProtocolViolation('a message that ends too early');
  return buffer.readUInt32LE(at);
}

/** The frame around a reply's BSON, in the form of the request. */
export function frameReply(request: Message, reply: Buffer): Buffer[] {
  const head = request.queried === undefined ? msgHead() : replyHead();
  head.writeInt32LE(head.length + reply.length, 0);
  // Of its own id nobody makes use.
  head.writeInt32LE(0, 4);
  head.writeInt32LE(request.requestId, 8);
  return [head, reply];
}

function msgHead(): Buffer {
  const head = Buffer.alloc(HEADER_BYTES + 5);
  head.writeInt32LE(OP_MSG, 12);
  return head;
}

function replyHead(): Buffer {
  const head = Buffer.alloc(HEADER_BYTES + 20);
  head.writeInt32LE(OP_REPLY, 12);
  // AwaitCapable, as every server of today says; cursor 0, starting from 0; one document.
  head.writeInt32LE(8, HEADER_BYTES);
  head.writeInt32LE(1, HEADER_BYTES + 16);
  return head;
}
