import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { describeValue } from '@sluice/node-red/check';
import type { Report } from './finding.js';
import { placeOfError } from './json-place.js';

/** An entry of a flow file: a node, a tab, a group or a subflow. */
export type Entry = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

export const STDIN = '-';

/** Deeper than any flow: what goes through it has a stack that ends. */
const MOST_LEVELS = 100;

/** The files that are meant: a folder stands for its *.json, in their order. */
export function filesOf(path: string): string[] {
  if (path === STDIN || !statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => name.endsWith('.json'));
  if (names.length === 0) throw new Error('expected *.json in the folder, got none');
  return names.sort().map((name) => join(path, name));
}

/** Reads a file and its JSON; undefined, and said, when it has none. */
export async function readJson(file: string, report: Report): Promise<unknown> {
  let bytes: string;
  try {
    bytes = file === STDIN ? await textOf(process.stdin) : readFileSync(file, 'utf8');
  } catch (error) {
    report('', `expected a file that can be read, got ${systemError(error)}`);
    return undefined;
  }
  const text = bytes.replace(/^\uFEFF/, '');
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const { line, column, character } = placeOfError(text);
    report(
      `${line}:${column}`,
      `expected JSON, got ${character === undefined ? 'the end of the text' : JSON.stringify(character)}`,
    );
    return undefined;
  }
}

/** The entries that are such; of all others it is said what they are. */
export function entriesOf(json: unknown, report: Report): Entry[] {
  if (json === undefined) return [];
  if (!Array.isArray(json)) {
    report('', `expected an array of nodes, got ${kindOf(json)}`);
    return [];
  }
  return json.flatMap((entry: unknown, index): Entry[] => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
      report(`/${index}`, `expected a node, which is an object, got ${kindOf(entry)}`);
      return [];
    }
    let isWhole = true;
    for (const name of ['id', 'type']) {
      const value = Object.hasOwn(entry, name) ? (entry as Record<string, unknown>)[name] : undefined;
      if (typeof value === 'string' && value !== '') continue;
      report(`/${index}/${name}`, `expected a text that is not empty, got ${describeValue(value)}`);
      isWhole = false;
    }
    if (isDeeper(entry, MOST_LEVELS)) {
      report(`/${index}`, `expected at most ${MOST_LEVELS} levels, got more`);
      isWhole = false;
    }
    return isWhole ? [entry as Entry] : [];
  });
}

/** What a value is, without what it says: it may be a secret. */
function kindOf(value: unknown): string {
  return typeof value === 'object' ? describeValue(value) : `a ${typeof value}`;
}

/** Without a stack: it is what finds out that there would not be enough of it. */
function isDeeper(value: object, levels: number): boolean {
  let level: object[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === levels) return true;
    level = level.flatMap((one) =>
      Object.values(one).filter((inner): inner is object => typeof inner === 'object' && inner !== null),
    );
  }
  return false;
}

/** What the system says of a file, without the path, which stands before it. */
export function systemError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no file of this name';
  if (code === 'EACCES') return 'no right to read it';
  if (code === 'EISDIR') return 'a folder';
  return message;
}
