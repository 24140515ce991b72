import { generateSync } from '../bundled/json-schema-faker.js';
import { ConfigError, describeValue, messageOf, RejectedError } from '../lib/errors.js';
import { typeName } from '../lib/schema-errors.js';
import { eachSubschema, type SchemaObject } from '../message-schema/limits.js';
import type { MessageSchema } from '../message-schema/schema.js';
import type { Random } from './random.js';

/** What a device says of itself and of a message. */
export interface Stamp {
  readonly uuid: string;
  readonly seq: number;
  readonly ts: string;
  readonly id: string;
}

/** The settings that ask for a field of the stamp. */
export interface Asked {
  readonly seq: boolean;
  readonly ts: boolean;
  readonly messageId: boolean;
}

/** How often a value is made anew that does not match: what the generator takes lightly, the schema decides. */
const MOST_ATTEMPTS = 100;
/** A payload of a schema that asks for more would be no message. */
const MOST_ITEMS = 10_000;
const MOST_CHARACTERS = 100_000;
/** Of properties that are not required, how many are there. */
const OPTIONAL_SHARE = 0.7;

/** Payloads that match a schema, the same for the same numbers, but for their times, which are the device's. */
export class SchemaPayloads {
  readonly #schema: MessageSchema;
  readonly #definition: SchemaObject | boolean;
  readonly #laid: (keyof Stamp)[] = [];

  /** @throws ConfigError for a schema that no payload can be made for, or that does not take what is asked for */
  constructor(schema: MessageSchema, { seq, ts, messageId }: Asked, random: Random) {
    this.#schema = schema;
    this.#definition = schema.definition;
    checkSizes(this.#definition);
    const stamp: Stamp = {
      uuid: '00000000-0000-5000-8000-000000000000',
      seq: 1,
      ts: new Date(0).toISOString(),
      id: 'id',
    };
    this.make(random, stamp);
    if (namesProperty(this.#definition, 'uuid') && this.#takes('uuid', random, stamp) === undefined) {
      this.#laid.push('uuid');
    }
    for (const [field, asked, setting] of [
      ['seq', seq, '/seq'],
      ['ts', ts, '/ts'],
      ['id', messageId, '/messageId'],
    ] as const) {
      if (!asked) continue;
      const problem = this.#takes(field, random, stamp);
      if (problem !== undefined) {
        throw new ConfigError(`${setting}: expected a schema that takes ${field}, got one that does not: ${problem}`, {
          code: 'schema-field',
          path: setting,
        });
      }
      this.#laid.push(field);
    }
    this.make(random, stamp);
  }

  /** What is wrong with a payload, by the schema. */
  findings(payload: unknown): ReturnType<MessageSchema['findings']> {
    try {
      return this.#schema.findings(payload);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      return [{ path: '', keyword: error.code, message: error.message, type: typeName(payload) }];
    }
  }

  /** @throws ConfigError `schema-values` when none that matches is found */
  make(random: Random, stamp: Stamp, laid: readonly (keyof Stamp)[] = this.#laid): unknown {
    let problem = '';
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const payload = layOver(this.#generate(random, stamp), stamp, laid);
      const [finding] = this.findings(payload);
      if (finding === undefined) return payload;
      problem = `${finding.path || '/'} (${finding.keyword}): ${finding.message}`;
    }
    throw new ConfigError(
      `/schema: expected a schema that payloads can be made for, got one that none of ${MOST_ATTEMPTS} matched: ${problem}`,
      { code: 'schema-values', path: '/schema' },
    );
  }

  #generate(random: Random, { ts }: Stamp): unknown {
    try {
      return generateSync(this.#definition, {
        seed: Math.floor(random() * 2 ** 32),
        optionalsProbability: OPTIONAL_SHARE,
        formats: { 'date-time': () => ts, date: () => ts.slice(0, 10), time: () => ts.slice(11) },
      });
    } catch (error) {
      throw new ConfigError(
        `/schema: expected a schema that payloads can be made for, got one that fails: ${messageOf(error)}`,
        { code: 'schema-values', path: '/schema', cause: error },
      );
    }
  }

  /** @returns what the schema says against a field of the stamp; undefined for nothing */
  #takes(field: keyof Stamp, random: Random, stamp: Stamp): string | undefined {
    try {
      const payload = this.make(random, stamp, [...this.#laid, field]);
      return isObject(payload) ? undefined : `expected an object, got ${describeValue(payload)}`;
    } catch (error) {
      return messageOf(error);
    }
  }
}

function layOver(payload: unknown, stamp: Stamp, fields: readonly (keyof Stamp)[]): unknown {
  if (fields.length === 0 || !isObject(payload)) return payload;
  return { ...payload, ...Object.fromEntries(fields.map((field) => [field, stamp[field]])) };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function namesProperty(schema: SchemaObject | boolean, name: string): boolean {
  return typeof schema === 'object' && isObject(schema['properties']) && Object.hasOwn(schema['properties'], name);
}

/** Lists within lists multiply. */
function checkSizes(schema: SchemaObject | boolean): void {
  let items = 1;
  eachSubschema(schema, '', (subschema, path) => {
    for (const [keyword, most] of [
      ['minItems', MOST_ITEMS],
      ['minProperties', MOST_ITEMS],
      ['minLength', MOST_CHARACTERS],
    ] as const) {
      const least = subschema[keyword];
      if (typeof least !== 'number') continue;
      if (keyword !== 'minLength') items *= Math.max(1, least);
      if (least > most || items > MOST_ITEMS) {
        const expected = `expected payloads of at most ${MOST_ITEMS} items and ${MOST_CHARACTERS} characters a text`;
        throw new ConfigError(`/schema: ${expected}, got a schema that asks for more at ${path}/${keyword}`, {
          code: 'schema-values',
          path: '/schema',
        });
      }
    }
  });
}
