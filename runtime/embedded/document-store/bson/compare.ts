/** The order of BSON values, and the keys that stand for equal ones. */
import { Binary, BSONRegExp, Code, ObjectId, Timestamp } from 'bson';
import { compareNumbers, numberKey } from './numbers.js';
import { isNumeric, typeOf, type Doc, type Value } from './values.js';

/**
 * Negative, zero or positive, over all types
 * (https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/). Arrays compare as a whole here; what
 * `sort` makes of them is in sort.ts. `undefined` stands below null, as the empty array does in a sort.
 */
export function compare(a: Value | undefined, b: Value | undefined): number {
  const rank = typeOf(a).rank - typeOf(b).rank;
  if (rank !== 0 || a === undefined || b === undefined || a === null || b === null) return rank;
  if (isNumeric(a) && isNumeric(b)) return compareNumbers(a, b);
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime();
  if (a instanceof ObjectId && b instanceof ObjectId) return Buffer.compare(a.id, b.id);
  if (a instanceof Map && b instanceof Map) return compareDocs(a, b);
  if (Array.isArray(a) && Array.isArray(b)) return compareArrays(a, b);
  if (a instanceof Binary && b instanceof Binary) {
    return a.position - b.position || a.sub_type - b.sub_type || Buffer.compare(a.value(), b.value());
  }
  if (a instanceof Timestamp && b instanceof Timestamp) return a.compare(b);
  if (a instanceof BSONRegExp && b instanceof BSONRegExp) {
    return compareText(a.pattern, b.pattern) || compareText(a.options, b.options);
  }
  if (a instanceof Code && b instanceof Code) return compareText(a.code, b.code);
  return 0;
}

/** Field by field in their order: first the types, then the names, then the values. */
function compareDocs(a: Doc, b: Doc): number {
  const right = b.entries();
  for (const [name, value] of a) {
    const next = right.next();
    if (next.done === true) return 1;
    const [otherName, other] = next.value;
    const result = typeOf(value).rank - typeOf(other).rank || compareText(name, otherName) || compare(value, other);
    if (result !== 0) return result;
  }
  return a.size - b.size;
}

function compareArrays(a: readonly Value[], b: readonly Value[]): number {
  for (let index = 0; index < a.length && index < b.length; index++) {
    const result = compare(a[index], b[index]);
    if (result !== 0) return result;
  }
  return a.length - b.length;
}

/** By code point, which is the order of the UTF-8 bytes that MongoDB compares; JavaScript's own is by UTF-16 unit. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const difference = byCodePoint(a.charCodeAt(index)) - byCodePoint(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Surrogates (0xD800–0xDFFF) stand for code points above all other units. */
function byCodePoint(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit > 0xdfff ? unit - 0x800 : unit + 0x2000;
}

export function equal(a: Value | undefined, b: Value | undefined): boolean {
  return compare(a, b) === 0;
}

/**
 * Bytes that two values share exactly when they compare as equal: the key of `_id`, of unique indexes and of groups.
 * Each value begins with its rank and says its length, so no two sequences run into each other.
 */
export function keyOf(value: Value | undefined): Buffer {
  const parts: Buffer[] = [];
  appendKey(value, parts);
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only : Buffer.concat(parts);
}

function appendKey(value: Value | undefined, parts: Buffer[]): void {
  const { rank } = typeOf(value);
  if (value instanceof Map) {
    parts.push(tagged(rank, Buffer.from(String(value.size))));
    for (const [name, field] of value) {
      parts.push(tagged(rank, Buffer.from(name)));
      appendKey(field, parts);
    }
  } else if (Array.isArray(value)) {
    parts.push(tagged(rank, Buffer.from(String(value.length))));
    for (const element of value) appendKey(element, parts);
  } else {
    parts.push(tagged(rank, scalarKey(value)));
  }
}

function tagged(rank: number, content: Uint8Array): Buffer {
  const buffer = Buffer.allocUnsafe(5 + content.length);
  buffer.writeUInt8(rank);
  buffer.writeUInt32BE(content.length, 1);
  buffer.set(content, 5);
  return buffer;
}

function scalarKey(value: Exclude<Value, Doc | Value[]> | undefined): Uint8Array {
  if (value instanceof ObjectId) return value.id;
  if (typeof value === 'string') return Buffer.from(value);
  if (isNumeric(value)) return Buffer.from(numberKey(value));
  if (typeof value === 'boolean') return Buffer.from([Number(value)]);
  if (value instanceof Date) return Buffer.from(value.getTime().toString());
  if (value instanceof Binary) return Buffer.concat([Buffer.from([value.sub_type]), value.value()]);
  if (value instanceof Timestamp) return Buffer.from(value.toBigInt().toString());
  if (value instanceof BSONRegExp) return Buffer.from(`${value.pattern}\0${value.options}`);
  if (value instanceof Code) return Buffer.from(value.code);
  // null, MinKey and MaxKey are told by their ranks alone.
  return new Uint8Array(0);
}
