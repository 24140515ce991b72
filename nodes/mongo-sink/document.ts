import { types } from 'node:util';
import { ConfigError, describeValue, messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { TopicLevels } from '../lib/scope.js';
import { compilePath, compileTemplate, pathSteps } from '../lib/template.js';
import { parseTime } from '../lib/time.js';
import type { Config, MappingRow } from './config.js';

export type Document = Record<string, unknown>;

/** Makes the document of a message. The message and its payload stay as they are. */
export type DocumentOf = (message: Message, scope: () => object) => Document;

/** @throws ConfigError for a mapping that cannot be read; what it returns throws RejectedError */
export function compileDocument(config: Pick<Config, 'document' | 'mapping' | 'dateFields'>): DocumentOf {
  const make = config.document === 'mapping' ? compileMapping(config.mapping) : payloadOf;
  const dates = config.dateFields.map((path) => ({ path, steps: pathSteps(path) }));
  if (dates.length === 0) return make;
  return (message, scope) => {
    const document = make(message, scope);
    return dates.reduce((out, { path, steps }) => withDate(out, steps, 0, path) as Document, document);
  };
}

/** Whether a value can be a document: an object that is no array, buffer, date, map or BSON value. */
export function isDocument(value: unknown): value is Document {
  // By tag, not by prototype: what a function node makes is of another realm.
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.prototype.toString.call(value) === '[object Object]' &&
    !('_bsontype' in value)
  );
}

function payloadOf({ payload }: Message): Document {
  if (isDocument(payload)) return payload;
  throw new RejectedError(`expected a payload that is an object, got ${describeValue(payload)}`, {
    code: 'not-a-document',
  });
}

function compileMapping(rows: readonly MappingRow[]): DocumentOf {
  if (rows.length === 0) {
    throw new ConfigError('/mapping: expected at least one field, got none', { code: 'setting', path: '/mapping' });
  }
  const fields = rows.map((row, index) => ({
    name: row.field,
    steps: row.field.split('.'),
    read: compileSource(row, `/mapping/${index}/value`),
    convert: CONVERSIONS[row.type],
    type: row.type,
  }));
  return (_message, scope) => {
    const seen = scope();
    const document: Document = {};
    for (const { name, steps, read, convert, type } of fields) {
      const value = read(seen);
      if (value === undefined) continue;
      const converted = value === null ? null : convert(value);
      if (converted === undefined) {
        throw new RejectedError(`expected a value for ${name} that is a ${type}, got ${describeValue(value)}`, {
          code: 'conversion',
          details: { field: name },
        });
      }
      put(document, steps, converted, name);
    }
    return document;
  };
}

/** @returns undefined for what the message does not have */
function compileSource({ source, value }: MappingRow, path: string): (scope: object) => unknown {
  try {
    if (source === 'constant') return () => value;
    if (source === 'template') {
      const template = compileTemplate(value);
      return (scope) => template.render(scope);
    }
    const read = compilePath(value);
    return (scope) => {
      const found = read(scope);
      return found instanceof TopicLevels ? found.toString() : found;
    };
  } catch (error) {
    throw new ConfigError(`${path}: ${messageOf(error)}`, { code: 'setting', path, cause: error });
  }
}

/** Each gives undefined for what it cannot make of a value. */
const CONVERSIONS: Readonly<Record<MappingRow['type'], (value: unknown) => unknown>> = {
  any: (value) => value,
  text: (value) => {
    if (types.isDate(value)) return parseTime(value)?.toISOString();
    // eslint-disable-next-line @typescript-eslint/no-base-to-string -- only primitives are left
    return typeof value === 'object' ? undefined : String(value);
  },
  number: (value) => {
    if (typeof value === 'bigint') return value; // BSON has 64-bit integers
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    return typeof number === 'number' && !Number.isNaN(number) ? number : undefined;
  },
  boolean: (value) => {
    if (value === true || value === 'true' || value === 1 || value === '1') return true;
    return value === false || value === 'false' || value === 0 || value === '0' ? false : undefined;
  },
  date: parseTime,
};

function put(document: Document, steps: readonly string[], value: unknown, name: string): void {
  let target = document;
  for (const step of steps.slice(0, -1)) {
    const next = Object.hasOwn(target, step) ? target[step] : (define(target, step, {}), target[step]);
    if (!isDocument(next)) {
      throw new RejectedError(`expected a document to put ${name} into, got ${describeValue(next)}`, {
        code: 'conversion',
        details: { field: name },
      });
    }
    target = next;
  }
  define(target, steps.at(-1) ?? '', value);
}

/** An own property whatever it is called. */
function define(target: object, name: string | number, value: unknown): void {
  if (name === '__proto__') {
    // To assign it would change the prototype.
    Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    (target as Record<string | number, unknown>)[name] = value;
  }
}

/** A copy, along the path only, with a date at its end; the value itself where there is nothing to convert. */
function withDate(value: unknown, steps: readonly (string | number)[], depth: number, path: string): unknown {
  if (value === undefined || value === null) return value;
  const step = steps[depth];
  if (step === undefined) {
    const date = parseTime(value);
    if (date !== undefined) return date;
    throw new RejectedError(
      `expected a date at ${path} (ISO 8601, or milliseconds since 1970), got ${describeValue(value)}`,
      { code: 'conversion', details: { field: path } },
    );
  }
  if (!(isDocument(value) || Array.isArray(value)) || !Object.hasOwn(value, step)) return value;
  const before = (value as Record<string | number, unknown>)[step];
  const after = withDate(before, steps, depth + 1, path);
  if (after === before) return value;
  const copy: object = Array.isArray(value) ? [...(value as unknown[])] : { ...value };
  define(copy, step, after);
  return copy;
}
