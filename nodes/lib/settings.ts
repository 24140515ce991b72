import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { ConfigError } from './errors.js';
import { FORMATS } from './formats.js';
import { schemaFindings } from './schema-errors.js';
import { fillSlots } from './slots.js';

/** The part of JSON Schema that settings are written in; TypeBox makes it from each node's `config.ts`. */
export interface SettingsSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SettingsSchema>>;
  readonly required?: readonly string[];
  readonly items?: SettingsSchema;
  readonly anyOf?: readonly SettingsSchema[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly maxItems?: number;
  readonly ui?: {
    readonly control?: string;
    readonly node?: string;
    readonly when?: { readonly field: string; readonly is: readonly unknown[] };
  };
}

/** Gives the value of an environment variable (or of a flow's own), undefined when it is not set. */
export type Lookup = (name: string) => unknown;

const VARIABLE = /\$\{([^{}\s]+)\}/g;

/** Checks one node type's settings. */
export interface SettingsCheck<T> {
  /**
   * What a flow holds → what the node works with: variables put in, texts coerced to the type of their field, empty
   * texts of optional fields left out, defaults filled, all of it checked. Properties that the schema does not name
   * (wires, position) are left out.
   *
   * @throws ConfigError `setting` with the path of the first finding and all findings in the sentence;
   *   `variable-not-set` with the variable's name
   */
  resolve(raw: Readonly<Record<string, unknown>>, lookup: Lookup): T;
}

export function compileSettings<T>(schema: SettingsSchema): SettingsCheck<T> {
  const validate = settingsValidator(schema);
  return {
    resolve(raw, lookup) {
      const settings = prepare(schema, fillSlots(schema, raw), lookup, '') as T;
      const problems = settingsProblems(validate, settings);
      const first = problems[0];
      if (first !== undefined) {
        throw new ConfigError(problems.map(({ path, message }) => `${path || '/'}: ${message}`).join('; '), {
          code: 'setting',
          path: first.path,
        });
      }
      return settings;
    },
  };
}

/** An ajv validator that knows our formats and does not mind the words for the editor. */
export function settingsValidator(schema: SettingsSchema, formats = FORMATS): ValidateFunction {
  const ajv = new Ajv({ allErrors: true, verbose: true, strict: false });
  for (const [name, problem] of Object.entries(formats)) {
    ajv.addFormat(name, { type: 'string', validate: (text: string) => problem(text) === undefined });
  }
  return ajv.compile(schema);
}

/** What is wrong with a value, each with its place. */
export function settingsProblems(
  validate: ValidateFunction,
  value: unknown,
  formats = FORMATS,
): { path: string; message: string }[] {
  if (validate(value)) return [];
  const errors = validate.errors ?? [];
  return schemaFindings(errors).map(({ path, keyword, message }) => {
    const error = errors.find((one) => one.instancePath === path && one.keyword === keyword);
    return { path, message: (error && ownMessage(error, formats)) ?? message };
  });
}

/** What a format says of itself; and of a config node that was not chosen, more than that a text is too short. */
function ownMessage({ keyword, params, data, parentSchema }: ErrorObject, formats: typeof FORMATS): string | undefined {
  if (keyword === 'format') return formats[String((params as { format: unknown }).format)]?.(String(data));
  const { node } = (parentSchema as SettingsSchema | undefined)?.ui ?? {};
  return keyword === 'minLength' && node !== undefined ? `expected a node of type ${node}, got none` : undefined;
}

/** Substitution, coercion and defaults for a value and the schema of its place. */
export function prepare(schema: SettingsSchema | undefined, raw: unknown, lookup: Lookup, path: string): unknown {
  const value = coerce(schema, substitute(raw, lookup, path));
  if (schema?.properties !== undefined) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    const source = value as Record<string, unknown>;
    const out: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(schema.properties)) {
      let item = Object.hasOwn(source, name) ? source[name] : undefined;
      const required = schema.required?.includes(name) === true;
      // A form gives '' for a field that was left empty.
      if (item === '' && (!required || (field.default !== undefined && field.type !== 'string'))) item = undefined;
      if (item === undefined || item === null) item = structuredClone(field.default);
      if (item !== undefined) out[name] = prepare(field, item, lookup, `${path}/${name}`);
    }
    return out;
  }
  if (schema?.items !== undefined && Array.isArray(value)) {
    return value.map((item, index) => prepare(schema.items, item, lookup, `${path}/${index}`));
  }
  return value;
}

function substitute(raw: unknown, lookup: Lookup, path: string): unknown {
  if (typeof raw !== 'string' || !raw.includes('${')) return raw;
  const get = (name: string): unknown => {
    const value = lookup(name);
    if (value !== undefined) return value;
    throw new ConfigError(`${path || '/'}: expected the environment variable ${name} to be set, got nothing`, {
      code: 'variable-not-set',
      path,
    });
  };
  const whole = /^\$\{([^{}\s]+)\}$/.exec(raw);
  if (whole?.[1] !== undefined) return get(whole[1]);
  return raw.replace(VARIABLE, (_match, name: string) => String(get(name)));
}

/** A text for a field that is no text: what was typed in a form or came from the environment. */
function coerce(schema: SettingsSchema | undefined, value: unknown): unknown {
  if (schema === undefined) return value;
  // A tab's own variable may be a number where the field is a text.
  if (schema.type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) return String(value);
  if (typeof value !== 'string') return value;
  const text = value.trim();
  switch (schema.type) {
    case 'number':
    case 'integer':
      return text !== '' && Number.isFinite(Number(text)) ? Number(text) : value;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : value;
    case 'array':
    case 'object':
      return parsedOr(value);
    default:
      return (
        schema.anyOf
          ?.map((member) => member.const)
          .find((constant) => constant !== value && String(constant) === text) ?? value
      );
  }
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // the check then says that this is a text
  }
}
