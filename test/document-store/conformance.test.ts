/**
 * The same cases against our store and against FerretDB, an implementation that is not ours: each must hold on both.
 * What only one of them has is tested elsewhere.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import {
  Binary,
  Double,
  Long,
  MongoBulkWriteError,
  MongoServerError,
  ObjectId,
  Timestamp,
  type AnyBulkWriteOperation,
  type Collection,
  type Document,
  type Filter,
} from 'mongodb';
import { mongoServers } from '../servers/mongo.js';
import { describeWithServer, type TestServer } from '../servers/server.js';
import { rejection, useDatabase, type Thing } from './database.js';

function conformance(server: () => TestServer): void {
  const db = useDatabase(server);
  const things = (): Collection<Thing> => db().collection<Thing>('things');

  async function ids(filter: Filter<Thing>): Promise<unknown[]> {
    return (await things().find(filter).sort({ _id: 1 }).toArray()).map(({ _id }) => _id);
  }

  describe('inserting', () => {
    it('gives back what went in, of every type and in its order', async () => {
      const doc: Thing = {
        _id: new ObjectId(),
        text: 'Grüße, 世界 🌍',
        integer: 42,
        whole: new Double(1),
        double: 20.5,
        long: Long.fromString('9007199254740993'),
        yes: true,
        nothing: null,
        time: new Date('2026-01-02T03:04:05.678Z'),
        nested: { b: 1, a: { c: [1, 'two', { three: 3 }] } },
        empty: {},
        none: [],
        bytes: new Binary(Buffer.from([0, 1, 255])),
        regex: /^a.b$/i,
        timestamp: new Timestamp({ t: 5, i: 7 }),
      };
      await things().insertOne(doc);
      const found = await things().findOne({ _id: doc._id }, { promoteValues: false });
      deepStrictEqual(Object.keys(found ?? {}), Object.keys(doc));
      const plain = await things().findOne({ _id: doc._id }, { promoteLongs: false });
      deepStrictEqual(plain, { ...doc, whole: 1 });
      strictEqual((found?.['whole'] as { _bsontype: string })._bsontype, 'Double');
    });

    it('reports an E11000 for each document of an unordered insert, and stores the others', async () => {
      await things().insertOne({ _id: 'b' });
      const docs = ['a', 'b', 'c', 'a', 'd'].map((_id) => ({ _id }));
      const error = await rejection(things().insertMany(docs, { ordered: false }), MongoBulkWriteError);
      strictEqual(error.code, 11000);
      strictEqual(error.insertedCount, 3);
      const failures = [error.writeErrors].flat().map(({ index, code, errmsg }) => ({ index, code, errmsg }));
      const errmsg = (id: string): string =>
        `E11000 duplicate key error collection: ${db().databaseName}.things index: _id_ dup key: { _id: "${id}" }`;
      deepStrictEqual(
        failures.map(({ index, code }) => ({ index, code })),
        [
          { index: 1, code: 11000 },
          { index: 3, code: 11000 },
        ],
      );
      for (const [at, id] of ['b', 'a'].entries()) {
        // FerretDB leaves out the key.
        ok(errmsg(id).startsWith(failures[at]?.errmsg ?? '-'), failures[at]?.errmsg);
      }
      deepStrictEqual(await ids({}), ['a', 'b', 'c', 'd']);
    });

    it('stops an ordered insert at the first duplicate', async () => {
      const docs = ['a', 'b', 'a', 'c'].map((_id) => ({ _id }));
      const error = await rejection(things().insertMany(docs), MongoBulkWriteError);
      strictEqual(error.insertedCount, 2);
      deepStrictEqual(
        [error.writeErrors].flat().map(({ index }) => index),
        [2],
      );
      deepStrictEqual(await ids({}), ['a', 'b']);
    });

    it('takes a thousand documents at once', async () => {
      const docs = Array.from({ length: 1_000 }, (_, _id) => ({ _id, value: _id / 10 }));
      const { insertedCount } = await things().insertMany(docs);
      strictEqual(insertedCount, 1_000);
      strictEqual(await things().countDocuments({}), 1_000);
      strictEqual(await things().estimatedDocumentCount(), 1_000);
    });

    it('refuses an _id that is an array or a regular expression', async () => {
      for (const _id of [[1], /a/]) {
        const error = await rejection(
          db()
            .collection('things')
            .insertOne({ _id } as Document),
          MongoServerError,
        );
        ok(error.code === 2 || error.code === 53, `code ${String(error.code)}`);
      }
    });

    it('acknowledges w: majority', async () => {
      const { acknowledged } = await things().insertOne({ _id: 1 }, { writeConcern: { w: 'majority', journal: true } });
      strictEqual(acknowledged, true);
    });
  });

  describe('filters', () => {
    const docs: Thing[] = [
      { _id: 1, n: 1, s: 'apple', tags: ['red', 'fruit'], sub: { a: 1, b: 2 }, when: new Date(1_000) },
      { _id: 2, n: 2.5, s: 'Banana', tags: ['yellow'], sub: { a: 2 }, when: new Date(2_000) },
      { _id: 3, n: Long.fromNumber(3), s: 'cherry', tags: [], sub: { a: null } },
      {
        _id: 4,
        n: null,
        s: 'date',
        list: [
          { x: 1, y: 1 },
          { x: 2, y: 5 },
        ],
      },
      { _id: 5, s: 'elder\nberry', list: [{ x: 3, y: 5 }], tags: ['red', 'red', 'blue'] },
      { _id: 6, n: '2', s: 5, flag: true },
      { _id: 7, n: [1, 20], s: 'fig', flag: false },
    ];
    const cases: [string, Filter<Thing>, number[]][] = [
      ['equality', { n: 1 }, [1, 7]],
      ['equality across the types of numbers', { n: new Double(3) }, [3]],
      ['equality with null: null or missing', { n: null }, [4, 5]],
      ['equality with a document: all of it, in its order', { sub: { a: 1, b: 2 } }, [1]],
      ['equality with a document in another order', { sub: { b: 2, a: 1 } }, []],
      ['equality with an array', { tags: ['yellow'] }, [2]],
      ['an element of an array', { tags: 'red' }, [1, 5]],
      ['a dotted path', { 'sub.a': 2 }, [2]],
      ['a dotted path to null', { 'sub.a': null }, [3, 4, 5, 6, 7]],
      ['a dotted path through an array', { 'list.x': 3 }, [5]],
      ['a position in an array', { 'tags.1': 'fruit' }, [1]],
      ['a position, and on from there', { 'list.0.y': 5 }, [5]],
      ['$gt among its own type', { n: { $gt: 1 } }, [2, 3, 7]],
      ['$gte', { n: { $gte: 2.5 } }, [2, 3, 7]],
      ['$lt', { n: { $lt: 2.5 } }, [1, 7]],
      ['$lte', { n: { $lte: 2.5 } }, [1, 2, 7]],
      ['$gt of texts', { s: { $gt: 'apple' } }, [3, 4, 5, 7]],
      ['$gt of dates', { when: { $gt: new Date(1_500) } }, [2]],
      ['two bounds, which two elements may meet', { n: { $gt: 10, $lt: 5 } }, [7]],
      ['$ne', { n: { $ne: 1 } }, [2, 3, 4, 5, 6]],
      ['$in', { n: { $in: [1, '2', null] } }, [1, 4, 5, 6, 7]],
      ['$in with a regular expression', { s: { $in: [/^a/, 'fig'] } }, [1, 7]],
      ['$nin', { tags: { $nin: ['red', 'yellow'] } }, [3, 4, 6, 7]],
      ['$exists', { list: { $exists: true } }, [4, 5]],
      ['$exists: false', { n: { $exists: false } }, [5]],
      ['$type by name', { n: { $type: 'long' } }, [3]],
      ['$type number', { n: { $type: 'number' } }, [1, 2, 3, 7]],
      ['$type by number', { s: { $type: 16 } }, [6]],
      ['$not', { n: { $not: { $gte: 2 } } }, [1, 4, 5, 6]],
      ['$and', { $and: [{ n: { $gt: 0 } }, { s: 'Banana' }] }, [2]],
      ['$or', { $or: [{ _id: 1 }, { flag: true }] }, [1, 6]],
      ['$nor', { $nor: [{ _id: { $lt: 6 } }, { flag: true }] }, [7]],
      ['$size', { tags: { $size: 2 } }, [1]],
      ['$size 0', { tags: { $size: 0 } }, [3]],
      ['$all', { tags: { $all: ['red', 'blue'] } }, [5]],
      ['$elemMatch of values', { n: { $elemMatch: { $gt: 1, $lt: 30 } } }, [7]],
      ['a regular expression', { s: /^[a-c]/ }, [1, 3]],
      ['a regular expression without case', { s: /^b/i }, [2]],
      ['$regex with $options', { s: { $regex: '^BAN', $options: 'i' } }, [2]],
      ['a regular expression over lines', { s: { $regex: '^berry$', $options: 'm' } }, [5]],
      ['a regular expression whose dot takes no line end', { s: /elder.berry/ }, []],
      ['a regular expression whose dot takes all', { s: { $regex: 'elder.berry', $options: 's' } }, [5]],
      ['_id among several', { _id: { $in: [7, 1, 99] } }, [1, 7]],
      ['_id as another type of number', { _id: Long.fromNumber(4) }, [4]],
      ['a comment', { $comment: 'why', flag: true }, [6]],
    ];

    beforeEach(() => things().insertMany(docs));

    for (const [name, filter, expected] of cases) {
      it(name, async () => {
        deepStrictEqual(await ids(filter), expected);
        strictEqual(await things().countDocuments(filter), expected.length);
      });
    }

    it('refuses an operator that there is not', async () => {
      strictEqual((await rejection(ids({ n: { $near: 1 } }), MongoServerError)).code, 2);
      ok((await rejection(ids({ $nonsense: 1 }), MongoServerError)).code);
    });
  });

  describe('finding', () => {
    const docs: Thing[] = [
      { _id: 1, a: 3, b: 'x', sub: { k: 1, l: 2 }, list: [{ p: 1, q: 2 }, { p: 3 }, 5] },
      { _id: 2, a: 1, b: 'y' },
      { _id: 3, a: 2, b: 'x' },
      { _id: 4, b: 'z' },
      { _id: 5, a: 'text', b: 'x' },
    ];
    beforeEach(() => things().insertMany(docs));

    async function order(sort: Record<string, 1 | -1>): Promise<unknown[]> {
      return (await things().find().sort(sort).toArray()).map(({ _id }) => _id);
    }

    it('sorts, null before numbers before texts', async () => {
      deepStrictEqual(await order({ a: 1 }), [4, 2, 3, 1, 5]);
      deepStrictEqual(await order({ a: -1 }), [5, 1, 3, 2, 4]);
    });

    it('sorts by several fields', async () => {
      deepStrictEqual(await order({ b: 1, a: -1 }), [5, 1, 3, 2, 4]);
    });

    it('skips and limits', async () => {
      const found = await things().find().sort({ _id: 1 }).skip(1).limit(2).toArray();
      deepStrictEqual(
        found.map(({ _id }) => _id),
        [2, 3],
      );
      deepStrictEqual(await things().find().sort({ _id: -1 }).limit(1).toArray(), [docs[4]]);
      strictEqual(await things().countDocuments({}, { skip: 1, limit: 3 }), 3);
    });

    const projections: [string, Document, Document][] = [
      ['of fields', { b: 1 }, { _id: 1, b: 'x' }],
      ['without _id', { b: 1, _id: 0 }, { b: 'x' }],
      ['leaving out', { list: 0, sub: 0 }, { _id: 1, a: 3, b: 'x' }],
      ['of a path', { 'sub.l': 1 }, { _id: 1, sub: { l: 2 } }],
      ['of a path through an array', { 'list.p': 1 }, { _id: 1, list: [{ p: 1 }, { p: 3 }] }],
      ['leaving out a path', { 'sub.k': 0, list: 0 }, { _id: 1, a: 3, b: 'x', sub: { l: 2 } }],
    ];
    for (const [name, projection, expected] of projections) {
      it(`projects ${name}`, async () => {
        deepStrictEqual(await things().findOne({ _id: 1 }, { projection }), expected);
      });
    }

    it('refuses a projection that both takes and leaves out', async () => {
      await rejection(things().findOne({}, { projection: { a: 1, b: 0 } }), MongoServerError);
    });

    it('gives a large result in batches', async () => {
      const many = Array.from({ length: 1_000 }, (_, n) => ({ _id: n + 100, n }));
      await things().insertMany(many);
      const cursor = things().find({ n: { $exists: true } }, { batchSize: 64 });
      let count = 0;
      for await (const doc of cursor) strictEqual(doc['n'], count++);
      strictEqual(count, 1_000);
    });

    it('closes a cursor that is not read to its end', async () => {
      const cursor = things().find({}, { batchSize: 2 });
      await cursor.next();
      await cursor.close();
    });

    it('does not know a cursor that there is not', async () => {
      const error = await rejection(
        db().command({ getMore: Long.fromString('1234567890123'), collection: 'things' }),
        MongoServerError,
      );
      strictEqual(error.code, 43);
      strictEqual(error.codeName, 'CursorNotFound');
    });

    it('gives the values that are distinct', async () => {
      deepStrictEqual((await things().distinct('b')).sort(), ['x', 'y', 'z']);
      deepStrictEqual((await things().distinct('b', { a: { $lt: 3 } })).sort(), ['x', 'y']);
      deepStrictEqual(await things().distinct('sub.k'), [1]);
    });

    it('finds nothing where nothing is', async () => {
      const nowhere = db().collection('nowhere');
      deepStrictEqual(await nowhere.find().toArray(), []);
      strictEqual(await nowhere.countDocuments(), 0);
      strictEqual(await nowhere.estimatedDocumentCount(), 0);
      deepStrictEqual((await nowhere.updateOne({}, { $set: { a: 1 } })).matchedCount, 0);
      deepStrictEqual((await nowhere.deleteMany({})).deletedCount, 0);
      deepStrictEqual(await nowhere.distinct('a'), []);
    });
  });

  describe('updating', () => {
    async function updated(before: Document, update: Document): Promise<Document | null> {
      await things().deleteMany({});
      await things().insertOne({ _id: 1, ...before });
      await things().updateOne({ _id: 1 }, update);
      return things().findOne({ _id: 1 }, { projection: { _id: 0 } });
    }
    const cases: [string, Document, Document, Document][] = [
      ['$set', { a: 1 }, { $set: { a: 2, b: 'new' } }, { a: 2, b: 'new' }],
      ['$set of a path, made as it goes', {}, { $set: { 'x.y.z': 1 } }, { x: { y: { z: 1 } } }],
      ['$set of a position', { a: [1, 2, 3] }, { $set: { 'a.1': 'two' } }, { a: [1, 'two', 3] }],
      ['$unset', { a: 1, b: { c: 1, d: 2 } }, { $unset: { a: '', 'b.c': '' } }, { b: { d: 2 } }],
      ['$inc', { a: 1 }, { $inc: { a: 2, b: -5 } }, { a: 3, b: -5 }],
      ['$inc of a double', { a: 1.5 }, { $inc: { a: 1 } }, { a: 2.5 }],
      ['$mul', { a: 3 }, { $mul: { a: 2.5, b: 4 } }, { a: 7.5, b: 0 }],
      ['$min', { a: 5, b: 5 }, { $min: { a: 3, b: 9, c: 1 } }, { a: 3, b: 5, c: 1 }],
      ['$max', { a: 5, b: 5 }, { $max: { a: 3, b: 9, c: 1 } }, { a: 5, b: 9, c: 1 }],
      ['$rename', { a: 1, b: 2 }, { $rename: { a: 'c' } }, { b: 2, c: 1 }],
      ['$push', { a: [1] }, { $push: { a: 2, b: 'first' } }, { a: [1, 2], b: ['first'] }],
      ['$push with $each', { a: [1] }, { $push: { a: { $each: [2, 3] } } }, { a: [1, 2, 3] }],
      ['$addToSet', { a: [1, 2] }, { $addToSet: { a: 2, b: 1 } }, { a: [1, 2], b: [1] }],
      ['$addToSet with $each', { a: [1] }, { $addToSet: { a: { $each: [1, 5, 5] } } }, { a: [1, 5] }],
      ['$pop', { a: [1, 2, 3], b: [1, 2] }, { $pop: { a: 1, b: -1 } }, { a: [1, 2], b: [2] }],
      ['$pull', { a: [1, 2, 1, 3] }, { $pull: { a: 1 } }, { a: [2, 3] }],
      ['$pullAll', { a: [1, 2, 3, 1] }, { $pullAll: { a: [1, 3] } }, { a: [2] }],
    ];
    for (const [name, doc, update, expected] of cases) {
      it(name, async () => deepStrictEqual(await updated(doc, update), expected));
    }

    it('$currentDate', async () => {
      const doc = await updated({}, { $currentDate: { at: true } });
      ok(Math.abs((doc?.['at'] as Date).getTime() - Date.now()) < 10_000);
    });

    it('counts what matched and what changed', async () => {
      await things().insertMany([
        { _id: 1, a: 1 },
        { _id: 2, a: 2 },
        { _id: 3, a: 2 },
      ]);
      const { matchedCount, modifiedCount } = await things().updateMany({}, { $set: { a: 2 } });
      deepStrictEqual({ matchedCount, modifiedCount }, { matchedCount: 3, modifiedCount: 1 });
      strictEqual((await things().updateOne({ a: 2 }, { $set: { b: 1 } })).modifiedCount, 1);
      strictEqual(await things().countDocuments({ b: 1 }), 1);
    });

    it('replaces a document and keeps its _id', async () => {
      await things().insertOne({ _id: 1, a: 1, b: 2 });
      await things().replaceOne({ a: 1 }, { c: 3 });
      deepStrictEqual(await things().findOne({}), { _id: 1, c: 3 });
    });

    it('inserts when nothing matches, with the fields of the filter and of $setOnInsert', async () => {
      const update = { $set: { b: 2 }, $setOnInsert: { created: true }, $inc: { n: 1 } };
      const first = await things().updateOne({ _id: 'x', a: 1 }, update, { upsert: true });
      deepStrictEqual([first.upsertedId, first.upsertedCount, first.matchedCount], ['x', 1, 0]);
      deepStrictEqual(await things().findOne({}), { _id: 'x', a: 1, b: 2, created: true, n: 1 });
      await things().updateOne({ _id: 'x', a: 1 }, { ...update, $setOnInsert: { created: false } }, { upsert: true });
      deepStrictEqual(await things().findOne({}), { _id: 'x', a: 1, b: 2, created: true, n: 2 });
    });

    it('inserts a replacement when nothing matches', async () => {
      const { upsertedId } = await things().replaceOne({ _id: 9 }, { a: 1 }, { upsert: true });
      strictEqual(upsertedId, 9);
      deepStrictEqual(await things().findOne({}), { _id: 9, a: 1 });
    });

    it('runs mixed operations in bulk', async () => {
      const operations: AnyBulkWriteOperation<Thing>[] = [
        { insertOne: { document: { _id: 1, a: 1 } } },
        { updateOne: { filter: { _id: 1 }, update: { $inc: { a: 10 } } } },
        { updateOne: { filter: { _id: 2 }, update: { $set: { a: 5 } }, upsert: true } },
        { insertOne: { document: { _id: 3 } } },
        { deleteOne: { filter: { _id: 3 } } },
        { replaceOne: { filter: { _id: 2 }, replacement: { z: 1 } } },
      ];
      const result = await things().bulkWrite(operations);
      deepStrictEqual(
        [result.insertedCount, result.matchedCount, result.upsertedCount, result.deletedCount],
        [2, 2, 1, 1],
      );
      deepStrictEqual(await things().find().sort({ _id: 1 }).toArray(), [
        { _id: 1, a: 11 },
        { _id: 2, z: 1 },
      ]);
    });

    it('does not let an update change _id', async () => {
      await things().insertOne({ _id: 1 });
      strictEqual((await rejection(things().updateOne({ _id: 1 }, { $set: { _id: 2 } }), MongoServerError)).code, 66);
    });

    it('refuses two operators on one path', async () => {
      const update = { $set: { a: 1 }, $inc: { a: 1 } };
      strictEqual((await rejection(things().updateOne({}, update, { upsert: true }), MongoServerError)).code, 40);
    });

    it('refuses arithmetic on what is no number', async () => {
      await things().insertOne({ _id: 1, a: 'text' });
      strictEqual((await rejection(things().updateOne({}, { $inc: { a: 1 } }), MongoServerError)).code, 14);
    });

    it('refuses an operator that there is not', async () => {
      strictEqual((await rejection(things().updateOne({}, { $nonsense: { a: 1 } }), MongoServerError)).code, 9);
    });
  });

  describe('deleting', () => {
    beforeEach(() => things().insertMany([1, 2, 3, 4].map((_id) => ({ _id, odd: _id % 2 === 1 }))));

    it('deletes one, or all that match', async () => {
      strictEqual((await things().deleteOne({ odd: true })).deletedCount, 1);
      strictEqual((await things().deleteMany({ odd: false })).deletedCount, 2);
      strictEqual(await things().countDocuments(), 1);
      strictEqual(await things().estimatedDocumentCount(), 1);
    });
  });

  describe('finding and changing in one step', () => {
    beforeEach(() => things().insertMany([3, 1, 2].map((n) => ({ _id: n, n, state: 'open' }))));

    it('updates the first in the order of a sort', async () => {
      const before = await things().findOneAndUpdate(
        { state: 'open' },
        { $set: { state: 'done' } },
        { sort: { n: 1 } },
      );
      deepStrictEqual(before, { _id: 1, n: 1, state: 'open' });
      const after = await things().findOneAndUpdate(
        { state: 'open' },
        { $set: { state: 'done' } },
        { sort: { n: -1 }, returnDocument: 'after' },
      );
      deepStrictEqual(after, { _id: 3, n: 3, state: 'done' });
    });

    it('inserts when nothing matches', async () => {
      const options = { upsert: true, returnDocument: 'after' } as const;
      const doc = await things().findOneAndUpdate({ _id: 9 }, { $setOnInsert: { a: 1 } }, options);
      deepStrictEqual(doc, { _id: 9, a: 1 });
    });

    it('replaces, deletes, and gives null for nothing', async () => {
      deepStrictEqual(await things().findOneAndReplace({ _id: 1 }, { z: 1 }), { _id: 1, n: 1, state: 'open' });
      deepStrictEqual(await things().findOneAndDelete({ _id: 2 }), { _id: 2, n: 2, state: 'open' });
      strictEqual(await things().findOneAndDelete({ _id: 2 }), null);
      strictEqual(await things().findOneAndUpdate({ _id: 2 }, { $set: { a: 1 } }), null);
      deepStrictEqual(await ids({}), [1, 3]);
    });
  });

  describe('aggregating', () => {
    beforeEach(() =>
      things().insertMany(
        Array.from({ length: 12 }, (_, n) => ({ _id: n, device: `d${n % 3}`, value: n, text: n % 2 ? 'odd' : 'even' })),
      ),
    );

    it('groups, sums and sorts', async () => {
      const pipeline = [
        { $match: { value: { $gte: 3 } } },
        { $group: { _id: '$device', total: { $sum: '$value' } } },
        { $sort: { _id: -1 } },
      ];
      deepStrictEqual(await things().aggregate(pipeline).toArray(), [
        { _id: 'd2', total: 24 },
        { _id: 'd1', total: 21 },
        { _id: 'd0', total: 18 },
      ]);
    });

    it('projects, skips and limits', async () => {
      const pipeline = [{ $sort: { _id: 1 } }, { $skip: 2 }, { $limit: 2 }, { $project: { value: 1, _id: 0 } }];
      deepStrictEqual(await things().aggregate(pipeline).toArray(), [{ value: 2 }, { value: 3 }]);
    });

    it('counts', async () => {
      deepStrictEqual(
        await things()
          .aggregate([{ $match: { device: 'd1' } }, { $count: 'n' }])
          .toArray(),
        [{ n: 4 }],
      );
      deepStrictEqual(
        await things()
          .aggregate([{ $match: { device: 'none' } }, { $count: 'n' }])
          .toArray(),
        [],
      );
    });

    it('unwinds arrays', async () => {
      await things().insertOne({ _id: 'list', list: ['a', 'b'] });
      const pipeline = [{ $unwind: '$list' }, { $project: { list: 1 } }];
      deepStrictEqual(await things().aggregate(pipeline).toArray(), [
        { _id: 'list', list: 'a' },
        { _id: 'list', list: 'b' },
      ]);
    });

    it('removes fields', async () => {
      const pipeline = [{ $match: { _id: 1 } }, { $unset: ['text', 'value'] }];
      deepStrictEqual(await things().aggregate(pipeline).toArray(), [{ _id: 1, device: 'd1' }]);
    });

    it('gives a large result in batches', async () => {
      const cursor = things().aggregate([{ $sort: { _id: 1 } }], { batchSize: 5 });
      deepStrictEqual(
        (await cursor.toArray()).map(({ _id }) => _id as number),
        Array.from({ length: 12 }, (_, n) => n),
      );
    });

    it('refuses a stage that there is not', async () => {
      await rejection(
        things()
          .aggregate([{ $nonsense: {} }])
          .toArray(),
        MongoServerError,
      );
    });
  });

  describe('indexes', () => {
    it('keeps a field unique', async () => {
      strictEqual(await things().createIndex({ name: 1 }, { unique: true }, {}), 'name_1');
      await things().insertOne({ _id: 1, name: 'a' });
      const error = await rejection(things().insertOne({ _id: 2, name: 'a' }), MongoServerError);
      strictEqual(error.code, 11000);
      await things().insertOne({ _id: 3, name: 'b' });
      await rejection(things().updateOne({ _id: 3 }, { $set: { name: 'a' } }), MongoServerError);
      await things().updateOne({ _id: 1 }, { $set: { name: 'c' } });
      await things().insertOne({ _id: 4, name: 'a' });
      await things().deleteOne({ _id: 4 });
      await things().insertOne({ _id: 5, name: 'a' });
    });

    it('refuses one that the documents do not allow', async () => {
      await things().insertMany([
        { _id: 1, name: 'a' },
        { _id: 2, name: 'a' },
      ]);
      await rejection(things().createIndex({ name: 1 }, { unique: true }, {}), MongoServerError);
      deepStrictEqual(
        (await things().indexes()).map(({ name }) => name),
        ['_id_'],
      );
    });

    it('lists and drops them', async () => {
      await things().createIndexes([{ key: { a: 1, b: -1 } }, { key: { c: 1 }, name: 'mine', unique: true }]);
      deepStrictEqual(await things().indexes(), [
        { v: 2, key: { _id: 1 }, name: '_id_' },
        { v: 2, key: { a: 1, b: -1 }, name: 'a_1_b_-1' },
        { v: 2, key: { c: 1 }, name: 'mine', unique: true },
      ]);
      await things().dropIndex('mine');
      await things().insertMany([
        { _id: 1, c: 1 },
        { _id: 2, c: 1 },
      ]);
      strictEqual((await rejection(things().dropIndex('mine'), MongoServerError)).code, 27);
      // Again, as programs do at each of their starts.
      await things().createIndex({ a: 1, b: -1 });
      strictEqual((await things().indexes()).length, 2);
    });

    it('has none where there is no collection', async () => {
      strictEqual((await rejection(db().collection('nowhere').indexes(), MongoServerError)).code, 26);
    });
  });

  describe('databases and collections', () => {
    it('creates, lists and drops collections', async () => {
      await db().createCollection('empty');
      await things().insertOne({ _id: 1 });
      const names = (await db().listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
      deepStrictEqual(names.sort(), ['empty', 'things']);
      deepStrictEqual(
        (await db().listCollections({ name: 'things' }).toArray()).map(({ name, type }) => [name, type]),
        [['things', 'collection']],
      );
      strictEqual((await rejection(db().createCollection('empty'), MongoServerError)).code, 48);
      await things().drop();
      deepStrictEqual(await ids({}), []);
      strictEqual((await db().listCollections().toArray()).length, 1);
    });

    it('lists and drops databases', async () => {
      await things().insertOne({ _id: 1 });
      const listed = async (): Promise<boolean> => {
        const { databases } = await db().admin().listDatabases();
        return databases.some(({ name }) => name === db().databaseName);
      };
      strictEqual(await listed(), true);
      await db().dropDatabase();
      strictEqual(await listed(), false);
    });

    it('knows no command that there is not', async () => {
      const error = await rejection(db().command({ nonsense: 1 }), MongoServerError);
      deepStrictEqual([error.code, error.codeName], [59, 'CommandNotFound']);
    });

    it('answers ping and buildInfo', async () => {
      strictEqual((await db().command({ ping: 1 }))['ok'], 1);
      ok(String((await db().admin().buildInfo())['version']).startsWith('7.0.'));
    });
  });
}

for (const { name, start } of mongoServers)
  describeWithServer(`the protocol, as ${name} speaks it`, start, conformance);
