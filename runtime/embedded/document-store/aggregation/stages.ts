/** The stages of an aggregation pipeline; `find`'s options are some of the same. */
import { Int32 } from 'bson';
import { keyOf } from '../bson/compare.js';
import { wholeNumber } from '../bson/numbers.js';
import { display, isDoc, typeOf, type Doc, type Value } from '../bson/values.js';
import { CommandError } from '../errors.js';
import { compileExpression, fieldPath, type Expression } from '../query/expression.js';
import { compileFilter, isOperators } from '../query/filter.js';
import { parsePath } from '../query/paths.js';
import { compileAddFields, compileProjection, type Projection } from '../query/projection.js';
import { compileSort, type Sort, type SortKey } from '../query/sort.js';
import { Item } from '../storage/item.js';
import { ACCUMULATORS, type Accumulator } from './accumulators.js';

/** Takes documents one by one. */
export interface Sink {
  /** Gives false when it wants no more. */
  accept(item: Item): boolean;
  /** After the last document. */
  end(): void;
}

export type Stage = (next: Sink) => Sink;

/** MongoDB's own limit of memory for a sort or a group that may not use the disk. */
const MAX_STAGE_BYTES = 100 * 1024 * 1024;
/** A sort with a limit keeps at most so many times what it gives. */
const TOP_FACTOR = 4;
const TOP_LEAST = 1024;

/** Throws for a stage that this store has not. */
export function compileStages(pipeline: readonly Value[]): Stage[] {
  return pipeline.flatMap((stage, index) => {
    if (!isDoc(stage)) throw new CommandError('TypeMismatch', "Each element of the 'pipeline' array must be an object");
    const [only] = stage;
    if (only === undefined || stage.size !== 1) {
      throw new CommandError(40323, 'A pipeline stage specification object must contain exactly one field.');
    }
    const [name, spec] = only;
    const compile = STAGES.get(name);
    if (compile === undefined) {
      throw new CommandError(
        40324,
        `Unrecognized pipeline stage name: '${name}'; the document store has ${[...STAGES.keys()].join(', ')}`,
      );
    }
    return compile(spec, limitAfter(pipeline.slice(index + 1)));
  });
}

/** @param most how many of its documents will be used at the most, when that is known */
type CompileStage = (spec: Value, most: number | undefined) => Stage[];

/** What `$skip` and `$limit` right behind a sort leave of it. */
function limitAfter(pipeline: readonly Value[]): number | undefined {
  let skipped = 0;
  for (const stage of pipeline) {
    if (!isDoc(stage)) return undefined;
    const limit = wholeNumber(stage.get('$limit'));
    if (limit !== undefined) return skipped + limit;
    const skip = wholeNumber(stage.get('$skip'));
    if (skip === undefined) return undefined;
    skipped += skip;
  }
  return undefined;
}

const STAGES: ReadonlyMap<string, CompileStage> = new Map<string, CompileStage>([
  ['$match', (spec) => [match(object('$match', spec))]],
  [
    '$sort',
    (spec, most) => {
      const sort = compileSort(object('$sort', spec));
      if (sort === undefined) throw new CommandError(15976, '$sort stage must have at least one sort key');
      return [sortBy(sort, most)];
    },
  ],
  ['$limit', (spec) => [limit(positive('$limit', spec))]],
  ['$skip', (spec) => [skip(count('$skip', spec))]],
  ['$project', (spec) => [project(compileProjection(nonEmpty('$project', spec), false))]],
  ['$addFields', (spec) => [project(compileAddFields(object('$addFields', spec)))]],
  ['$set', (spec) => [project(compileAddFields(object('$set', spec)))]],
  ['$unset', (spec) => [project(compileProjection(unsetFields(spec), false))]],
  ['$group', (spec) => [group(object('$group', spec))]],
  ['$count', compileCount],
  ['$sortByCount', compileSortByCount],
  ['$unwind', (spec) => [unwind(spec)]],
  ['$replaceRoot', (spec) => [replaceRoot(object('$replaceRoot', spec).get('newRoot') ?? null)]],
  ['$replaceWith', (spec) => [replaceRoot(spec)]],
]);

function object(stage: string, spec: Value): Doc {
  if (isDoc(spec)) return spec;
  throw new CommandError(15959, `the ${stage} specification must be an object, not ${typeOf(spec).alias}`);
}

function nonEmpty(stage: string, spec: Value): Doc {
  if (isDoc(spec) && spec.size === 0)
    throw new CommandError(51272, `${stage} specification must have at least one field`);
  return object(stage, spec);
}

function count(stage: string, spec: Value): number {
  const number = wholeNumber(spec);
  if (number !== undefined && number >= 0) return number;
  throw new CommandError(
    5107200,
    `invalid argument to ${stage} stage: expected a non-negative whole number, got ${display(spec)}`,
  );
}

