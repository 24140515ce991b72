import { types } from 'node:util';
import { BSON } from 'mongodb';
import { describeValue, RejectedError } from '../lib/errors.js';
import { MOST_LEVELS } from '../lib/json.js';
import { shownPointer } from '../lib/json-pointer.js';

const LEAST_INT64 = -(2n ** 63n);
const MOST_INT64 = 2n ** 63n - 1n;

/**
 * Whether BSON keeps what stands in a value. It leaves functions, symbols, the content of sets and errors out, wraps
 * integers beyond 64 bits, makes 1970 of an invalid date, and U+FFFD of half of a surrogate pair, all without a word.
 *
 * What is kept as JSON has it: a property that is undefined is left out, and undefined in a list is null. -0, NaN and
 * the infinities are numbers of BSON.
 *
 * Once for every message: so without a call for what is not nested, and the place is made out only for an error.
 *
 * @returns how many bytes it takes as BSON: not less, and little more, but for many short texts that are ASCII
 * @throws RejectedError `not-a-document`, `lone-surrogate`, `too-deep`; with the place in the sentence and in `details.path`
 */
export function checkBson(value: object): number {
  const size = { bytes: 0 };
  const problem = survey(value, 1, size);
  if (problem === undefined) return size.bytes;
  const place = problem.place.reverse();
  if (problem.code === 'too-deep') throw tooDeep(value, place);
  const shown = shownPointer(place);
  throw new RejectedError(`${shown}: ${problem.sentence}`, { code: problem.code, details: { path: shown } });
}

interface Problem {
  readonly code: string;
  readonly sentence: string;
  /** Innermost first. */
  readonly place: (string | number)[];
}

interface Size {
  bytes: number;
}

/** Length and end of a document (https://bsonspec.org/spec.html). */
const DOCUMENT_BYTES = 5;
/** The type of an element, the end of its name, and the largest value that is not counted by itself, a decimal. */
const ELEMENT_BYTES = 2 + 16;
/** A name in an array is an index. */
const INDEX_BYTES = 10;
/** To ask how many bytes a shorter text takes costs more than to know it is worth. */
const SHORT_TEXT = 32;

function survey(value: object, level: number, size: Size): Problem | undefined {
  if (level > MOST_LEVELS) return { code: 'too-deep', sentence: '', place: [] };
  size.bytes += DOCUMENT_BYTES;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      size.bytes += ELEMENT_BYTES + INDEX_BYTES;
      const problem = problemOf((value as unknown[])[index], level, size);
      if (problem !== undefined) return at(problem, index);
    }
    return undefined;
  }
  for (const name in value) {
    const item = (value as Record<string, unknown>)[name];
    if (!name.isWellFormed()) return at(loneSurrogate('a name'), name);
    if (name.includes('\0')) return at(notBson('a name without U+0000', JSON.stringify(name)), name);
    size.bytes += ELEMENT_BYTES + textBytes(name);
    if (typeof item === 'number' || typeof item === 'boolean' || item === null) continue;
    const problem = problemOf(item, level, size);
    if (problem !== undefined) return at(problem, name);
  }
  return undefined;
}

/** UTF-8 takes three bytes at most for a unit of UTF-16. */
function textBytes(text: string): number {
  return text.length <= SHORT_TEXT ? 3 * text.length : Buffer.byteLength(text);
}

function problemOf(value: unknown, level: number, size: Size): Problem | undefined {
  switch (typeof value) {
    case 'string':
      size.bytes += textBytes(value);
      return value.isWellFormed() ? undefined : loneSurrogate('a text');
    case 'object':
      return value === null ? undefined : problemOfObject(value, level, size);
    case 'bigint':
      if (value >= LEAST_INT64 && value <= MOST_INT64) return undefined;
      return notBson('an integer of 64 bits', describeValue(value));
    case 'function':
    case 'symbol':
      return notBson('a value that BSON has', `a ${typeof value}`);
    default:
      return undefined;
  }
}

function problemOfObject(value: object, level: number, size: Size): Problem | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null || Array.isArray(value)) {
    return survey(value, level + 1, size);
  }
  if (types.isDate(value)) {
    return Number.isNaN(value.getTime()) ? notBson('a date', 'an invalid one') : undefined;
  }
  if (types.isUint8Array(value) || types.isAnyArrayBuffer(value)) {
    size.bytes += value.byteLength;
    return undefined;
  }
  if ('_bsontype' in value) {
    size.bytes += BSON.calculateObjectSize({ value });
    return undefined;
  }
  if (types.isRegExp(value)) {
    size.bytes += Buffer.byteLength(value.source);
    return /^[im]*$/.test(value.flags) ? undefined : notBson('an expression with the flags i and m only', value.flags);
  }
  if (types.isMap(value)) return survey(Object.fromEntries(value) as object, level + 1, size);
  // By tag: what a function node makes is of another realm.
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
  return tag === 'Object' ? survey(value, level + 1, size) : notBson('a value that BSON has', `a ${tag}`);
}

function at(problem: Problem, name: string | number): Problem {
  problem.place.push(name);
  return problem;
}

function notBson(expected: string, got: string): Problem {
  return { code: 'not-a-document', sentence: `expected ${expected}, got ${got}`, place: [] };
}

function loneSurrogate(what: string): Problem {
  return {
    code: 'lone-surrogate',
    sentence: `expected ${what} in whole characters, got half of a surrogate pair`,
    place: [],
  };
}

/** Without the place: it would be a hundred names long. */
function tooDeep(value: object, place: readonly (string | number)[]): RejectedError {
  const met = new Set<unknown>([value]);
  let inner: unknown = value;
  for (const name of place) {
    inner = (inner as Record<string | number, unknown> | undefined)?.[name];
    if (inner !== undefined && met.has(inner)) {
      return new RejectedError('expected a document, got an object that is within itself', { code: 'not-a-document' });
    }
    met.add(inner);
  }
  return new RejectedError(`expected a document of at most ${MOST_LEVELS} levels, got more`, { code: 'too-deep' });
}
