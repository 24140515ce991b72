import { Ajv, type FormatDefinition, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as formats from 'ajv-formats';
import { describeValue, messageOf } from '../lib/errors.js';
import { compilePattern } from '../lib/pattern.js';
import { schemaFindings } from '../lib/schema-errors.js';
import { placeOfReference, schemaProblem, type SchemaObject } from './limits.js';
import { duplicates } from './unique-items.js';

/** What a check may do to the value that it checks, in place. */
export interface Changes {
  /** `"5"` becomes 5 where the schema asks for a number, and so on. */
  readonly coerce: boolean;
  /** A missing property that has a `default` gets it. */
  readonly defaults: boolean;
  /** What the `properties` beside it do not name goes. */
  readonly strip: boolean;
}

/** Counts the references that are followed in one check. @throws when there are too many */
export type Step = () => void;

const DIALECTS: Readonly<Record<string, (options: Options) => Ajv>> = {
  'http://json-schema.org/draft-07/schema': (options) => new Ajv(options),
  'https://json-schema.org/draft/2019-09/schema': (options) => new Ajv2019(options),
  'https://json-schema.org/draft/2020-12/schema': (options) => new Ajv2020(options),
};
const DEFAULT_DIALECT = 'http://json-schema.org/draft-07/schema';

/** ajv's pattern for `url` takes time by the square of the length; no other format does (measured to 1 MB). */
const MOST_URL_CHARACTERS = 2_048;

const STEP_KEYWORD = 'sluice:step';
const REFERENCES = ['$ref', '$dynamicRef', '$recursiveRef'];

/**
 * Unknown keywords are annotations, as JSON Schema has it; a wrong use of a known one is refused. What is inlined is
 * bounded, so that a schema of a thousand references to a large one does not become a thousand large ones.
 */
const OPTIONS: Options = {
  verbose: true,
  strict: false,
  inlineRefs: 16,
  code: { regExp: Object.assign(compilePattern, { code: 'compilePattern' }) },
};

/**
 * A schema as a function of ajv.
 *
 * @throws ConfigError `schema` with the place, when it is not valid by its own meta-schema, or does not compile
 */
export function compileSchema(
  schema: SchemaObject | boolean,
  changes: Changes,
  allErrors: boolean,
  step: Step,
): ValidateFunction {
  const declared = typeof schema === 'boolean' ? DEFAULT_DIALECT : (schema['$schema'] ?? DEFAULT_DIALECT);
  const dialect = typeof declared === 'string' ? DIALECTS[declared.replace(/#$/, '')] : undefined;
  if (dialect === undefined) {
    throw schemaProblem(
      '/$schema',
      `expected one of ${Object.keys(DIALECTS).join(', ')}, got ${describeValue(declared)}`,
    );
  }
  const ajv = dialect({
    ...OPTIONS,
    allErrors,
    ownProperties: namesInherited(schema),
    coerceTypes: changes.coerce,
    useDefaults: changes.defaults,
    removeAdditional: changes.strip && 'all',
    logger: REFUSING,
  });
  addFormats(ajv);
  addKeywords(ajv, step);
  // ajv would only log what its meta-schema finds: here the place is in the sentence. A setting that changes what is
  // checked would change the schema too, so another one checks it.
  const meta = dialect({ ...OPTIONS, allErrors: true, logger: REFUSING });
  addFormats(meta);
  if (meta.validateSchema(schema) !== true) {
    const [first] = schemaFindings(meta.errors ?? []);
    throw schemaProblem(first?.path ?? '', first?.message ?? 'expected a valid JSON Schema, got another');
  }
  try {
    return ajv.compile(withSteps(schema));
  } catch (error) {
    const missing = /^can't resolve reference (\S+) from id/.exec(messageOf(error))?.[1];
    if (missing === undefined) {
      throw schemaProblem('', `expected a schema that compiles, got one that does not: ${messageOf(error)}`);
    }
    throw schemaProblem(
      placeOfReference(schema, missing),
      `expected a reference to a schema in this document, got ${JSON.stringify(missing)}`,
    );
  }
}

/**
 * Whether a schema may name a property that every object has (`constructor`): only then ajv has to look whether it is
 * the value's own, which costs a fifth of the check.
 */
function namesInherited(schema: unknown): boolean {
  const text = JSON.stringify(schema);
  return Object.getOwnPropertyNames(Object.prototype).some((name) => text.includes(JSON.stringify(name)));
}

/** ajv only logs a format that it does not know, and then takes any text for it. */
const REFUSING = {
  log: () => undefined,
  warn: (sentence: string) => {
    throw new Error(sentence);
  },
  error: () => undefined,
};

function addFormats(ajv: Ajv): void {
  formats.default.default(ajv);
  const url = formats.default.default.get('url') as RegExp;
  const bounded: FormatDefinition<string> = {
    type: 'string',
    validate: (text: string) => text.length <= MOST_URL_CHARACTERS && url.test(text),
  };
  ajv.addFormat('url', bounded);
}

function addKeywords(ajv: Ajv, step: Step): void {
  // ajv compares each object with each: an array of 100,000 would take hours.
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'no item twice' },
    validate: (unique: boolean, items: readonly unknown[]) => !unique || !duplicates(items),
  });
  ajv.addKeyword({
    keyword: STEP_KEYWORD,
    before: '$ref',
    validate: () => {
      step();
      return true;
    },
  });
}

/**
 * A copy in which each reference counts as a step. Without references a check goes through each subschema once a value;
 * with them, thirty lines can ask for 2³⁰ checks of one value.
 */
function withSteps<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(withSteps) as T;
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withSteps<unknown>(value)]));
  if (REFERENCES.some((keyword) => typeof copy[keyword] === 'string')) copy[STEP_KEYWORD] = true;
  return copy as T;
}
