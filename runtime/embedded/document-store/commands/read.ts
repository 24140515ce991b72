/** Commands that read documents. */
import { Int32 } from 'bson';
import { results } from '../aggregation/results.js';
import { compileStages, limit, project, skip, sortBy, type Stage } from '../aggregation/stages.js';
import { keyOf } from '../bson/compare.js';
import { encode, encodeBatch } from '../bson/encode.js';
import { wholeNumber } from '../bson/numbers.js';
import { isDoc, type Doc, type Value } from '../bson/values.js';
import { CommandError } from '../errors.js';
import { compileFilter, type Filter } from '../query/filter.js';
import { parsePath, someValue } from '../query/paths.js';
import { compileProjection } from '../query/projection.js';
import { compileSort, naturalOrder } from '../query/sort.js';
import type { Row } from '../storage/collection.js';
import { Item } from '../storage/item.js';
import type { Command, Fields, Session } from './command.js';
import type { Request } from './request.js';

const NO_CONDITION: Doc = new Map();

/** The rows of a collection that match, or none where there is no collection. */
function rows(
  session: Session,
  request: Request,
  name: string,
  filter: Filter,
  direction: 1 | -1 = 1,
): Iterable<readonly Row[]> {
  return session.catalog.get(request.db, name)?.find(filter, direction) ?? [];
}

/** Items that come from no collection, as if they did. */
export function asRows(items: readonly Item[]): (readonly Row[])[] {
  return [items.map((item) => ({ seq: 0, item }))];
}

/** Runs the stages, and answers with the first batch. */
export async function firstBatch(
  session: Session,
  ns: string,
  source: Iterable<readonly Row[]>,
  stages: readonly Stage[],
  batch: { readonly size: number | undefined; readonly single?: boolean },
): Promise<Buffer> {
  const opened = await session.cursors.open(ns, results(source, stages), batch.size, batch.single);
  return encodeBatch('firstBatch', opened.batch, opened.id, ns);
}

/** The size that `cursor: { batchSize }` asks for. */
export function cursorBatchSize(request: Request): number | undefined {
  const size = request.doc('cursor')?.get('batchSize');
  if (size === undefined) return undefined;
  const number = wholeNumber(size);
  if (number === undefined || number < 0)
    throw new CommandError('BadValue', 'cursor.batchSize must be a whole number, 0 or more');
  return number;
}

const FIND: Command = {
  fields: [
    'filter',
    'sort',
    'projection',
    'skip',
    'limit',
    'batchSize',
    'singleBatch',
    // These only say how a server is to work.
    'allowDiskUse',
    'allowPartialResults',
    'noCursorTimeout',
    'oplogReplay',
  ],
  run: async (request, session) => {
    const name = request.collection();
    const sortSpec = request.doc('sort');
    const direction = naturalOrder(sortSpec);
    const sort = direction === undefined ? compileSort(sortSpec) : undefined;
    const projection = request.doc('projection') ?? NO_CONDITION;
    const skipped = request.count('skip') ?? 0;
    // 0 is no limit.
    const most = request.count('limit') || undefined;
    const stages: Stage[] = [];
    if (sort !== undefined) stages.push(sortBy(sort, most === undefined ? undefined : most + skipped));
    if (skipped > 0) stages.push(skip(skipped));
    if (most !== undefined) stages.push(limit(most));
    if (projection.size > 0) stages.push(project(compileProjection(projection, true)));
    const filter = compileFilter(request.doc('filter') ?? NO_CONDITION);
    const source = rows(session, request, name, filter, direction);
    const batch = { size: request.count('batchSize'), single: request.flag('singleBatch') };
    return firstBatch(session, `${request.db}.${name}`, source, stages, batch);
  },
};

const AGGREGATE: Command = {
  fields: ['pipeline', 'cursor', 'allowDiskUse', 'bypassDocumentValidation'],
  run: async (request, session) => {
    if (wholeNumber(request.get('aggregate')) === 1) {
      throw new CommandError(
        'NotImplemented',
        'an aggregation without a collection is not implemented by the document store',
      );
    }
    const name = request.collection();
    const pipeline = request.array('pipeline');
    if (request.doc('cursor') === undefined) {
      throw new CommandError(
        'FailedToParse',
        "The 'cursor' option is required, except for aggregate with the explain argument",
      );
    }
    const ns = `${request.db}.${name}`;
    const batch = { size: cursorBatchSize(request) };
    const counted = countsAll(pipeline);
    const documents = session.catalog.get(request.db, name)?.documents ?? 0;
    if (counted !== undefined && documents > 0) return firstBatch(session, ns, asRows([counted(documents)]), [], batch);

    // The first $match chooses what is read; `_id` is looked up.
    const [first, ...rest] = pipeline;
    const match = isDoc(first) && first.size === 1 ? first.get('$match') : undefined;
    const filter = compileFilter(isDoc(match) ? match : NO_CONDITION);
    const stages = compileStages(isDoc(match) ? rest : pipeline);
    return firstBatch(session, ns, rows(session, request, name, filter), stages, batch);
  },
};

