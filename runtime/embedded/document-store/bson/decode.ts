/**
 * Reads BSON (bsonspec.org, version 1.1). Its own reader, because `bson`'s gives plain objects, which change the
 * order of fields, and because it must also walk over a document without building it: to check one that is to be
 * stored as it came, and to read only the fields that a filter looks at.
 */
import { isUtf8 } from 'node:buffer';
import { Binary, BSONRegExp, Code, Decimal128, Double, Int32, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';
import { CommandError, notImplemented } from '../errors.js';
import type { Doc, Value } from './values.js';

/** https://www.mongodb.com/docs/manual/reference/limits/ says 100 levels of nesting; the server itself stores 180. */
export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 180;

/** The byte before each element. */
const DOUBLE = 0x01;
const STRING = 0x02;
const DOCUMENT = 0x03;
const ARRAY = 0x04;
const BINARY = 0x05;
const OBJECT_ID = 0x07;
const BOOLEAN = 0x08;
const DATE = 0x09;
const NULL = 0x0a;
const REGEX = 0x0b;
const CODE = 0x0d;
const INT32 = 0x10;
const TIMESTAMP = 0x11;
const INT64 = 0x12;
const DECIMAL128 = 0x13;
const MAX_KEY = 0x7f;
const MIN_KEY = 0xff;

/** Deprecated for ten years or more; no driver of today writes them unasked. */
const REFUSED: ReadonlyMap<number, string> = new Map([
  [0x06, 'undefined'],
  [0x0c, 'DBPointer'],
  [0x0e, 'symbol'],
  [0x0f, 'JavaScript code with scope'],
]);

const BULK_FIELDS: ReadonlySet<string> = new Set(['documents', 'updates', 'deletes']);

/** Its value repeats its length inside. */
const DEPRECATED_SUBTYPE = 2;

/** The largest time that a JavaScript Date holds (ECMA-262, 21.4.1.1). */
const MAX_DATE = 8_640_000_000_000_000n;

/** @param wanted the top-level fields to read, where not all are. Throws `CommandError` InvalidBSON. */
export function decode(buffer: Buffer, wanted?: ReadonlySet<string>): Doc {
  return new Reader(buffer).document(wanted);
}

/** A command without its bulk fields, which may hold thousands of documents: `rawDocuments` gives those as bytes. */
export function decodeCommand(buffer: Buffer): Doc {
  return new Reader(buffer).document(undefined, BULK_FIELDS);
}

/** Checks that a document can be stored as it is: every byte of it has a place, and every type is known. */
export function validate(buffer: Buffer): void {
  if (buffer.length > MAX_DOCUMENT_BYTES) throw tooLarge(buffer.length);
  new Reader(buffer).skipDocument();
}

export function tooLarge(size: number): CommandError {
  return new CommandError(
    'BSONObjectTooLarge',
    `BSONObj size: ${size} is invalid. Size must be between 0 and ${MAX_DOCUMENT_BYTES}(16MB)`,
  );
}

/** The documents of an array field as the bytes that they came in; `undefined` where there is no such field. */
export function rawDocuments(buffer: Buffer, name: string): Buffer[] | undefined {
  return new Reader(buffer).rawDocuments(name);
}

/** The document with `_id` as its first field, which is where MongoDB keeps it, and the value of that field. */
export function withLeadingId(buffer: Buffer): { raw: Buffer; id: Value | undefined } {
  return new Reader(buffer).withLeadingId();
}

class Reader {
  #at = 0;
  #depth = 0;

  constructor(readonly buffer: Buffer) {}

  document(wanted?: ReadonlySet<string>, unwanted?: ReadonlySet<string>): Doc {
    const end = this.#begin();
    const doc: Doc = new Map();
    let missing = wanted?.size ?? Infinity;
    while (this.#at < end) {
      const type = this.#byte();
      const name = this.#cstring();
      // Of two fields of one name MongoDB reads the first.
      if (wanted?.has(name) === false || unwanted?.has(name) === true || doc.has(name)) {
        this.#skip(type);
        continue;
      }
      doc.set(name, this.#value(type));
      if (--missing === 0) return doc;
    }
    this.#finish(end);
    return doc;
  }

  skipDocument(): void {
    const end = this.#begin();
    while (this.#at < end) {
      const type = this.#byte();
      this.#skipCstring();
      this.#skip(type);
    }
    this.#finish(end);
  }

  rawDocuments(wanted: string): Buffer[] | undefined {
    const end = this.#begin();
    while (this.#at < end) {
      const type = this.#byte();
      const name = this.#cstring();
      if (name !== wanted) {
        this.#skip(type);
        continue;
      }
      if (type !== ARRAY) {
        throw new CommandError('TypeMismatch', `BSON field '${wanted}' is the wrong type, expected type 'array'`);
      }
      return this.#rawElements(wanted);
    }
    return undefined;
  }

  #rawElements(name: string): Buffer[] {
    const end = this.#begin();
    const raws: Buffer[] = [];
    while (this.#at < end) {
      const type = this.#byte();
      this.#skipCstring();
      if (type !== DOCUMENT) {
        throw new CommandError(
          'TypeMismatch',
          `BSON field '${name}.${raws.length}' is the wrong type, expected type 'object'`,
        );
      }
      const start = this.#at;
      this.#skip(type);
      raws.push(this.buffer.subarray(start, this.#at));
    }
    this.#finish(end);
    return raws;
  }

  withLeadingId(): { raw: Buffer; id: Value | undefined } {
    const end = this.#begin();
    const first = this.#at;
    while (this.#at < end) {
      const start = this.#at;
      const type = this.#byte();
      if (this.#cstring() !== '_id') {
        this.#skip(type);
        continue;
      }
      const id = this.#value(type);
      if (start === first) return { raw: this.buffer, id };
      const parts = [
        this.buffer.subarray(0, first),
        this.buffer.subarray(start, this.#at),
        this.buffer.subarray(first, start),
        this.buffer.subarray(this.#at),
      ];
      return { raw: Buffer.concat(parts, this.buffer.length), id };
    }
    return { raw: this.buffer, id: undefined };
  }

  /** Reads the length of a document or an array, and gives the offset of its last byte. */
  #begin(): number {
    const start = this.#at;
    const size = this.#int32();
    if (size < 5 || start + size > this.buffer.length) throw malformed(`a document of ${size} bytes`);
    if (start === 0 && size !== this.buffer.length)
      throw malformed(`a document of ${size} bytes in ${this.buffer.length}`);
    if (++this.#depth > MAX_DEPTH) throw malformed(`more than ${MAX_DEPTH} levels of nesting`);
    return start + size - 1;
  }

  #finish(end: number): void {
    if (this.#at !== end || this.#byte() !== 0) throw malformed('a document does not end where it should');
    this.#depth--;
  }

  #value(type: number): Value {
    switch (type) {
      case DOUBLE:
        return new Double(this.buffer.readDoubleLE(this.#take(8)));
      case STRING:
        return this.#string();
      case DOCUMENT:
        return this.document();
      case ARRAY:
        return this.#array();
      case BINARY: {
        const { subtype, start, end } = this.#binary();
        // A copy: the bytes around it are the connection's or SQLite's.
        return new Binary(Uint8Array.prototype.slice.call(this.buffer, start, end), subtype);
      }
      case OBJECT_ID:
        return new ObjectId(Uint8Array.prototype.slice.call(this.buffer, this.#take(12), this.#at));
      case BOOLEAN:
        return this.#boolean();
      case DATE:
        return this.#date();
      case NULL:
        return null;
      case REGEX: {
        const pattern = this.#cstring();
        const options = this.#cstring();
        if (!/^[imxlsu]*$/.test(options)) throw malformed(`the regular expression options '${options}'`);
        return new BSONRegExp(pattern, options);
      }
      case CODE:
        return new Code(this.#string());
      case INT32:
        return new Int32(this.#int32());
      case TIMESTAMP:
        return Timestamp.fromBits(this.#int32(), this.#int32());
      case INT64:
        return this.buffer.readBigInt64LE(this.#take(8));
      case DECIMAL128:
        return new Decimal128(Uint8Array.prototype.slice.call(this.buffer, this.#take(16), this.#at));
      case MAX_KEY:
        return new MaxKey();
      case MIN_KEY:
        return new MinKey();
      default:
        throw unknownType(type);
    }
  }

  #skip(type: number): void {
    switch (type) {
      case DOUBLE:
      case TIMESTAMP:
      case INT64:
        this.#take(8);
        return;
      case STRING:
      case CODE:
        this.#skipString();
        return;
      case DOCUMENT:
      case ARRAY:
        this.skipDocument();
        return;
      case BINARY:
        this.#binary();
        return;
      case OBJECT_ID:
        this.#take(12);
        return;
      case BOOLEAN:
        this.#boolean();
        return;
      case DATE:
        this.#date();
        return;
      case NULL:
      case MAX_KEY:
      case MIN_KEY:
        return;
      case REGEX:
        this.#value(type);
        return;
      case INT32:
        this.#take(4);
        return;
      case DECIMAL128:
        this.#take(16);
        return;
      default:
        throw unknownType(type);
    }
  }

  #array(): Value[] {
    const end = this.#begin();
    const array: Value[] = [];
    while (this.#at < end) {
      const type = this.#byte();
      // The names are '0', '1', …; MongoDB does not look at them either.
      this.#skipCstring();
      array.push(this.#value(type));
    }
    this.#finish(end);
    return array;
  }

  #binary(): { subtype: number; start: number; end: number } {
    const size = this.#int32();
    const subtype = this.#byte();
    if (size < 0) throw malformed('a negative length');
    if (subtype === DEPRECATED_SUBTYPE) throw notImplemented('the deprecated binary subtype 2');
    const start = this.#take(size);
    return { subtype, start, end: this.#at };
  }

  #boolean(): boolean {
    const byte = this.#byte();
    if (byte > 1) throw malformed(`a boolean of ${byte}`);
    return byte === 1;
  }

  #date(): Date {
    const time = this.buffer.readBigInt64LE(this.#take(8));
    if (time > MAX_DATE || time < -MAX_DATE) throw notImplemented(`the date ${time.toString()} ms from 1970`);
    return new Date(Number(time));
  }

  #string(): string {
    const end = this.#stringEnd();
    const start = this.#at;
    this.#at = end + 1;
    return this.#utf8(start, end);
  }

  #skipString(): void {
    const end = this.#stringEnd();
    const start = this.#at;
    this.#at = end + 1;
    this.#checkUtf8(start, end);
  }

  /** Reads the length of a string, and gives the offset of the NUL after it. */
  #stringEnd(): number {
    const size = this.#int32();
    const end = this.#at + size - 1;
    if (size < 1 || end >= this.buffer.length || this.buffer[end] !== 0) throw malformed(`a string of ${size} bytes`);
    return end;
  }

  #cstring(): string {
    const start = this.#at;
    this.#at = this.#cstringEnd() + 1;
    return this.#utf8(start, this.#at - 1);
  }

  #skipCstring(): void {
    const start = this.#at;
    this.#at = this.#cstringEnd() + 1;
    this.#checkUtf8(start, this.#at - 1);
  }

  #cstringEnd(): number {
    const end = this.buffer.indexOf(0, this.#at);
    if (end < 0) throw malformed('a name without an end');
    return end;
  }

  #utf8(start: number, end: number): string {
    if (this.#ascii(start, end)) return this.buffer.toString('latin1', start, end);
    this.#checkUtf8(start, end);
    return this.buffer.toString('utf8', start, end);
  }

  /** Text that is no UTF-8 would come back changed from an update: it is refused at the door. */
  #checkUtf8(start: number, end: number): void {
    if (!this.#ascii(start, end) && !isUtf8(this.buffer.subarray(start, end)))
      throw malformed('text that is not UTF-8');
  }

  #ascii(start: number, end: number): boolean {
    const { buffer } = this;
    for (let at = start; at < end; at++) if ((buffer[at] ?? 0) > 0x7f) return false;
    return true;
  }

  #int32(): number {
    return this.buffer.readInt32LE(this.#take(4));
  }

  #byte(): number {
    return this.buffer.readUInt8(this.#take(1));
  }

  #take(bytes: number): number {
    const start = this.#at;
    if (start + bytes > this.buffer.length) throw malformed('the end of the document inside a value');
    this.#at = start + bytes;
    return start;
  }
}

function malformed(what: string): CommandError {
  return new CommandError('InvalidBSON', `malformed BSON: ${what}`);
}

function unknownType(type: number): CommandError {
  const name = REFUSED.get(type);
  return name === undefined
    ? malformed(`type 0x${type.toString(16)}`)
    : notImplemented(`the deprecated BSON type ${name}`);
}
