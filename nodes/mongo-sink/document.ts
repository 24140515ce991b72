import { ConfigError, describeValue, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { pathSteps } from '../lib/template.js';
import { parseTime } from '../lib/time.js';
import type { Config, MappingRow } from './config.js';
import { compileValue } from './value.js';

export type Document = Record<string, unknown>;

/** Makes the document of a message. The message and its payload stay as they are. */
export type DocumentOf = (message: Message, scope: () => object) => Document;

/** @throws ConfigError for a mapping that cannot be read; what it returns throws RejectedError */
export function compileDocument(
  config: Pick<Config, 'document' | 'mapping' | 'dateFields' | 'timeSeries' | 'timeField'>,
): DocumentOf {
  const make = config.document === 'mapping' ? compileMapping(config.mapping) : payloadOf;
  const dates = config.dateFields.map((path) => ({ path, steps: pathSteps(path) }));
  const { timeField } = config;
  if (config.timeSeries) dates.push({ path: timeField, steps: [timeField] });
  if (dates.length === 0) return make;
  return (message, scope) => {
    const made = make(message, scope);
    const document = dates.reduce((out, { path, steps }) => withDate(out, steps, 0, path) as Document, made);
    if (config.timeSeries && (document[timeField] ?? null) === null) {
      throw new RejectedError(`expected a document with its time in ${timeField}, got one without`, {
        code: 'time-field',
        details: { field: timeField },
      });
    }
    return document;
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
    read: compileValue(row, `/mapping/${index}/value`),
  }));
  return (_message, scope) => {
    const seen = scope();
    const document: Document = {};
    for (const { name, steps, read } of fields) {
      const value = read(seen);
      if (value !== undefined) put(document, steps, value, name);
    }
    return document;
  };
}

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
