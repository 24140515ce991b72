import { types } from 'node:util';
import { ConfigError, describeValue, messageOf, RejectedError } from '../lib/errors.js';
import { TopicLevels } from '../lib/scope.js';
import { compilePath, compileTemplate } from '../lib/template.js';
import { parseTime } from '../lib/time.js';
import type { MappingRow } from './config.js';

/**
 * The value of a row, of the type that it asks for; undefined for what the message does not have.
 *
 * @param path - of the row's value in the settings
 * @throws ConfigError for a path or template that cannot be read; what it returns throws RejectedError `conversion`
 */
export function compileValue({ field, source, value, type }: MappingRow, path: string): (scope: object) => unknown {
  const read = compileSource(source, value, path);
  const convert = CONVERSIONS[type];
  return (scope) => {
    const found = read(scope);
    if (found === undefined || found === null) return found;
    const converted = convert(found);
    if (converted !== undefined) return converted;
    throw new RejectedError(`expected a value for ${field} that is a ${type}, got ${describeValue(found)}`, {
      code: 'conversion',
      details: { field },
    });
  };
}

function compileSource(source: MappingRow['source'], value: string, path: string): (scope: object) => unknown {
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
