import { Ajv, type Options, type ValidateFunction } from 'ajv';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as formats from 'ajv-formats';
import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import { ConfigError, describeValue, messageOf } from '../lib/errors.js';
import { schemaFindings, type SchemaFinding } from '../lib/schema-errors.js';
import type { Config } from './config.js';

/** Unknown keywords are annotations, as JSON Schema has it; a wrong use of a known one is refused. */
const OPTIONS: Options = { allErrors: true, verbose: true, strict: false };

const DIALECTS: Readonly<Record<string, (options: Options) => Ajv>> = {
  'http://json-schema.org/draft-07/schema': (options) => new Ajv(options),
  'https://json-schema.org/draft/2019-09/schema': (options) => new Ajv2019(options),
  'https://json-schema.org/draft/2020-12/schema': (options) => new Ajv2020(options),
};
const DEFAULT_DIALECT = 'http://json-schema.org/draft-07/schema';

/** A named, versioned JSON Schema, compiled once for all nodes that use it. */
export class MessageSchema implements Behaviour {
  static readonly nodeType = 'message-schema';

  readonly name: string;
  readonly version: string;
  readonly #validate: ValidateFunction;

  /** @throws ConfigError `schema` with the place, when it is no JSON Schema, or does not compile */
  constructor({ config }: Pick<NodeContext<Config, unknown>, 'config'>) {
    this.name = config.name;
    this.version = config.version;
    this.#validate = compile(config.schema);
  }

  /** What is wrong with a value; empty when nothing is. */
  findings(value: unknown): SchemaFinding[] {
    return this.#validate(value) ? [] : schemaFindings(this.#validate.errors ?? []);
  }
}

function compile(text: string): ValidateFunction {
  const schema: unknown = JSON.parse(text); // the field's format has said that it is JSON
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema))) {
    throw problem('', `expected a JSON Schema (an object or a boolean), got ${describeValue(schema)}`);
  }
  const declared =
    typeof schema === 'object' ? ((schema as { $schema?: unknown }).$schema ?? DEFAULT_DIALECT) : DEFAULT_DIALECT;
  const dialect = typeof declared === 'string' ? DIALECTS[declared.replace(/#$/, '')] : undefined;
  if (dialect === undefined) {
    throw problem('/$schema', `expected one of ${Object.keys(DIALECTS).join(', ')}, got ${describeValue(declared)}`);
  }
  if (hasKey(schema, '$async')) throw problem('', 'expected a schema that answers at once, got one with $async');
  const ajv = dialect({ ...OPTIONS, logger: REFUSING });
  formats.default.default(ajv);
  // ajv would only log what its meta-schema finds: here the place is in the sentence.
  if (ajv.validateSchema(schema) !== true) {
    const [first] = schemaFindings(ajv.errors ?? []);
    throw problem(first?.path ?? '', first?.message ?? 'expected a valid JSON Schema, got another');
  }
  try {
    return ajv.compile(schema);
  } catch (error) {
    throw problem('', `expected a schema that compiles, got one that does not: ${messageOf(error)}`);
  }
}

/** ajv only logs a format that it does not know, and then takes any text for it. */
const REFUSING = {
  log: () => undefined,
  warn: (sentence: string) => {
    throw new Error(sentence);
  },
  error: () => undefined,
};

function hasKey(schema: unknown, key: string): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  return Object.hasOwn(schema, key) || Object.values(schema).some((value) => hasKey(value, key));
}

function problem(path: string, message: string): ConfigError {
  return new ConfigError(`/schema${path}: ${message}`, { code: 'schema', path: `/schema${path}` });
}
