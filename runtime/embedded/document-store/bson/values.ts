/**
 * Values of BSON in memory: with their exact types, so that what is read and written again stays what it was, and a
 * double 1.0 is not taken for an integer.
 */
import { Binary, BSONRegExp, Code, Decimal128, Double, Int32, MaxKey, MinKey, ObjectId, Timestamp } from 'bson';

export type Numeric = Int32 | Double | bigint | Decimal128;

/** `bigint` is an int64. A field that is missing is `undefined`, which is no value. */
export type Value =
  | null
  | boolean
  | string
  | Date
  | Numeric
  | ObjectId
  | Binary
  | BSONRegExp
  | Code
  | Timestamp
  | MinKey
  | MaxKey
  | Map<string, Value>
  | Value[];

/**
 * A Map, because a plain object puts names that look like integers first; the order of fields is part of a document.
 */
export type Doc = Map<string, Value>;

export function isDoc(value: Value | undefined): value is Doc {
  return value instanceof Map;
}

export function isNumeric(value: Value | undefined): value is Numeric {
  return value instanceof Int32 || value instanceof Double || typeof value === 'bigint' || value instanceof Decimal128;
}

interface BsonType {
  /** The byte before an element (bsonspec.org). */
  code: number;
  /** What `$type` calls it. */
  alias: string;
  /** Where its values stand among those of other types; types that compare as one share a rank. */
  rank: number;
}

/** Ranks: https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/ */
const TYPES = {
  minKey: { code: -1, alias: 'minKey', rank: 0 },
  missing: { code: 6, alias: 'missing', rank: 1 },
  null: { code: 10, alias: 'null', rank: 2 },
  double: { code: 1, alias: 'double', rank: 3 },
  int: { code: 16, alias: 'int', rank: 3 },
  long: { code: 18, alias: 'long', rank: 3 },
  decimal: { code: 19, alias: 'decimal', rank: 3 },
  string: { code: 2, alias: 'string', rank: 4 },
  object: { code: 3, alias: 'object', rank: 5 },
  array: { code: 4, alias: 'array', rank: 6 },
  binData: { code: 5, alias: 'binData', rank: 7 },
  objectId: { code: 7, alias: 'objectId', rank: 8 },
  bool: { code: 8, alias: 'bool', rank: 9 },
  date: { code: 9, alias: 'date', rank: 10 },
  timestamp: { code: 17, alias: 'timestamp', rank: 11 },
  regex: { code: 11, alias: 'regex', rank: 12 },
  javascript: { code: 13, alias: 'javascript', rank: 13 },
  maxKey: { code: 127, alias: 'maxKey', rank: 14 },
} as const satisfies Record<string, BsonType>;

/** `$type` takes these, by name or by code. */
export const TYPE_CODES: ReadonlyMap<string, number> = new Map(
  Object.values(TYPES)
    .filter((type) => type !== TYPES.missing)
    .map((type) => [type.alias, type.code]),
);

export function typeOf(value: Value | undefined): BsonType {
  switch (typeof value) {
    case 'undefined':
      return TYPES.missing;
    case 'string':
      return TYPES.string;
    case 'boolean':
      return TYPES.bool;
    case 'bigint':
      return TYPES.long;
    case 'object':
      return typeOfObject(value);
  }
}

function typeOfObject(value: Exclude<Value, string | boolean | bigint>): BsonType {
  if (value === null) return TYPES.null;
  if (value instanceof Map) return TYPES.object;
  if (Array.isArray(value)) return TYPES.array;
  if (value instanceof Double) return TYPES.double;
  if (value instanceof Int32) return TYPES.int;
  if (value instanceof Date) return TYPES.date;
  if (value instanceof ObjectId) return TYPES.objectId;
  if (value instanceof Binary) return TYPES.binData;
  if (value instanceof Decimal128) return TYPES.decimal;
  if (value instanceof Timestamp) return TYPES.timestamp;
  if (value instanceof BSONRegExp) return TYPES.regex;
  if (value instanceof Code) return TYPES.javascript;
  if (value instanceof MinKey) return TYPES.minKey;
  return TYPES.maxKey;
}

/** A value as MongoDB's own messages write it. */
export function display(value: Value | undefined): string {
  if (value === undefined) return 'undefined';
  if (value === null) return 'null';
  if (typeof value === 'string') return `"${value}"`;
  if (typeof value === 'boolean' || typeof value === 'bigint') return value.toString();
  if (value instanceof Map) {
    const fields = [...value].map(([name, field]) => `${name}: ${display(field)}`);
    return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`;
  }
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(display).join(', ')} ]`;
  if (value instanceof Int32) return value.value.toString();
  if (value instanceof Double) return Number.isInteger(value.value) ? value.value.toFixed(1) : value.value.toString();
  if (value instanceof Date) return `new Date(${value.getTime()})`;
  if (value instanceof ObjectId) return `ObjectId('${value.toHexString()}')`;
  if (value instanceof Binary) {
    if (value.sub_type === Binary.SUBTYPE_UUID) return `UUID("${value.toUUID().toHexString()}")`;
    return `BinData(${value.sub_type}, ${Buffer.from(value.value()).toString('hex').toUpperCase()})`;
  }
  if (value instanceof Timestamp) return `Timestamp(${value.t}, ${value.i})`;
  if (value instanceof BSONRegExp) return `/${value.pattern}/${value.options}`;
  if (value instanceof MinKey) return 'MinKey';
  if (value instanceof MaxKey) return 'MaxKey';
  return value instanceof Code ? value.code : value.toString();
}
