import { textsIn, type FlowDocument } from './document.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** `${NAME}` anywhere in a text (ours), `$(NAME)` (Node-RED's older form), `$env("NAME")` (JSONata), `env.get("NAME")` (functions). */
const USES = [
  /\$\{([^{}\s]+)\}/g,
  /^\$\((\S+)\)$/g,
  /\$env\(\s*["']([^"']+)["']/g,
  /\benv\.get\(\s*["'`]([^"'`]+)["'`]/g,
] as const;

/** The instance's own: its name, its secrets. */
const OWN = /^SLUICE_/;

/** What the flows refer to of an environment: what they need to run elsewhere. */
export function variablesOf(
  { flows, credentials }: Pick<FlowDocument, 'flows' | 'credentials'>,
  environment: Environment,
): Record<string, string> {
  const names = new Set<string>();
  for (const { text } of textsIn([flows, credentials])) {
    for (const use of USES)
      for (const [, name = ''] of text.matchAll(use)) names.add(name.replace(/^(?:\$parent\.)+/, ''));
  }
  for (const name of typedNames(flows)) names.add(name);
  const found: Record<string, string> = {};
  for (const name of [...names].sort()) {
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value !== undefined && !OWN.test(name)) found[name] = value;
  }
  return found;
}

/** The names in values of the type `env`: such a value is the text beside the one that says its type (`v` and `vt`). */
function* typedNames(value: unknown): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  const entries = Object.entries(value);
  if (!Array.isArray(value) && entries.some(([, type]) => type === 'env')) {
    for (const [key, text] of entries) {
      if (typeof text !== 'string') continue;
      const types = [
        `${key}Type`,
        `${key}t`,
        ...(key === 'value' ? ['type', 'vt'] : []),
        ...(key === 'to' ? ['tot'] : []),
      ];
      if (types.some((type) => Object.hasOwn(value, type) && (value as Record<string, unknown>)[type] === 'env'))
        yield text;
    }
  }
  for (const [, inner] of entries) yield* typedNames(inner);
}

/**
 * The distributed variables in a process's environment. What the process was started with wins: its operator has said so.
 */
export class DistributedVariables {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #own: ReadonlySet<string>;
  #set: Readonly<Record<string, string>> = {};

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
    this.#own = new Set(Object.keys(environment).filter((name) => environment[name] !== undefined));
  }

  /** Without those that this process was started with. */
  effective(variables: Readonly<Record<string, string>>): Record<string, string> {
    return Object.fromEntries(Object.entries(variables).filter(([name]) => !this.#own.has(name) && !OWN.test(name)));
  }

  /** Puts them in place of the ones before. @returns whether that changed anything */
  apply(variables: Readonly<Record<string, string>>): boolean {
    const next = this.effective(variables);
    const before = this.#set;
    for (const name of Object.keys(before))
      if (!Object.hasOwn(next, name)) Reflect.deleteProperty(this.#environment, name);
    Object.assign(this.#environment, next);
    this.#set = next;
    return JSON.stringify(sorted(before)) !== JSON.stringify(sorted(next));
  }
}

function sorted(variables: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(variables).sort(([a], [b]) => a.localeCompare(b));
}
