/** What the store has not, it refuses: with a code that says so, before it has done anything. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { Decimal128, MongoServerError, type Document } from 'mongodb';
import { rejection, useStore, type Thing } from './database.js';

describe('what the embedded document store refuses', () => {
  const db = useStore();
  beforeEach(() =>
    db()
      .collection<Thing>('things')
      .insertMany([{ _id: 1, a: [1], s: 'x', n: 1 }]),
  );

  const find = (filter: Document, more: Document = {}): Document => ({ find: 'things', filter, ...more });
  const update = (u: Document | Document[], more: Document = {}): Document => ({
    update: 'things',
    updates: [{ q: {}, u, ...more }],
  });
  const aggregate = (...pipeline: Document[]): Document => ({ aggregate: 'things', pipeline, cursor: {} });
  const index = (key: Document, options: Document = {}): Document => ({
    createIndexes: 'things',
    indexes: [{ key, name: 'i', ...options }],
  });
  const project = (expression: unknown): Document => aggregate({ $project: { x: expression } });
  const txn = { lsid: { id: new Decimal128('1') }, txnNumber: 1 };

  const cases: [string, Document, string][] = [
    ['a command that there is not', { explain: { find: 'things' } }, 'CommandNotFound'],
    ['renaming', { renameCollection: 'a.b', to: 'a.c' }, 'CommandNotFound'],
    ['mapReduce', { mapReduce: 'things' }, 'CommandNotFound'],
    ['users', { createUser: 'me', pwd: 'x', roles: [] }, 'CommandNotFound'],
    ['a collation', find({}, { collation: { locale: 'de' } }), 'NotImplemented'],
    ['a hint', find({}, { hint: { a: 1 } }), 'NotImplemented'],
    ['a tailable cursor', find({}, { tailable: true }), 'NotImplemented'],
    ['variables', find({}, { let: { x: 1 } }), 'NotImplemented'],
    ['a field that no one knows', find({}, { nonsense: 1 }), 'NotImplemented'],
    ['bounds of an index', find({}, { min: { a: 1 } }), 'NotImplemented'],
    ['a transaction', { ...find({}), ...txn, startTransaction: true, autocommit: false }, 'IllegalOperation'],
    ['a retryable write', { insert: 'things', documents: [{}], ...txn }, 'IllegalOperation'],
    ['a snapshot', find({}, { readConcern: { level: 'snapshot' } }), 'NotImplemented'],
    ['a write concern of two servers', { insert: 'things', documents: [{}], writeConcern: { w: 2 } }, 'BadValue'],
    ['$where', find({ $where: 'true' }), 'BadValue'],
    ['$text', find({ $text: { $search: 'x' } }), 'BadValue'],
    ['$jsonSchema', find({ $jsonSchema: {} }), 'BadValue'],
    ['$near', find({ a: { $near: [1, 2] } }), 'BadValue'],
    ['$bitsAllSet', find({ a: { $bitsAllSet: 1 } }), 'BadValue'],
    ['an operator among fields', find({ a: { $gt: 1, b: 1 } }), 'BadValue'],
    ['an empty $or', find({ $or: [] }), 'BadValue'],
    ['a regular expression that JavaScript reads otherwise', find({ s: { $regex: '\\Ax' } }), 'NotImplemented'],
    ['an extended regular expression', find({ s: { $regex: 'x', $options: 'x' } }), 'NotImplemented'],
    ['a POSIX class', find({ s: { $regex: '[[:alpha:]]' } }), 'NotImplemented'],
    ['a possessive quantifier', find({ s: { $regex: 'x++' } }), 'BadValue'],
    ['an unclosed group', find({ s: { $regex: '(x' } }), 'BadValue'],
    ['a sort in no direction', find({}, { sort: { a: 2 } }), 'Location15975'],
    ['a sort by score', find({}, { sort: { a: { $meta: 'textScore' } } }), 'Location15975'],
    ['a negative skip', find({}, { skip: -1 }), 'Location51024'],
    ['a limit of text', find({}, { limit: 'x' }), 'TypeMismatch'],
    ['a filter that is none', { find: 'things', filter: 5 }, 'TypeMismatch'],
    ['the positional projection', find({ a: 1 }, { projection: { 'a.$': 1 } }), 'NotImplemented'],
    ['paths that meet', find({}, { projection: { 'a.b': 1, a: 1 } }), 'Location31250'],
    ['$lookup', aggregate({ $lookup: { from: 'x' } }), 'Location40324'],
    ['$out', aggregate({ $out: 'x' }), 'Location40324'],
    ['$facet', aggregate({ $facet: {} }), 'Location40324'],
    ['an aggregation without a collection', { aggregate: 1, pipeline: [], cursor: {} }, 'NotImplemented'],
    ['an aggregation that is to be explained', { aggregate: 'things', pipeline: [], explain: true }, 'NotImplemented'],
    ['an accumulator', aggregate({ $group: { _id: 1, x: { $stdDevPop: '$n' } } }), 'Location15952'],
    ['an expression', project({ $function: { body: '' } }), 'Location168'],
    ['a variable', project('$$nonsense'), 'Location17276'],
    ['a time zone', project({ $dateToString: { date: new Date(), timezone: 'Europe/Berlin' } }), 'NotImplemented'],
    ['a date format', project({ $dateToString: { date: new Date(), format: '%V' } }), 'NotImplemented'],
    ['a sum of Decimal128', project({ $add: [Decimal128.fromString('1'), 1] }), 'NotImplemented'],
    ['a division by zero', project({ $divide: [1, 0] }), 'BadValue'],
    ['a limit of none', aggregate({ $limit: 0 }), 'Location15958'],
    ['a capped collection', { create: 'c', capped: true, size: 1_000 }, 'NotImplemented'],
    ['a validator', { create: 'c', validator: { a: 1 } }, 'NotImplemented'],
    ['a time series', { create: 'c', timeseries: { timeField: 't' } }, 'NotImplemented'],
    ['a view', { create: 'c', viewOn: 'things', pipeline: [] }, 'NotImplemented'],
    ['a text index', index({ a: 'text' }), 'NotImplemented'],
    ['a geographic index', index({ a: '2dsphere' }), 'NotImplemented'],
    ['a wildcard index', index({ '$**': 1 }), 'CannotCreateIndex'],
    ['an index with a collation', index({ a: 1 }, { collation: { locale: 'de' } }), 'NotImplemented'],
    ['a TTL index of two fields', index({ a: 1, b: 1 }, { expireAfterSeconds: 1 }), 'CannotCreateIndex'],
    ['an empty collection name', { insert: '', documents: [{}] }, 'InvalidNamespace'],
    ['a $ in a collection name', { insert: 'a$b', documents: [{}] }, 'InvalidNamespace'],
    ['system collections', { insert: 'system.users', documents: [{}] }, 'InvalidNamespace'],
    ['a long collection name', { insert: 'x'.repeat(250), documents: [{}] }, 'InvalidNamespace'],
    ['an insert of nothing', { insert: 'things', documents: [] }, 'InvalidLength'],
    ['databases listed elsewhere', { listDatabases: 1 }, 'Unauthorized'],
    ['dropping the index on _id', { dropIndexes: 'things', index: '_id_' }, 'InvalidOptions'],
    ['a log that there is not', { getLog: 'nonsense' }, 'InvalidOptions'],
  ];
  for (const [name, command, codeName] of cases) {
    it(name, async () => {
      const error = await rejection(db().command(command), MongoServerError);
      strictEqual(error.codeName, codeName, error.message);
    });
  }

  const items: [string, Document, number][] = [
    ['an update by a pipeline', update([{ $set: { a: 1 } }]), 238],
    ['the positional operator', update({ $set: { 'a.$': 1 } }), 238],
    ['every element at once', update({ $set: { 'a.$[]': 1 } }), 238],
    ['a collation', update({ $set: { b: 1 } }, { collation: { locale: 'de' } }), 238],
    ['array filters', update({ $set: { b: 1 } }, { arrayFilters: [{ x: 1 }] }), 238],
    ['$bit', update({ $bit: { n: { and: 1 } } }), 9],
    ['a replacement of many', update({ b: 1 }, { multi: true }), 9],
    ['operators in a replacement', update({ b: 1, $set: { c: 1 } }), 52],
    ['an empty path', update({ $set: { 'a..b': 1 } }), 56],
    ['a push to what is no array', update({ $push: { s: 1 } }), 2],
    ['an _id with operators', { insert: 'things', documents: [{ _id: { $a: 1 } }] }, 52],
  ];
  for (const [name, command, code] of items) {
    it(`${name}, as the error of that item`, async () => {
      const { writeErrors } = (await db().command(command)) as { writeErrors: Document[] };
      deepStrictEqual(
        writeErrors.map((error) => [error['index'], error['code']] as unknown[]),
        [[0, code]],
      );
      deepStrictEqual(await db().collection<Thing>('things').findOne({}), { _id: 1, a: [1], s: 'x', n: 1 });
    });
  }

  it('a document beyond 16 MiB that an update makes', async () => {
    const things = db().collection<Thing>('things');
    const half = 'x'.repeat(9 * 2 ** 20);
    await things.updateOne({}, { $set: { half } });
    strictEqual((await rejection(things.updateOne({}, { $set: { other: half } }), MongoServerError)).code, 10334);
    ok(((await things.findOne({ other: { $exists: true } })) ?? undefined) === undefined);
  });

  it('a sort of more than 100 MiB, but not with a limit', async () => {
    const large = db().collection<Thing>('large');
    for (let n = 0; n < 11; n++) await large.insertOne({ _id: n, n, blob: Buffer.alloc(10_000_000) });
    const error = await rejection(large.find().sort({ n: 1 }).toArray(), MongoServerError);
    strictEqual(error.codeName, 'QueryExceededMemoryLimitNoDiskUseAllowed');
    const found = await large
      .find({}, { projection: { n: 1 } })
      .sort({ n: -1 })
      .limit(1)
      .toArray();
    strictEqual(found[0]?.['n'], 10);
  });

  it('transactions, in the words by which the driver knows them', async () => {
    const session = db().client.startSession();
    try {
      session.startTransaction();
      const error = await rejection(db().collection('things').insertOne({}, { session }), MongoServerError);
      strictEqual((error['originalError'] as MongoServerError).code, 20);
    } finally {
      await session.endSession().catch(() => undefined);
    }
  });
});
