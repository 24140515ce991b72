/**
 * Indexes. A unique one is enforced, and one with `expireAfterSeconds` removes documents; the others are recorded, so
 * that `listIndexes` shows them, and speed nothing up: every query but one by `_id` reads the collection.
 */
import { keyOf } from '../bson/compare.js';
import { wholeNumber } from '../bson/numbers.js';
import { display, isDoc, isNumeric, type Doc, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import { truthy } from '../query/expression.js';
import { compileFilter, type Filter } from '../query/filter.js';
import { keysAt, parsePath, someValue } from '../query/paths.js';

/** MongoDB's bound, https://www.mongodb.com/docs/manual/core/index-ttl/ */
const MAX_EXPIRY_SECONDS = 2_147_483_647;

/** Options that change nothing here, as a default of theirs or because they only say how an index is built or kept. */
const HARMLESS = new Set(['v', 'background', 'ns', 'storageEngine']);

export interface UniqueKey {
  readonly key: Buffer;
  readonly values: readonly (Value | undefined)[];
}

export class Index {
  readonly name: string;
  readonly key: Doc;
  readonly unique: boolean;
  readonly expireAfterSeconds: number | undefined;
  /** The top-level fields that it reads; `undefined` where it may read any. */
  readonly fields: ReadonlySet<string> | undefined;
  readonly #paths: readonly string[][];
  readonly #sparse: boolean;
  readonly #partial: Filter | undefined;

  /** @param id `undefined` before it is recorded. Throws for a specification that this store does not keep. */
  constructor(
    readonly spec: Doc,
    readonly id: number | undefined,
  ) {
    const { key, name } = requiredParts(spec);
    this.key = key;
    this.name = name;
    rejectUnknownOptions(spec);
    this.unique = truthy(spec.get('unique'));
    this.#sparse = truthy(spec.get('sparse'));
    this.expireAfterSeconds = expiryOf(spec);
    const partial = spec.get('partialFilterExpression');
    if (partial !== undefined && !isDoc(partial))
      throw invalid("The field 'partialFilterExpression' must be an object");
    this.#partial = partial === undefined ? undefined : compileFilter(partial);
    this.#paths = [...key].map(([path, kind]) => {
      checkKind(path, kind, this.unique || this.expireAfterSeconds !== undefined);
      return parsePath(path);
    });
    if (this.expireAfterSeconds !== undefined && this.#paths.length > 1) {
      throw new CommandError(
        'CannotCreateIndex',
        'TTL indexes are single-field indexes, compound indexes do not support TTL',
      );
    }
    this.fields = union(new Set(this.#paths.map(([field = '']) => field)), this.#partial);
  }

  /** Whether a document's coming and going has to be told to it. */
  get kept(): boolean {
    return this.unique || this.expireAfterSeconds !== undefined;
  }

  /** The keys that a document has in a unique index. */
  uniqueKeys(doc: Doc): UniqueKey[] {
    if (!this.unique || !this.#covers(doc)) return [];
    const keys = new Map<string, UniqueKey>();
    for (const values of keysAt(doc, this.#paths)) {
      const key = Buffer.concat(values.map(keyOf));
      keys.set(key.toString('latin1'), { key, values });
    }
    return [...keys.values()];
  }

  /** When a TTL index removes a document, in ms since 1970; of several times the earliest counts. */
  expiry(doc: Doc): number | undefined {
    if (this.expireAfterSeconds === undefined || !this.#covers(doc)) return undefined;
    const times = keysAt(doc, this.#paths).flatMap(([value]) => (value instanceof Date ? [value.getTime()] : []));
    return times.length === 0 ? undefined : Math.min(...times) + this.expireAfterSeconds * 1000;
  }

  #covers(doc: Doc): boolean {
    if (this.#partial?.matches(doc) === false) return false;
    return !this.#sparse || this.#paths.some((path) => someValue(doc, path, true, (value) => value !== undefined));
  }

  duplicate(ns: string, values: readonly (Value | undefined)[]): CommandError {
    return duplicateKey(ns, this.name, this.key, values);
  }
}

/** MongoDB's E11000, with the fields by which drivers and programs tell what was there already. */
export function duplicateKey(
  ns: string,
  index: string,
  keyPattern: Doc,
  values: readonly (Value | undefined)[],
): CommandError {
  const names = [...keyPattern.keys()];
  const shown = names.map((name, at) => `${name}: ${display(values[at])}`).join(', ');
  const keyValue = new Map(names.map((name, at) => [name, values[at] ?? null]));
  return new CommandError(
    'DuplicateKey',
    `E11000 duplicate key error collection: ${ns} index: ${index} dup key: { ${shown} }`,
    {
      keyPattern,
      keyValue,
    },
  );
}

function requiredParts(spec: Doc): { key: Doc; name: string } {
  const key = spec.get('key');
  const name = spec.get('name');
  if (!isDoc(key) || key.size === 0)
    throw new CommandError('CannotCreateIndex', 'Index keys cannot be an empty object');
  if (typeof name !== 'string' || name === '') {
    throw new CommandError('FailedToParse', "The 'name' field is a required property of an index specification");
  }
  if (name === '*') throw new CommandError('BadValue', "The index name '*' is not valid.");
  return { key, name };
}

function rejectUnknownOptions(spec: Doc): void {
  const known = new Set(['key', 'name', 'unique', 'sparse', 'expireAfterSeconds', 'partialFilterExpression']);
  for (const [option, value] of spec) {
    if (known.has(option) || HARMLESS.has(option)) continue;
    if (option === 'collation' && isDoc(value) && value.get('locale') === 'simple') continue;
    // What only turns off is what this store has anyway.
    if ((option === 'hidden' || option === 'prepareUnique') && !truthy(value)) continue;
    throw notImplemented(`the index option '${option}'`);
  }
}

function checkKind(path: string, kind: Value, kept: boolean): void {
  if (path.startsWith('$') || path.includes('.$')) {
    throw new CommandError(
      'CannotCreateIndex',
      `Index key contains an illegal field name: field name starts with '$': ${path}`,
    );
  }
  if (typeof kind === 'string') {
    if (kind !== 'hashed' || kept) throw notImplemented(`an index of the kind ${display(kind)}`);
    return;
  }
  if (!isNumeric(kind) || wholeNumber(kind) === 0) {
    throw new CommandError(
      'CannotCreateIndex',
      `Values in v:2 index key pattern must be numbers or strings, got ${display(kind)}`,
    );
  }
}

function expiryOf(spec: Doc): number | undefined {
  const value = spec.get('expireAfterSeconds');
  if (value === undefined) return undefined;
  const seconds = wholeNumber(value);
  if (seconds === undefined || seconds < 0 || seconds > MAX_EXPIRY_SECONDS) {
    throw new CommandError(
      'CannotCreateIndex',
      `TTL index 'expireAfterSeconds' must be from 0 to ${MAX_EXPIRY_SECONDS}, got ${display(value)}`,
    );
  }
  return seconds;
}

function union(fields: Set<string>, filter: Filter | undefined): ReadonlySet<string> | undefined {
  if (filter === undefined) return fields;
  return filter.fields === undefined ? undefined : new Set([...fields, ...filter.fields]);
}

function invalid(message: string): CommandError {
  return new CommandError('TypeMismatch', message);
}

/** How far two specifications are the same; names apart. */
export function sameOptions(a: Index, b: Index): boolean {
  const options = (index: Index): Buffer =>
    keyOf(
      new Map(
        [...index.spec]
          .filter(([option, value]) => option !== 'name' && !HARMLESS.has(option) && value !== false)
          .sort(byName),
      ),
    );
  return options(a).equals(options(b));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
