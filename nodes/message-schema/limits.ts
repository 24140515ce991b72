import { ConfigError, describeValue, messageOf } from '../lib/errors.js';
import { escapePointer } from '../lib/json-pointer.js';
import { compilePattern } from '../lib/pattern.js';

/** Of a schema's text. */
export const MOST_BYTES = 1_048_576;
const MOST_LEVELS = 64;
const MOST_SUBSCHEMAS = 5_000;

export type SchemaObject = Record<string, unknown>;

/** Keywords whose value names schemas, each by a name of its own. */
const BY_NAME = new Set([
  'properties',
  'patternProperties',
  'definitions',
  '$defs',
  'dependencies',
  'dependentSchemas',
]);
/** Keywords whose value is data, whatever it looks like. */
const DATA = new Set(['const', 'enum', 'default', 'examples']);

/**
 * What can be said of a schema before it is compiled: that it is of a size that can be, that its patterns take linear
 * time, and that its references stay in the document.
 *
 * @throws ConfigError `schema` with the place
 */
export function checkLimits(text: string, schema: unknown): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > MOST_BYTES) throw schemaProblem('', `expected at most ${MOST_BYTES} bytes, got ${bytes}`);
  if (isDeeper(schema, MOST_LEVELS)) throw schemaProblem('', `expected at most ${MOST_LEVELS} levels, got more`);
  let count = 0;
  eachSubschema(schema, '', (subschema, path) => {
    if (++count > MOST_SUBSCHEMAS) throw schemaProblem('', `expected at most ${MOST_SUBSCHEMAS} subschemas, got more`);
    checkPatterns(subschema, path);
    if (subschema['$async'] !== undefined) {
      throw schemaProblem(path, 'expected a schema that answers at once, got one with $async');
    }
  });
}

/** Each schema in a schema that is an object, outermost first. */
export function eachSubschema(
  schema: unknown,
  path: string,
  visit: (subschema: SchemaObject, path: string) => void,
): void {
  if (Array.isArray(schema)) {
    for (const [index, member] of schema.entries()) eachSubschema(member, `${path}/${index}`, visit);
    return;
  }
  if (typeof schema !== 'object' || schema === null) return;
  visit(schema as SchemaObject, path);
  for (const [keyword, value] of Object.entries(schema)) {
    if (DATA.has(keyword)) continue;
    if (!BY_NAME.has(keyword) || typeof value !== 'object' || value === null) {
      eachSubschema(value, `${path}/${keyword}`, visit);
      continue;
    }
    for (const [name, member] of Object.entries(value as SchemaObject)) {
      eachSubschema(member, `${path}/${keyword}/${escapePointer(name)}`, visit);
    }
  }
}

function checkPatterns(subschema: SchemaObject, path: string): void {
  const { pattern, patternProperties } = subschema;
  if (typeof pattern === 'string') checkPattern(pattern, `${path}/pattern`);
  if (typeof patternProperties !== 'object' || patternProperties === null) return;
  for (const name of Object.keys(patternProperties)) {
    checkPattern(name, `${path}/patternProperties/${escapePointer(name)}`);
  }
}

function checkPattern(source: string, path: string): void {
  try {
    compilePattern(source);
  } catch (error) {
    throw schemaProblem(path, messageOf(error));
  }
}

/** The place of a reference that leads nowhere. */
export function placeOfReference(schema: unknown, reference: string): string {
  let place = '';
  eachSubschema(schema, '', (subschema, path) => {
    for (const keyword of ['$ref', '$dynamicRef', '$recursiveRef']) {
      if (place === '' && subschema[keyword] === reference) place = `${path}/${keyword}`;
    }
  });
  return place;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

export function schemaProblem(path: string, message: string): ConfigError {
  return new ConfigError(`/schema${path}: ${message}`, { code: 'schema', path: `/schema${path}` });
}

export function refuseOther(schema: unknown): void {
  if (typeof schema === 'boolean' || (typeof schema === 'object' && schema !== null && !Array.isArray(schema))) return;
  throw schemaProblem('', `expected a JSON Schema (an object or a boolean), got ${describeValue(schema)}`);
}
