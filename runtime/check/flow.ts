import type { Finding, NodeName, Report } from './finding.js';
import type { Entry } from './flow-file.js';

/** The entries of a file, by their ids: whatever they are called, `__proto__` too. */
export interface Flow {
  readonly file: string;
  readonly entries: readonly Entry[];
  readonly byId: ReadonlyMap<string, Entry>;
}

export function flowOf(file: string, entries: readonly Entry[]): Flow {
  // Of two with one id, Node-RED takes the last.
  return { file, entries, byId: new Map(entries.map((entry) => [entry.id, entry])) };
}

/** The node's name, else its label, else its id. */
export function nameOf({ id, type, name, label }: Entry): NodeName {
  return {
    id,
    type,
    name: [name, label].find((text): text is string => typeof text === 'string' && text !== '') ?? id,
  };
}

/** A report on one node. */
export function reportOn(file: string, entry: Entry, add: (finding: Finding) => void): Report {
  return (path, message, level = 'error') => add({ file, node: nameOf(entry), path, message, level });
}

export function textIn(entry: Entry, field: string): string {
  const value = Object.hasOwn(entry, field) ? entry[field] : undefined;
  return typeof value === 'string' ? value : '';
}

export function listIn(holder: unknown, field: string): readonly unknown[] {
  const value = isObject(holder) && Object.hasOwn(holder, field) ? holder[field] : undefined;
  return Array.isArray(value) ? (value as unknown[]) : [];
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Whether a deploy leaves a node out: it, or the tab that it is on, is switched off. */
export function isDisabled(flow: Flow, entry: Entry): boolean {
  return entry['d'] === true || flow.byId.get(textIn(entry, 'z'))?.['disabled'] === true;
}
