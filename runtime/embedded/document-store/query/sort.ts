/** The order of a `sort`. */
import { compare } from '../bson/compare.js';
import { wholeNumber } from '../bson/numbers.js';
import { type Doc, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import { keysAt, parsePath } from './paths.js';

export type SortKey = readonly (Value | undefined)[];

export interface Sort {
  /** The key by which a document is sorted: of those that an array gives, the one that comes first. */
  key(doc: Doc): SortKey;
  compare(a: SortKey, b: SortKey): number;
  /** The top-level fields that the key is made of. */
  readonly fields: ReadonlySet<string>;
}

/** `undefined` when there is nothing to sort by. */
export function compileSort(spec: Doc | undefined): Sort | undefined {
  if (spec === undefined || spec.size === 0) return undefined;
  const paths: string[][] = [];
  const directions: number[] = [];
  for (const [name, direction] of spec) {
    if (name.startsWith('$')) throw notImplemented(`a sort by ${name} and more`);
    const sign = wholeNumber(direction);
    if (sign !== 1 && sign !== -1)
      throw new CommandError(15975, '$sort key ordering must be 1 (for ascending) or -1 (for descending)');
    paths.push(parsePath(name));
    directions.push(sign);
  }
  const compareKeys = (a: SortKey, b: SortKey): number => {
    for (const [index, direction] of directions.entries()) {
      const result = compare(a[index], b[index]);
      if (result !== 0) return result * direction;
    }
    return 0;
  };
  return {
    key: (doc) => keysAt(doc, paths).reduce((first, key) => (compareKeys(key, first) < 0 ? key : first)),
    compare: compareKeys,
    fields: new Set(paths.map(([field = '']) => field)),
  };
}

/** `{ $natural: 1 | -1 }`, the order of insertion; `undefined` for any other sort. */
export function naturalOrder(spec: Doc | undefined): 1 | -1 | undefined {
  if (spec?.size !== 1 || !spec.has('$natural')) return undefined;
  const direction = wholeNumber(spec.get('$natural'));
  if (direction !== 1 && direction !== -1) throw new CommandError('BadValue', '$natural sort must be 1 or -1');
  return direction;
}