/**
 * Drivers' `countDocuments({})`: `[{ $match: {} }, { $group: { _id: 1, n: { $sum: 1 } } }]`. What is counted already
 * is not read again.
 */
function countsAll(pipeline: readonly Value[]): ((documents: number) => Item) | undefined {
  const [match, group, ...more] = pipeline.map((stage) => (isDoc(stage) && stage.size === 1 ? stage : NO_CONDITION));
  const condition = match?.get('$match');
  const spec = group?.get('$group');
  if (more.length > 0 || !isDoc(condition) || condition.size > 0 || !isDoc(spec) || spec.size !== 2) return undefined;
  const id = spec.get('_id');
  const sum = spec.get('n');
  if (!(id instanceof Int32) || !isDoc(sum) || sum.size !== 1 || wholeNumber(sum.get('$sum')) !== 1) return undefined;
  return (documents) =>
    Item.made(
      new Map([
        ['_id', id],
        ['n', new Int32(documents)],
      ]),
    );
}

const COUNT: Command = {
  fields: ['query', 'limit', 'skip'],
  run: async (request, session) => {
    const name = request.collection();
    const filter = compileFilter(request.doc('query') ?? NO_CONDITION);
    const skipped = request.count('skip') ?? 0;
    // A negative limit is as good as a positive one.
    const most = Math.abs(request.whole('limit') ?? 0) || Infinity;
    const found = filter.empty
      ? (session.catalog.get(request.db, name)?.documents ?? 0)
      : await number(rows(session, request, name, filter), skipped + most);
    return { n: Math.max(0, Math.min(found - skipped, most)) };
  },
};

/** For stages that give nothing on. */
async function exhaust(output: AsyncGenerator<Buffer[], void>): Promise<void> {
  while ((await output.next()).done !== true);
}

async function number(source: Iterable<readonly Row[]>, enough: number): Promise<number> {
  let found = 0;
  const count: Stage = (next) => ({ accept: () => ++found < enough, end: () => next.end() });
  await exhaust(results(source, [count]));
  return found;
}

const DISTINCT: Command = {
  fields: ['key', 'query'],
  run: async (request, session) => {
    const name = request.collection();
    const path = parsePath(request.text('key'));
    const filter = compileFilter(request.doc('query') ?? NO_CONDITION);
    const values = new Map<string, Value>();
    const collect = (value: Value | undefined): void => {
      if (value === undefined) return;
      const key = keyOf(value).toString('latin1');
      if (!values.has(key)) values.set(key, value);
    };
    const gather: Stage = (next) => ({
      accept: (item) => {
        someValue(item.doc, path, true, (value) => {
          // An array stands for its elements.
          if (Array.isArray(value)) value.forEach(collect);
          else collect(value);
          return false;
        });
        return true;
      },
      end: () => next.end(),
    });
    await exhaust(results(rows(session, request, name, filter), [gather]));
    return encode(
      new Map<string, Value>([
        ['values', [...values.values()]],
        ['ok', new Int32(1)],
      ]),
    );
  },
};

const GET_MORE: Command = {
  fields: ['collection', 'batchSize'],
  run: async (request, session) => {
    const ns = `${request.db}.${request.text('collection')}`;
    // 0 is as if none were given.
    const size = request.count('batchSize') || undefined;
    const { id, batch } = await session.cursors.more(request.long(request.name), ns, size);
    return encodeBatch('nextBatch', batch, id, ns);
  },
};

const KILL_CURSORS: Command = {
  fields: ['cursors'],
  run: (request, session): Fields => {
    const ns = `${request.db}.${request.text('killCursors')}`;
    const ids = request.array('cursors').map((id) => (typeof id === 'bigint' ? id : BigInt(wholeNumber(id) ?? 0)));
    const killed = ids.filter((id) => session.cursors.kill(id, ns));
    const cursorsNotFound = ids.filter((id) => !killed.includes(id));
    return { cursorsKilled: killed, cursorsNotFound, cursorsAlive: [], cursorsUnknown: [] };
  },
};

export const READ: ReadonlyMap<string, Command> = new Map([
  ['find', FIND],
  ['aggregate', AGGREGATE],
  ['count', COUNT],
  ['distinct', DISTINCT],
  ['getMore', GET_MORE],
  ['killCursors', KILL_CURSORS],
]);