function positive(stage: string, spec: Value): number {
  const number = count(stage, spec);
  if (number === 0) throw new CommandError(15958, 'the limit must be positive');
  return number;
}

function match(spec: Doc): Stage {
  const filter = compileFilter(spec);
  return (next) => ({
    accept: (item) => !filter.matches(item.fields(filter.fields)) || next.accept(item),
    end: () => next.end(),
  });
}

/** Equal keys keep the order in which they came. Throws QueryExceededMemoryLimitNoDiskUseAllowed. */
export function sortBy(sort: Sort, most: number | undefined): Stage {
  return (next) => {
    let entries: { key: SortKey; item: Item; order: number; bytes: number }[] = [];
    let bytes = 0;
    let order = 0;
    const keepAtMost = most === undefined ? Infinity : Math.max(TOP_FACTOR * most, TOP_LEAST);
    const arrange = (): void => {
      entries.sort((a, b) => sort.compare(a.key, b.key) || a.order - b.order);
      if (most === undefined || entries.length <= most) return;
      entries = entries.slice(0, most);
      bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    };
    return {
      accept: (item) => {
        const key = sort.key(item.fields(sort.fields));
        item.compact();
        entries.push({ key, item, order: order++, bytes: item.raw.length });
        bytes += item.raw.length;
        if (entries.length >= keepAtMost || bytes > MAX_STAGE_BYTES) arrange();
        checkMemory('Sort', bytes);
        return true;
      },
      end: () => {
        arrange();
        for (const { item } of entries) if (!next.accept(item)) break;
        next.end();
      },
    };
  };
}

function checkMemory(what: string, bytes: number): void {
  if (bytes <= MAX_STAGE_BYTES) return;
  throw new CommandError(
    'QueryExceededMemoryLimitNoDiskUseAllowed',
    `${what} exceeded memory limit of ${MAX_STAGE_BYTES} bytes; the document store has no external ${what.toLowerCase()}`,
  );
}

export function limit(most: number): Stage {
  return (next) => {
    let left = most;
    return {
      accept: (item) => {
        left--;
        return next.accept(item) && left > 0;
      },
      end: () => next.end(),
    };
  };
}

export function skip(number: number): Stage {
  return (next) => {
    let left = number;
    return {
      accept: (item) => (left > 0 ? left-- > 0 : next.accept(item)),
      end: () => next.end(),
    };
  };
}

export function project(projection: Projection): Stage {
  return (next) => ({ accept: (item) => next.accept(Item.made(projection(item.doc))), end: () => next.end() });
}

function unsetFields(spec: Value): Doc {
  const names = Array.isArray(spec) ? spec : [spec];
  return new Map(
    names.map((name) => {
      if (typeof name !== 'string' || name === '')
        throw new CommandError(31002, '$unset specification must be a string or an array of them');
      return [name, new Int32(0)];
    }),
  );
}

interface Group {
  readonly id: Value;
  readonly accumulators: readonly Accumulator[];
}

function group(spec: Doc): Stage {
  const idSpec = spec.get('_id');
  if (idSpec === undefined) throw new CommandError(15955, 'a group specification must include an _id');
  const id = compileExpression(idSpec);
  const fields = [...spec].filter(([name]) => name !== '_id').map(([name, value]) => accumulatorOf(name, value));
  return (next) => {
    const groups = new Map<string, Group>();
    let bytes = 0;
    const open = (value: Value): Group => {
      const key = keyOf(value).toString('latin1');
      let found = groups.get(key);
      if (found === undefined) {
        found = { id: value, accumulators: fields.map(({ make }) => make()) };
        groups.set(key, found);
        bytes += key.length;
      }
      return found;
    };
    return {
      accept: (item) => {
        const { accumulators } = open(id(item.doc) ?? null);
        for (const [index, { operand }] of fields.entries()) {
          const accumulator = accumulators[index];
          const value = operand(item.doc);
          accumulator?.add(value);
          if (accumulator?.keeps === true) bytes += keyOf(value).length;
        }
        checkMemory('Group', bytes);
        return true;
      },
      end: () => {
        for (const { id: value, accumulators } of groups.values()) {
          const doc: Doc = new Map([['_id', value]]);
          for (const [index, { name }] of fields.entries()) doc.set(name, accumulators[index]?.result() ?? null);
          if (!next.accept(Item.made(doc))) break;
        }
        next.end();
      },
    };
  };
}

