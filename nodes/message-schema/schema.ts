import type { ErrorObject, ValidateFunction } from 'ajv';
import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import { describeValue, RejectedError } from '../lib/errors.js';
import { schemaFindings, type SchemaFinding } from '../lib/schema-errors.js';
import { compileSchema, type Changes } from './compile.js';
import type { Config } from './config.js';
import { copyOf } from './copy.js';
import { checkLimits, refuseOther, type SchemaObject } from './limits.js';
import { readSchemaFile } from './schema-file.js';

export type { Changes } from './compile.js';

/**
 * Checks one value, and makes the changes in a copy of it.
 *
 * @throws RejectedError `too-deep`, `too-complex` when it cannot be checked
 */
export type Check = (value: unknown) => Outcome;

export interface Outcome {
  /** What is wrong with the value; empty when nothing is. */
  readonly findings: readonly SchemaFinding[];
  /** The value with the changes made; without any it is the one that was given. */
  readonly value: unknown;
}

const NONE: readonly SchemaFinding[] = [];
const NO_CHANGES: Changes = { coerce: false, defaults: false, strip: false };

/** References that one check follows. */
const MOST_STEPS = 100_000;
/** Values of a payload up to which all that is wrong is looked for: beyond, a hostile one makes a million errors. */
const MOST_VALUES = 1_000;

/** A named, versioned JSON Schema, compiled once for all nodes that use it. */
export class MessageSchema implements Behaviour {
  static readonly nodeType = 'message-schema';

  readonly name: string;
  readonly version: string;
  /** The JSON Schema itself. */
  readonly definition: SchemaObject | boolean;
  readonly #plain: Check;
  readonly #checks = new Map<string, Check>();

  /** @throws ConfigError `schema` or `schema-file` with the place, when it is no JSON Schema, or does not compile */
  constructor({ config, projectFolder }: Pick<NodeContext<Config, unknown>, 'config' | 'projectFolder'>) {
    this.name = config.name;
    this.version = config.version;
    const text = config.source === 'file' ? readSchemaFile(projectFolder, config.file ?? '') : config.schema;
    const schema: unknown = JSON.parse(text); // the field's format, or the reader of the file, has said that it is JSON
    refuseOther(schema);
    checkLimits(text, schema);
    this.definition = schema as SchemaObject | boolean;
    this.#plain = this.check(NO_CHANGES);
  }

  /** What is wrong with a value; empty when nothing is. */
  findings(value: unknown): readonly SchemaFinding[] {
    return this.#plain(value).findings;
  }

  check(changes: Changes): Check {
    const key = JSON.stringify(changes);
    let check = this.#checks.get(key);
    if (check === undefined) this.#checks.set(key, (check = makeCheck(this.definition, changes)));
    return check;
  }
}

function makeCheck(schema: SchemaObject | boolean, changes: Changes): Check {
  let steps = 0;
  const step = (): void => {
    if (++steps > MOST_STEPS) throw new TooManySteps();
  };
  const validate = compileSchema(schema, changes, false, step);
  const validateAll = compileSchema(schema, changes, true, step);
  const unchanged = !Object.values(changes).includes(true);

  function findings(value: unknown, errors: readonly ErrorObject[], place?: Place): readonly SchemaFinding[] {
    if (hasMoreValues(value, MOST_VALUES)) return schemaFindings(errors);
    steps = 0;
    validateAll(value, place);
    return schemaFindings(validateAll.errors ?? errors);
  }

  return (value) => {
    steps = 0;
    try {
      if (unchanged) return { value, findings: validate(value) ? NONE : findings(value, validate.errors ?? []) };
      const holder = { value: copyOf(value) };
      if (validate(holder.value, placeIn(holder))) return { value: holder.value, findings: NONE };
      const { errors } = validate;
      return { value, findings: findings(holder.value, errors ?? [], placeIn(holder)) };
    } catch (error) {
      throw rejection(error, value);
    }
  };
}

type Place = Parameters<ValidateFunction>[1];

/** A value by itself cannot become another one; in a place it can (a text that is to be a number). */
function placeIn(holder: { value: unknown }): Place {
  return {
    instancePath: '',
    parentData: holder,
    parentDataProperty: 'value',
    rootData: holder as Record<string, unknown>,
    dynamicAnchors: {},
  };
}

class TooManySteps extends Error {}

function rejection(error: unknown, value: unknown): unknown {
  if (error instanceof TooManySteps) {
    return new RejectedError(
      `expected a value that is checked in ${MOST_STEPS} references, got one that takes more: ${describeValue(value)}`,
      { code: 'too-complex', cause: error },
    );
  }
  // ajv goes down with the value: the end of the stack is the end of that.
  if (error instanceof RangeError) {
    return new RejectedError(`expected a value of fewer levels, got ${describeValue(value)} that is too deep`, {
      code: 'too-deep',
      cause: error,
    });
  }
  // ajv compares objects (const, enum, uniqueItems) by their valueOf and toString, which a payload may have as data.
  if (error instanceof TypeError && /\b(valueOf|toString) is not a function/.test(error.message)) {
    return new RejectedError(
      `expected a value that can be compared, got ${describeValue(value)} with a property valueOf or toString`,
      { code: 'not-comparable', cause: error },
    );
  }
  return error;
}

function hasMoreValues(value: unknown, most: number): boolean {
  let left = most;
  const count = (at: unknown): boolean => {
    if (--left < 0) return true;
    return typeof at === 'object' && at !== null && Object.values(at).some(count);
  };
  return count(value);
}
