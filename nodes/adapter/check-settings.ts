import { ConfigError, messageOf } from '../lib/errors.js';
import { prepare, settingsProblems, settingsValidator, type Lookup, type SettingsSchema } from '../lib/settings.js';
import { fillSlots, slotsOf } from '../lib/slots.js';
import type { CheckedSpecification, CheckPorts } from './define-node.js';
import { migrate } from './migrate.js';

/** One thing that is wrong with a node's settings. */
export interface SettingsProblem {
  /** As at deploy: `/rules/0/topic`. */
  readonly path: string;
  /** `expected …, got …` */
  readonly message: string;
}

/** A config node that a node's settings name. */
export interface Reference {
  readonly path: string;
  readonly type: string;
  readonly id: string;
}

/** A variable of the environment, and where a node asks for it. */
export interface VariableUse {
  readonly path: string;
  readonly name: string;
}

export interface SettingsReport {
  /** All of them, not only the first. */
  readonly problems: readonly SettingsProblem[];
  readonly references: readonly Reference[];
  readonly variables: readonly VariableUse[];
}

const VARIABLE = /\$\{([^{}\s]+)\}/g;

/** Thrown by a setting that nobody can know or that has been found wrong, when a check reads it: the check ends there. */
class NotKnown extends Error {}

/**
 * Checks a node's settings as the flow holds them, without making the node.
 *
 * @param lookup - gives undefined for a variable that is not set here: what it stands for is then not known
 */
export type SettingsCheck = (
  definition: Readonly<Record<string, unknown>>,
  lookup: Lookup,
  ports: CheckPorts,
) => SettingsReport;

export function compileCheck(specification: CheckedSpecification): SettingsCheck {
  const schema: SettingsSchema = specification.config;
  const validate = settingsValidator(schema);
  return (definition, lookup, ports) => {
    let raw: Readonly<Record<string, unknown>>;
    try {
      raw = migrate(definition, specification);
    } catch (error) {
      return { problems: [problemOf(error)], references: [], variables: [] };
    }
    const filled = fillSlots(schema, raw);
    const variables = Object.keys(schema.properties ?? {}).flatMap((name) =>
      Object.hasOwn(filled, name) ? variablesIn(filled[name], `/${name}`) : [],
    );
    const unknown = variables.filter(({ name }) => lookup(name) === undefined).map(({ path }) => path);
    const value = (name: string): unknown => lookup(name) ?? '${' + name + '}';
    const settings = prepare(schema, filled, value, '') as Record<string, unknown>;

    const bySchema = settingsProblems(validate, settings).filter(({ path }) => !isIn(path, unknown));
    const known = withoutPlaces(settings, [...unknown, ...bySchema.map(({ path }) => path)]);
    const problems = [...bySchema, ...problemsOf(() => specification.checks(known, ports))].map((problem) =>
      withoutValues(problem, variables),
    );
    return {
      problems: [...new Map(problems.map((problem) => [problem.path + problem.message, problem])).values()],
      references: referencesIn(schema, settings, '').filter(({ path }) => !isIn(path, unknown)),
      variables,
    };
  };
}

function problemsOf(list: () => readonly (() => unknown)[]): SettingsProblem[] {
  let checks: readonly (() => unknown)[] = [];
  const attempt = (run: () => unknown): SettingsProblem[] => {
    try {
      run();
      return [];
    } catch (error) {
      return error instanceof NotKnown ? [] : [problemOf(error)];
    }
  };
  return [...attempt(() => (checks = list())), ...checks.flatMap(attempt)];
}

function problemOf(error: unknown): SettingsProblem {
  const sentence = messageOf(error);
  const [, path, message] = /^(\/\S*): ([\s\S]*)$/.exec(sentence) ?? [];
  if (path !== undefined && message !== undefined) return { path, message };
  return { path: (error instanceof ConfigError && error.path) || '/', message: sentence };
}

/** What a variable holds is nobody's business. */
function withoutValues({ path, message }: SettingsProblem, variables: readonly VariableUse[]): SettingsProblem {
  const names = variables.filter((use) => isIn(path, [use.path]) || isIn(use.path, [path])).map(({ name }) => name);
  if (names.length === 0) return { path, message };
  const got = [...new Set(names)].map((name) => '${' + name + '}').join(', ');
  return { path, message: message.replace(/, got [\s\S]*$/, () => `, got another value of ${got}`) };
}

/** A copy in which what stands at a place cannot be read. */
function withoutPlaces(settings: Record<string, unknown>, places: readonly string[]): Record<string, unknown> {
  const copy = structuredClone(settings);
  for (const place of places) {
    const steps = place.split('/').slice(1);
    const last = steps.pop();
    const holder = steps.reduce<unknown>(
      (at, step) => (isObject(at) && Object.hasOwn(at, step) && !isHidden(at, step) ? at[step] : undefined),
      copy,
    );
    if (last === undefined || !isObject(holder)) continue;
    Object.defineProperty(holder, last, {
      enumerable: true,
      configurable: true,
      get: () => {
        throw new NotKnown();
      },
    });
  }
  return copy;
}

function isHidden(holder: object, name: string): boolean {
  return Object.getOwnPropertyDescriptor(holder, name)?.get !== undefined;
}

function isIn(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === place || path.startsWith(`${place}/`));
}

function variablesIn(value: unknown, path: string): VariableUse[] {
  if (typeof value === 'string') return [...value.matchAll(VARIABLE)].map(([, name = '']) => ({ path, name }));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, inner]) => variablesIn(inner, `${path}/${name}`));
}

/** Only of fields that are shown: a node does not use the others. */
function referencesIn(schema: SettingsSchema, settings: Readonly<Record<string, unknown>>, path: string): Reference[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]): Reference[] => {
    const { control, node = '', when } = field.ui ?? {};
    const value = settings[name];
    if (when !== undefined && !when.is.includes(settings[when.field])) return [];
    if (control === 'node') {
      return typeof value === 'string' && value !== '' ? [{ path: `${path}/${name}`, type: node, id: value }] : [];
    }
    if (slotsOf(field).length === 0 || !Array.isArray(value)) return [];
    return value.flatMap((row: unknown, index) =>
      field.items !== undefined && isObject(row) ? referencesIn(field.items, row, `${path}/${name}/${index}`) : [],
    );
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
