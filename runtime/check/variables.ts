import type { Entry } from './flow-file.js';
import { isObject, listIn, textIn, type Flow } from './flow.js';
import { subflowOf } from './known-types.js';

/** What is known of a variable: nothing sets it; or it is set, to what only the running flow may know. */
export interface Variable {
  readonly isSet: boolean;
  /** Whether the flow itself sets it, for that node. */
  readonly isOwn: boolean;
  readonly value?: unknown;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Node-RED replaces a text that is a variable and nothing else. */
const WHOLE = /^(?:\$\{(\S+)\}|\$\((\S+)\))$/;
const NOT_SET: Variable = { isSet: false, isOwn: false };
const KNOWN_LATER: Variable = { isSet: true, isOwn: true };

/**
 * A variable as a node sees it: its groups', its tab's or subflow's, the file's own, then the process's
 * (https://nodered.org/docs/user-guide/environment-variables).
 */
export function variableOf(flow: Flow, entry: Entry, name: string, environment: Environment): Variable {
  const plain = name.replace(/^(?:\$parent\.)+/, '');
  if (plain.startsWith('NR_')) return KNOWN_LATER;
  for (const holder of holdersOf(flow, entry)) {
    const row = listIn(holder, 'env').find((one) => isObject(one) && one['name'] === plain);
    if (!isObject(row)) continue;
    // An instance of a subflow may give it another value.
    if (holder.type === 'subflow' || subflowOf(holder.type) !== undefined) return KNOWN_LATER;
    return valueOf(row);
  }
  const value = Object.hasOwn(environment, plain) ? environment[plain] : undefined;
  return value === undefined ? NOT_SET : { isSet: true, isOwn: false, value };
}

function valueOf({ type, value }: Readonly<Record<string, unknown>>): Variable {
  if (typeof value === 'object') return KNOWN_LATER;
  if (type === 'str' || type === undefined) return { isSet: true, isOwn: true, value };
  if (type === 'num') return { isSet: true, isOwn: true, value: Number(value) };
  if (type === 'bool') return { isSet: true, isOwn: true, value: value === true || value === 'true' };
  return KNOWN_LATER;
}

/** What may set variables for a node, the nearest first. */
function holdersOf(flow: Flow, entry: Entry): Entry[] {
  const holders = new Set([entry]);
  // Grows as it is read.
  for (const from of holders) {
    for (const id of [textIn(from, 'g'), textIn(from, 'z')]) {
      const holder = flow.byId.get(id);
      if (holder === undefined) continue;
      holders.add(holder);
      if (holder.type !== 'subflow') continue;
      for (const instance of flow.entries) if (subflowOf(instance.type) === holder.id) holders.add(instance);
    }
  }
  holders.delete(entry);
  return [...holders, ...flow.entries.filter(({ type }) => type === 'global-config')];
}

/** The variables that a node of another palette asks for: Node-RED puts them in. */
export function variablesOfOthers(entry: Entry): { path: string; name: string }[] {
  const inside = (value: unknown, path: string): { path: string; name: string }[] => {
    if (typeof value === 'string') {
      const [, braces, parentheses] = WHOLE.exec(value) ?? [];
      const name = braces ?? parentheses;
      return name === undefined ? [] : [{ path, name }];
    }
    if (!isObject(value)) return [];
    return Object.entries(value).flatMap(([key, inner]) => inside(inner, `${path}/${key}`));
  };
  return inside(entry, '');
}