function accumulatorOf(name: string, spec: Value): { name: string; make: () => Accumulator; operand: Expression } {
  if (name.includes('.')) throw new CommandError(40235, `The field name '${name}' cannot contain '.'`);
  if (name.startsWith('$')) throw new CommandError(40236, `The field name '${name}' cannot be an operator name`);
  const [only] = isOperators(spec) ? spec : [];
  if (only === undefined || !isDoc(spec))
    throw new CommandError(40234, `The field '${name}' must be an accumulator object`);
  if (spec.size !== 1) throw new CommandError(40238, `The field '${name}' must specify one accumulator`);
  const [operator, argument] = only;
  const make = ACCUMULATORS.get(operator);
  if (make === undefined) {
    throw new CommandError(
      15952,
      `unknown group operator '${operator}'; the document store has ${[...ACCUMULATORS.keys()].join(', ')}`,
    );
  }
  if (operator === '$count' && !(isDoc(argument) && argument.size === 0)) {
    throw new CommandError('TypeMismatch', '$count takes no arguments, i.e. $count:{}');
  }
  // An accumulator takes one operand: in an array of one, that one.
  const operand = Array.isArray(argument) && argument.length === 1 ? (argument[0] ?? null) : argument;
  if (Array.isArray(operand)) throw new CommandError(40237, `The ${operator} accumulator is a unary operator`);
  return { name, make, operand: compileExpression(operand) };
}

function compileCount(spec: Value): Stage[] {
  if (typeof spec !== 'string' || spec === '' || spec.startsWith('$') || spec.includes('.')) {
    throw new CommandError(40156, 'the count field must be a non-empty string without $ at its start and without dots');
  }
  return [
    (next) => {
      let documents = 0;
      return {
        accept: () => ++documents > 0,
        end: () => {
          if (documents > 0) next.accept(Item.made(new Map([[spec, new Int32(documents)]])));
          next.end();
        },
      };
    },
  ];
}

function compileSortByCount(spec: Value): Stage[] {
  const grouped: Doc = new Map<string, Value>([
    ['_id', spec],
    ['count', new Map<string, Value>([['$sum', new Int32(1)]])],
  ]);
  const sort = compileSort(new Map([['count', new Int32(-1)]]));
  return sort === undefined ? [] : [group(grouped), sortBy(sort, undefined)];
}

const UNWIND_OPTIONS = new Set(['path', 'preserveNullAndEmptyArrays', 'includeArrayIndex']);

function unwind(spec: Value): Stage {
  const options: Doc = isDoc(spec) ? spec : new Map([['path', spec]]);
  for (const option of options.keys()) {
    if (!UNWIND_OPTIONS.has(option)) throw new CommandError(28811, `unrecognized option to $unwind stage: ${option}`);
  }
  const path = options.get('path');
  const keepEmpty = options.get('preserveNullAndEmptyArrays') ?? false;
  const index = options.get('includeArrayIndex');
  if (typeof path !== 'string' || !path.startsWith('$') || path.startsWith('$$')) {
    throw new CommandError(28818, `path option to $unwind stage should be prefixed with a '$': ${display(path)}`);
  }
  if (typeof keepEmpty !== 'boolean')
    throw new CommandError(28809, 'expected a boolean for preserveNullAndEmptyArrays');
  if (index !== undefined && (typeof index !== 'string' || index === '' || index.startsWith('$'))) {
    throw new CommandError(28810, 'expected a non-empty string for the includeArrayIndex option of $unwind stage');
  }
  const parts = parsePath(path.slice(1));
  const read = fieldPath(parts);
  return (next) => ({
    accept: (item) => {
      const give = (value: Value | undefined, at: number | undefined): boolean => {
        let doc = replaceAt(item.doc, parts, value);
        if (index !== undefined) doc = replaceAt(doc, parsePath(index), at === undefined ? null : BigInt(at));
        return next.accept(Item.made(doc));
      };
      const value = throughDocuments(item.doc, parts) ? read(item.doc) : undefined;
      if (Array.isArray(value) && value.length > 0) return value.every((element, at) => give(element, at));
      const empty = value === undefined || value === null || Array.isArray(value);
      if (empty && !keepEmpty) return true;
      return give(Array.isArray(value) ? undefined : value, undefined);
    },
    end: () => next.end(),
  });
}

/** `$unwind` looks into no array on the way to its own. */
function throughDocuments(doc: Doc, path: readonly string[]): boolean {
  let value: Value | undefined = doc;
  for (const part of path) {
    if (!isDoc(value)) return false;
    value = value.get(part);
  }
  return true;
}

function replaceAt(doc: Doc, [part = '', ...rest]: readonly string[], value: Value | undefined): Doc {
  const copy: Doc = new Map(doc);
  const below = copy.get(part);
  if (rest.length > 0) copy.set(part, replaceAt(isDoc(below) ? below : new Map<string, Value>(), rest, value));
  else if (value === undefined) copy.delete(part);
  else copy.set(part, value);
  return copy;
}

function replaceRoot(spec: Value): Stage {
  const root = compileExpression(spec);
  return (next) => ({
    accept: (item) => {
      const doc = root(item.doc);
      if (!isDoc(doc)) {
        throw new CommandError(
          40228,
          `'newRoot' expression must evaluate to an object, but resulting value was: ${display(doc)}`,
        );
      }
      return next.accept(Item.made(doc));
    },
    end: () => next.end(),
  });
}
