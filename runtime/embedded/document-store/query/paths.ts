/**
 * How a dotted path finds values in a document: through documents by name, into every element of an array, and by
 * position. Source: src/mongo/db/matcher/path.cpp and src/mongo/db/index/btree_key_generator.cpp of the server.
 */
import { CommandError, notImplemented } from '../errors.js';
import { isDoc, type Doc, type Value } from '../bson/values.js';

export type ValueTest = (value: Value | undefined) => boolean;

/** Throws FailedToParse for a path with an empty part. */
export function parsePath(path: string): string[] {
  const parts = path.split('.');
  if (parts.includes('')) throw new CommandError('FailedToParse', `FieldPath '${path}' has an empty part`);
  return parts;
}

/** The position in an array that a part of a path names. */
export function arrayIndex(part: string | undefined): number | undefined {
  return part !== undefined && /^(0|[1-9]\d{0,8})$/.test(part) ? Number(part) : undefined;
}

/**
 * Whether a value that the path finds passes the test; what is missing is tested as `undefined`.
 *
 * @param whole an array at the end of the path is tested as it is; else each element is, and then the array.
 */
export function someValue(doc: Doc, path: readonly string[], whole: boolean, test: ValueTest): boolean {
  return someFrom(doc, path, 0, whole, test);
}

function someFrom(start: Value, path: readonly string[], from: number, whole: boolean, test: ValueTest): boolean {
  let value: Value | undefined = start;
  for (let at = from; at < path.length; at++) {
    if (Array.isArray(value)) return someInArray(value, path, at, whole, test);
    value = isDoc(value) ? value.get(path[at] ?? '') : undefined;
  }
  if (Array.isArray(value) && !whole && value.some(test)) return true;
  return test(value);
}

function someInArray(array: Value[], path: readonly string[], at: number, whole: boolean, test: ValueTest): boolean {
  const position = arrayIndex(path[at]);
  return array.some((element, index) => {
    if (isDoc(element) && someFrom(element, path, at, whole, test)) return true;
    if (index !== position) return false;
    if (at + 1 === path.length) return test(element);
    if (Array.isArray(element)) return someInArray(element, path, at + 1, whole, test);
    return isDoc(element) && someFrom(element, path, at + 1, whole, test);
  });
}

/** How far the key generator is on one path. */
interface Walk {
  readonly value: Value | undefined;
  /** What is left of the path; `undefined` when the value is the one for the key. */
  readonly rest: readonly string[] | undefined;
}

/**
 * The keys that an index over these paths holds for a document, one value a path; an array gives one key an element.
 * In a key, `undefined` is the empty array, and null is what is missing: that is how MongoDB orders and compares
 * them. Throws CannotIndexParallelArrays.
 */
export function keysAt(doc: Doc, paths: readonly (readonly string[])[]): (Value | undefined)[][] {
  const walks = paths.map((rest) => ({ value: doc, rest }));
  return expand(walks);
}

function expand(walks: readonly Walk[]): (Value | undefined)[][] {
  const reached = walks.map(advance);
  const arrays = new Set(reached.filter(({ rest }) => rest !== undefined).map(({ value }) => value));
  const [array] = arrays;
  if (!Array.isArray(array)) return [reached.map(({ value }) => value)];
  if (arrays.size > 1) throw new CommandError('CannotIndexParallelArrays', 'cannot index or sort by parallel arrays');
  if (array.length === 0) {
    return [reached.map(({ value, rest }) => (rest === undefined ? value : rest.length === 0 ? undefined : null))];
  }
  return array.flatMap((element) => expand(reached.map((walk) => into(walk, element))));
}

/**
 * Through documents, up to the end of the path or to an array, which is then the value of a walk that is not at its
 * end.
 */
function advance({ value, rest }: Walk): Walk {
  if (rest === undefined) return { value, rest };
  const [part] = rest;
  if (part === undefined) return Array.isArray(value) ? { value, rest } : { value: value ?? null, rest: undefined };
  if (isDoc(value)) return advance({ value: value.get(part), rest: rest.slice(1) });
  if (!Array.isArray(value)) return { value: null, rest: undefined };
  const position = arrayIndex(part);
  if (position === undefined) return { value, rest };
  if (value.some((element) => isDoc(element) && element.has(part))) {
    throw notImplemented(`the path part '${part}', which is a position and a field name at once,`);
  }
  return advance({ value: value[position], rest: rest.slice(1) });
}

/** An array within the array is a value of its own, and is not looked into. */
function into(walk: Walk, element: Value): Walk {
  if (walk.rest === undefined) return walk;
  if (walk.rest.length === 0) return { value: element, rest: undefined };
  return isDoc(element) ? { value: element, rest: walk.rest } : { value: null, rest: undefined };
}
