import type { ErrorObject } from 'ajv';
import { describeValue } from './errors.js';
import { escapePointer } from './json-pointer.js';

/** One thing that is wrong with a value, by a JSON Schema. */
export interface SchemaFinding {
  /** JSON Pointer into the value [RFC 6901]; `''` is the whole. */
  readonly path: string;
  /** The schema's keyword that said no. */
  readonly keyword: string;
  /** `expected …, got …` */
  readonly message: string;
  /** What the value at `path` is: a JSON type name, or `missing`. */
  readonly type: string;
}

/** ajv's errors (made with `allErrors`, `verbose`) as findings; what merely repeats the others (`if`, `anyOf` of constants) is joined. */
export function schemaFindings(errors: readonly ErrorObject[]): SchemaFinding[] {
  // A union fails with one error for each member and one for itself: the one for itself says it all.
  const unions = new Set(errors.filter(isUnion).map((error) => error.schemaPath));
  return errors
    .filter(
      (error) => ![...unions].some((union) => error.schemaPath !== union && error.schemaPath.startsWith(`${union}/`)),
    )
    .filter((error) => error.keyword !== 'if')
    .map(finding);
}

function isUnion(error: ErrorObject): boolean {
  return error.keyword === 'anyOf' || error.keyword === 'oneOf';
}

function finding(error: ErrorObject): SchemaFinding {
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'required' || error.keyword === 'dependentRequired') {
    const name = String(params['missingProperty']);
    return {
      path: `${error.instancePath}/${escapePointer(name)}`,
      keyword: error.keyword,
      message: `expected ${JSON.stringify(name)}, got nothing`,
      type: 'missing',
    };
  }
  if (error.keyword === 'additionalProperties' || error.keyword === 'unevaluatedProperties') {
    const name = String(params['additionalProperty'] ?? params['unevaluatedProperty']);
    return {
      path: `${error.instancePath}/${escapePointer(name)}`,
      keyword: error.keyword,
      message: `expected no property ${JSON.stringify(name)}, got one`,
      type: typeName((error.data as Record<string, unknown> | undefined)?.[name]),
    };
  }
  return {
    path: error.instancePath,
    keyword: error.keyword,
    message: `expected ${expectation(error, params)}, got ${describeValue(error.data)}`,
    type: typeName(error.data),
  };
}

function expectation(error: ErrorObject, params: Record<string, unknown>): string {
  switch (error.keyword) {
    case 'type':
      return `a value of type ${String(params['type']).replaceAll(',', ' or ')}`;
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
      return `a number ${String(params['comparison'])} ${String(params['limit'])}`;
    case 'multipleOf':
      return `a multiple of ${String(params['multipleOf'])}`;
    case 'minLength':
      return `at least ${String(params['limit'])} characters`;
    case 'maxLength':
      return `at most ${String(params['limit'])} characters`;
    case 'minItems':
      return `at least ${String(params['limit'])} items`;
    case 'maxItems':
      return `at most ${String(params['limit'])} items`;
    case 'enum':
      return `one of ${(params['allowedValues'] as unknown[]).map((value) => JSON.stringify(value)).join(', ')}`;
    case 'const':
      return JSON.stringify(params['allowedValue']);
    case 'format':
      return `a text of format ${String(params['format'])}`;
    case 'pattern':
      return `a text that matches ${String(params['pattern'])}`;
    case 'oneOf':
      if (Array.isArray(params['passingSchemas'])) return `a value that matches one of ${unionNames(error)} only`;
      return `one of ${unionNames(error)}`;
    case 'anyOf':
      return `one of ${unionNames(error)}`;
    default:
      return error.message ?? error.keyword;
  }
}

function unionNames(error: ErrorObject): string {
  const members = error.schema as (boolean | { const?: unknown; title?: string; type?: unknown })[];
  return members
    .map((member) => {
      if (typeof member === 'boolean') return String(member);
      if ('const' in member) return JSON.stringify(member.const);
      return member.title ?? (typeof member.type === 'string' ? member.type : 'its forms');
    })
    .join(', ');
}

/** The JSON type of a value; `missing` for undefined. */
export function typeName(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (Number.isInteger(value)) return 'integer';
  return typeof value;
}
