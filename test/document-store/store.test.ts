/** What our store does where FerretDB has nothing to compare with, or is known to be wrong. */
import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  MongoBulkWriteError,
  MongoServerError,
  ObjectId,
  type Document,
} from 'mongodb';
import { compileFilter } from '../../runtime/embedded/document-store/query/filter.js';
import { Catalog } from '../../runtime/embedded/document-store/storage/catalog.js';
import { sweep } from '../../runtime/embedded/document-store/storage/expiry.js';
import { StoreFile } from '../../runtime/embedded/document-store/storage/file.js';
import { Cursors } from '../../runtime/embedded/document-store/cursors.js';
import { MAX_REPLY_BYTES } from '../../runtime/embedded/document-store/protocol/wire.js';
import { encode, encodeBatch } from '../../runtime/embedded/document-store/bson/encode.js';
import { Int32 as BsonInt32 } from 'bson';
import { rejection, useStore, type Thing } from './database.js';

describe('the embedded document store', () => {
  const db = useStore();
  const things = () => db().collection<Thing>('things');
  const insert = (...docs: Thing[]) => things().insertMany(docs);
  const ids = async (filter: Document): Promise<unknown[]> =>
    (await things().find(filter).sort({ _id: 1 }).toArray()).map(({ _id }) => _id as unknown);

  describe('Decimal128', () => {
    const dec = (text: string): Decimal128 => Decimal128.fromString(text);
    beforeEach(() =>
      insert({ _id: 1, n: dec('0.1') }, { _id: 2, n: dec('10') }, { _id: 3, n: 9 }, { _id: 4, n: dec('-1E+20') }),
    );

    it('is compared with the other numbers by value', async () => {
      deepStrictEqual(await ids({ n: { $gt: 9.5 } }), [2]);
      deepStrictEqual(await ids({ n: { $lt: Long.fromNumber(1) } }), [1, 4]);
      deepStrictEqual(await ids({ n: 10 }), [2]);
      deepStrictEqual(await ids({ n: dec('9.0') }), [3]);
      deepStrictEqual(
        (await things().find().sort({ n: 1 }).toArray()).map(({ _id }) => _id as unknown),
        [4, 1, 3, 2],
      );
    });

    it('is never summed approximately', async () => {
      const error = await rejection(
        things()
          .aggregate([{ $group: { _id: null, n: { $sum: '$n' } } }])
          .toArray(),
        MongoServerError,
      );
      strictEqual(error.codeName, 'NotImplemented');
      strictEqual((await rejection(things().updateOne({ _id: 1 }, { $inc: { n: 1 } }), MongoServerError)).code, 238);
      deepStrictEqual(
        await things()
          .aggregate([{ $group: { _id: null, n: { $max: '$n' } } }])
          .toArray(),
        [{ _id: null, n: dec('10') }],
      );
    });
  });

  it('tells 2^53 and 2^53 + 1 apart', async () => {
    await insert(
      { _id: 1, n: Long.fromString('9007199254740992') },
      { _id: 2, n: Long.fromString('9007199254740993') },
    );
    deepStrictEqual(await ids({ n: Long.fromString('9007199254740993') }), [2]);
    deepStrictEqual(await ids({ n: { $gt: new Double(9007199254740992) } }), [2]);
  });

  it('takes equal numbers of any type for one _id', async () => {
    await insert({ _id: 1 });
    for (const _id of [new Double(1), Long.fromNumber(1), Decimal128.fromString('1.0')]) {
      strictEqual((await rejection(insert({ _id }), MongoBulkWriteError)).code, 11000);
      strictEqual(await things().countDocuments({ _id }), 1);
    }
  });

  it('sorts all types in the order of BSON', async () => {
    const values = [new MinKey(), null, 1, 'a', { a: 1 }, ['z'], new ObjectId(), true, new Date(), /x/, new MaxKey()];
    await things().insertMany(values.map((value, _id) => ({ _id, value })).reverse());
    // An array is sorted by its least element, here a text.
    const expected = [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10];
    deepStrictEqual(
      (await things().find().sort({ value: 1 }).toArray()).map(({ _id }) => _id as unknown),
      expected,
    );
  });

  it('sorts arrays by their least element, or their greatest', async () => {
    await insert({ _id: 1, a: [5, 1] }, { _id: 2, a: 3 }, { _id: 3, a: [] }, { _id: 4, a: [2, 4] }, { _id: 5 });
    const order = async (direction: 1 | -1) =>
      (await things().find().sort({ a: direction }).toArray()).map(({ _id }) => _id as unknown);
    deepStrictEqual(await order(1), [3, 5, 1, 4, 2]);
    deepStrictEqual(await order(-1), [1, 4, 2, 5, 3]);
  });

  it('sorts by two fields of the same element', async () => {
    await insert(
      {
        _id: 1,
        l: [
          { a: 1, b: 9 },
          { a: 2, b: 0 },
        ],
      },
      { _id: 2, l: [{ a: 1, b: 5 }] },
    );
    const found = await things().find().sort({ 'l.a': 1, 'l.b': 1 }).toArray();
    deepStrictEqual(
      found.map(({ _id }) => _id as unknown),
      [2, 1],
    );
  });

  it('gives documents in the order of insertion, and backwards', async () => {
    await insert({ _id: 'b' }, { _id: 'a' }, { _id: 'c' });
    await things().updateOne({ _id: 'b' }, { $set: { large: 'x'.repeat(10_000) } });
    const natural = async (direction: 1 | -1) =>
      (
        await things()
          .find({}, { projection: { _id: 1 } })
          .sort({ $natural: direction })
          .toArray()
      ).map(({ _id }) => _id as unknown);
    deepStrictEqual(await natural(1), ['b', 'a', 'c']);
    deepStrictEqual(await natural(-1), ['c', 'a', 'b']);
  });

  it('keeps the order of fields, and of names that look like numbers', async () => {
    const raw = await things().insertOne({ _id: 5, z: 1, a: 2 });
    await things().updateOne({ _id: raw.insertedId }, { $set: { m: 3, '7': 1, '10': 1 } });
    const found = await db().collection('things', { raw: true }).findOne();
    const text = Buffer.from(found as unknown as Uint8Array).toString('latin1');
    ok(/_id.*z\0.*a\0.*7\0.*10\0.*m\0/s.test(text), text);
  });

  describe('filters that FerretDB has not', () => {
    beforeEach(() =>
      insert(
        {
          _id: 1,
          list: [
            { x: 1, y: 5 },
            { x: 2, y: 1 },
          ],
          n: [1, 20],
          deep: [[1, 2], [3]],
          price: 5,
          limit: 4,
        },
        { _id: 2, list: [{ x: 3, y: 5 }], n: 4, deep: [1], price: 3, limit: 4 },
        { _id: 3, list: [], 'dotted.key': 1, s: 'a\u00a0b', price: null },
      ),
    );
    const cases: [string, Document, number[]][] = [
      ['$elemMatch of documents', { list: { $elemMatch: { x: { $gt: 1 }, y: 5 } } }, [2]],
      ['$elemMatch with $or', { list: { $elemMatch: { $or: [{ x: 2 }, { x: 3 }] } } }, [1, 2]],
      ['$all of $elemMatch', { list: { $all: [{ $elemMatch: { x: 1 } }, { $elemMatch: { y: 1 } }] } }, [1]],
      ['$mod over arrays', { n: { $mod: [2, 0] } }, [1, 2]],
      ['an array in an array', { deep: [1, 2] }, [1]],
      ['null through an array: only where an element lacks it', { 'list.z': null }, [1, 2]],
      ['$expr, in which null is more than what is missing', { $expr: { $gt: ['$price', '$limit'] } }, [1, 3]],
      ['$not with a regular expression', { s: { $not: /a/ } }, [1, 2]],
      ['\\s, which is ASCII in PCRE', { s: /a\sb/ }, []],
      ['$type array', { n: { $type: 'array' } }, [1]],
      ['$gte MinKey', { price: { $gte: new MinKey() } }, [1, 2, 3]],
      ['a long $in', { price: { $in: [9, 8, 7, 6, 5, 4, 2, 1, 0, null] } }, [1, 3]],
      ['$eq with a pattern of operators inside', { $and: [{ _id: { $in: [1, 2] } }, { n: { $ne: 4 } }] }, [1]],
    ];
    for (const [name, filter, expected] of cases) it(name, async () => deepStrictEqual(await ids(filter), expected));
  });

  describe('aggregation', () => {
    const at = (minute: number, second: number): Date => new Date(Date.UTC(2026, 0, 2, 3, minute, second));
    beforeEach(() =>
      insert(
        { _id: 1, device: 'a', ts: at(0, 10), t: 20, tags: ['x', 'y'] },
        { _id: 2, device: 'a', ts: at(0, 50), t: 21.5, tags: [] },
        { _id: 3, device: 'b', ts: at(1, 5), t: null },
        { _id: 4, device: 'b', ts: at(1, 59), t: 10, tags: ['x'] },
      ),
    );
    const aggregate = (...pipeline: Document[]) => things().aggregate(pipeline).toArray();

    it('groups with every accumulator', async () => {
      const accumulators = {
        sum: { $sum: '$t' },
        avg: { $avg: '$t' },
        min: { $min: '$t' },
        max: { $max: '$t' },
        first: { $first: '$t' },
        last: { $last: '$t' },
        all: { $push: '$_id' },
        kinds: { $addToSet: '$device' },
        n: { $count: {} },
      };
      deepStrictEqual(await aggregate({ $group: { _id: '$device', ...accumulators } }, { $sort: { _id: 1 } }), [
        { _id: 'a', sum: 41.5, avg: 20.75, min: 20, max: 21.5, first: 20, last: 21.5, all: [1, 2], kinds: ['a'], n: 2 },
        { _id: 'b', sum: 10, avg: 10, min: 10, max: 10, first: null, last: 10, all: [3, 4], kinds: ['b'], n: 2 },
      ]);
    });

    it('groups by the minute', async () => {
      const minute = { $dateTrunc: { date: '$ts', unit: 'minute' } };
      const label = { $dateToString: { date: '$_id', format: '%Y-%m-%d %H:%M' } };
      deepStrictEqual(
        await aggregate(
          { $group: { _id: minute, n: { $sum: 1 } } },
          { $sort: { _id: 1 } },
          { $project: { n: 1, _id: 0, label } },
        ),
        [
          { n: 2, label: '2026-01-02 03:00' },
          { n: 2, label: '2026-01-02 03:01' },
        ],
      );
    });

    it('groups by a document, and by what is missing', async () => {
      deepStrictEqual(
        await aggregate({ $group: { _id: { d: '$device', gone: '$gone' }, n: { $sum: 1 } } }, { $sort: { _id: 1 } }),
        [
          { _id: { d: 'a' }, n: 2 },
          { _id: { d: 'b' }, n: 2 },
        ],
      );
      deepStrictEqual(await aggregate({ $group: { _id: '$gone', n: { $sum: 1 } } }), [{ _id: null, n: 4 }]);
    });

    it('gives a double as an average, and integers as a sum of integers', async () => {
      const [doc] = await things()
        .aggregate([{ $group: { _id: null, avg: { $avg: '$_id' }, sum: { $sum: '$_id' } } }], { promoteValues: false })
        .toArray();
      ok(doc?.['avg'] instanceof Double && doc['avg'].value === 2.5);
      ok(doc['sum'] instanceof Int32 && doc['sum'].value === 10);
    });

    it('computes fields', async () => {
      const project = {
        _id: 0,
        up: { $toUpper: '$device' },
        f: { $round: [{ $add: [{ $multiply: ['$t', 1.8] }, 32] }, 1] },
        warm: { $cond: [{ $gte: ['$t', 21] }, 'yes', 'no'] },
        or: { $ifNull: ['$gone', 'none'] },
        hour: { $hour: '$ts' },
        count: { $size: '$tags' },
      };
      deepStrictEqual(await aggregate({ $match: { device: 'a' } }, { $project: project }), [
        { up: 'A', f: 68, warm: 'no', or: 'none', hour: 3, count: 2 },
        { up: 'A', f: 70.7, warm: 'yes', or: 'none', hour: 3, count: 0 },
      ]);
    });

    it('adds fields beside and below others', async () => {
      deepStrictEqual(
        await aggregate({ $match: { _id: 1 } }, { $set: { from: '$device', 'sub.t': '$t', tags: '$$REMOVE' } }),
        [{ _id: 1, device: 'a', ts: at(0, 10), t: 20, from: 'a', sub: { t: 20 } }],
      );
    });

    it('unwinds with an index, and keeps what is empty when asked', async () => {
      const unwind = { $unwind: { path: '$tags', includeArrayIndex: 'at', preserveNullAndEmptyArrays: true } };
      deepStrictEqual(await aggregate(unwind, { $project: { tags: 1, at: 1 } }), [
        { _id: 1, tags: 'x', at: 0 },
        { _id: 1, tags: 'y', at: 1 },
        { _id: 2, at: null },
        { _id: 3, at: null },
        { _id: 4, tags: 'x', at: 0 },
      ]);
    });

    it('counts by value, and replaces the root', async () => {
      deepStrictEqual(await aggregate({ $unwind: '$tags' }, { $sortByCount: '$tags' }), [
        { _id: 'x', count: 2 },
        { _id: 'y', count: 1 },
      ]);
      deepStrictEqual(await aggregate({ $match: { _id: 1 } }, { $replaceWith: { only: '$device' } }), [{ only: 'a' }]);
    });

    it('sorts with a limit as without one', async () => {
      await things().insertMany(Array.from({ length: 5_000 }, (_, n) => ({ _id: 100 + n, n: (n * 7919) % 5_000 })));
      const found = await aggregate(
        { $match: { n: { $exists: true } } },
        { $sort: { n: -1 } },
        { $skip: 2 },
        { $limit: 3 },
      );
      deepStrictEqual(
        found.map(({ n }) => n as unknown),
        [4_997, 4_996, 4_995],
      );
    });
  });

  describe('projections', () => {
    it("has find's operators for arrays", async () => {
      await insert({ _id: 1, a: [1, 2, 3, 4], l: [{ x: 1 }, { x: 2 }], z: 0 });
      const found = (projection: Document) => things().findOne({}, { projection });
      deepStrictEqual(await found({ a: { $slice: 2 }, l: 0, z: 0 }), { _id: 1, a: [1, 2] });
      deepStrictEqual(await found({ a: { $slice: [1, 2] }, l: 0, z: 0 }), { _id: 1, a: [2, 3] });
      deepStrictEqual(await found({ a: { $slice: -1 }, l: 0, z: 0 }), { _id: 1, a: [4] });
      deepStrictEqual(await found({ l: { $elemMatch: { x: 2 } } }), { _id: 1, l: [{ x: 2 }] });
      deepStrictEqual(await found({ copy: '$z', _id: 0 }), { copy: 0 });
    });
  });

  describe('updates', () => {
    it('adds new fields in the order of their names', async () => {
      await insert({ _id: 1 });
      await things().updateOne({}, { $set: { c: 1, a: 1 }, $inc: { b: 1 } });
      deepStrictEqual(Object.keys((await things().findOne()) ?? {}), ['_id', 'a', 'b', 'c']);
    });

    it('pushes with $each, $position, $slice and $sort', async () => {
      await insert({ _id: 1, a: [3, 1] });
      await things().updateOne({}, { $push: { a: { $each: [2, 9], $sort: -1, $slice: 3 } } } as Document);
      deepStrictEqual((await things().findOne())?.['a'], [9, 3, 2]);
      await things().updateOne({}, { $push: { a: { $each: ['first'], $position: 0 } } } as Document);
      deepStrictEqual((await things().findOne())?.['a'], ['first', 9, 3, 2]);
    });

    it('pulls by a condition', async () => {
      await insert({ _id: 1, n: [1, 5, 9], l: [{ x: 1, y: 1 }, { x: 2 }] });
      await things().updateOne({}, { $pull: { n: { $gte: 5 }, l: { x: 1 } } } as Document);
      deepStrictEqual(await things().findOne(), { _id: 1, n: [1], l: [{ x: 2 }] });
    });

    it('keeps the type of a number', async () => {
      await insert({ _id: 1, int: 1, long: Long.fromNumber(1), double: new Double(1) });
      await things().updateOne({}, { $inc: { int: 1, long: 1, double: 1 } });
      const doc = await things().findOne({}, { promoteValues: false });
      deepStrictEqual(
        [doc?.['int'], doc?.['long'], doc?.['double']],
        [new Int32(2), Long.fromNumber(2), new Double(2)],
      );
    });

    it('leaves a document as it was when one operator is refused', async () => {
      await insert({ _id: 1, a: 1, z: 'text' });
      await rejection(things().updateOne({}, { $inc: { a: 1, z: 1 } }), MongoServerError);
      deepStrictEqual(await things().findOne(), { _id: 1, a: 1, z: 'text' });
    });

    it('does not write into what is in the way', async () => {
      await insert({ _id: 1, a: 5 });
      const error = await rejection(things().updateOne({}, { $set: { 'a.b': 1 } }), MongoServerError);
      deepStrictEqual([error.code, error.message], [28, "Cannot create field 'b' in element {a: 5}"]);
    });

    it('upserts concurrently into one document', async () => {
      await Promise.all(
        Array.from({ length: 50 }, () => things().updateOne({ _id: 'one' }, { $inc: { n: 1 } }, { upsert: true })),
      );
      strictEqual((await things().findOne())?.['n'], 50);
    });
  });

  describe('unique indexes', () => {
    it('says all that MongoDB says of a duplicate', async () => {
      await things().createIndex({ 'a.b': 1, c: -1 }, { unique: true }, {});
      await insert({ _id: 1, a: { b: 'x' }, c: 1.5 });
      const documents = [{ _id: 2 }, { _id: 3, a: { b: 'x' }, c: 1.5 }];
      const errmsg =
        `E11000 duplicate key error collection: ${db().databaseName}.things index: a.b_1_c_-1 ` +
        'dup key: { a.b: "x", c: 1.5 }';
      deepStrictEqual(await db().command({ insert: 'things', documents }), {
        n: 1,
        writeErrors: [
          {
            index: 1,
            code: 11000,
            errmsg,
            keyPattern: { 'a.b': 1, c: -1 },
            keyValue: { 'a.b': 'x', c: 1.5 },
          },
        ],
        ok: 1,
      });
    });

    it('says which _id there was already', async () => {
      const _id = new ObjectId();
      await insert({ _id });
      const error = await rejection(things().insertOne({ _id }), MongoServerError);
      match(error.message, new RegExp(`index: _id_ dup key: \\{ _id: ObjectId\\('${_id.toHexString()}'\\) \\}$`));
      deepStrictEqual([error['keyPattern'], error['keyValue']], [{ _id: 1 }, { _id }]);
    });

    it('has one key for each element of an array, and one for what is missing', async () => {
      await things().createIndex({ tags: 1 }, { unique: true }, {});
      await insert({ _id: 1, tags: ['a', 'b', 'a'] }, { _id: 2 });
      strictEqual((await rejection(things().insertOne({ _id: 9, tags: 'b' }), MongoServerError)).code, 11000);
      strictEqual((await rejection(things().insertOne({ _id: 9, tags: null }), MongoServerError)).code, 11000);
      await things().updateOne({ _id: 1 }, { $pull: { tags: 'b' } } as Document);
      await insert({ _id: 3, tags: 'b' });
    });

    it('leaves out what a sparse or a partial one does not cover', async () => {
      await things().createIndex({ a: 1 }, { unique: true, sparse: true }, {});
      await things().createIndex({ b: 1 }, { unique: true, partialFilterExpression: { state: 'open' } }, {});
      await insert({ _id: 1, b: 1 }, { _id: 2, b: 1, state: 'open' });
      strictEqual((await rejection(things().insertOne({ _id: 9, b: 1, state: 'open' }), MongoServerError)).code, 11000);
      strictEqual(
        (await rejection(things().updateOne({ _id: 1 }, { $set: { state: 'open' } }), MongoServerError)).code,
        11000,
      );
      await things().updateOne({ _id: 2 }, { $set: { state: 'shut' } });
      await things().updateOne({ _id: 1 }, { $set: { state: 'open' } });
    });

    it('refuses two arrays in one key', async () => {
      await things().createIndex({ a: 1, b: 1 }, { unique: true }, {});
      strictEqual((await rejection(things().insertOne({ _id: 9, a: [1], b: [2] }), MongoServerError)).code, 171);
    });
  });

  it('removes what has expired', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-expiry-'));
    const file = StoreFile.open(directory);
    try {
      const catalog = new Catalog(file);
      const now = Date.now();
      catalog.transaction(() => {
        const collection = catalog.obtain('db', 'events');
        const age = (id: number, at: Date | Date[] | string): void =>
          collection.insert(
            encode(
              new Map<string, BsonInt32 | Date | Date[] | string>([
                ['_id', new BsonInt32(id)],
                ['at', at],
              ]),
            ),
          );
        for (let id = 0; id < 1_200; id++) age(id, new Date(now - 60_001));
        const key = new Map([['at', new BsonInt32(1)]]);
        catalog.createIndex(
          collection,
          new Map<string, typeof key | string | BsonInt32>([
            ['key', key],
            ['name', 'at_1'],
            ['expireAfterSeconds', new BsonInt32(60)],
          ]),
        );
        age(2_000, new Date(now - 59_000));
        age(2_001, [new Date(now), new Date(now - 61_000)]);
        age(2_002, 'no date');
      });
      strictEqual(await sweep(catalog, now), 1_201);
      strictEqual(catalog.get('db', 'events')?.documents, 2);
      strictEqual(await sweep(catalog, now + 2_000), 1);
      strictEqual(await sweep(catalog, now + 1e9), 0);
    } finally {
      file.close();
      await rm(directory, { recursive: true });
    }
  });

  it('undoes a whole command when the disk is full, and goes on', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-full-'));
    const file = StoreFile.open(directory);
    try {
      const catalog = new Catalog(file);
      const insertMany = (first: number, count: number): void =>
        catalog.transaction(() => {
          const collection = catalog.obtain('db', 'things');
          for (let id = first; id < first + count; id++) {
            const fields: [string, BsonInt32 | string][] = [
              ['_id', new BsonInt32(id)],
              ['text', 'x'.repeat(500)],
            ];
            collection.insert(encode(new Map(fields)));
          }
        });
      insertMany(0, 100);
      // As a disk with room for some pages more.
      file.sql.exec('PRAGMA max_page_count = 100');
      throws(() => insertMany(100, 1_000), { codeName: 'OutOfDiskSpace' });
      strictEqual(catalog.get('db', 'things')?.documents, 100);
      file.sql.exec('PRAGMA max_page_count = 100000');
      insertMany(100, 1_000);
      const rows = [...(catalog.get('db', 'things')?.find(compileFilter(new Map())) ?? [])].flat();
      deepStrictEqual([rows.length, catalog.get('db', 'things')?.documents], [1_100, 1_100]);
    } finally {
      file.close();
      await rm(directory, { recursive: true });
    }
  });

  it('lets no update nest deeper than what can be read again', async () => {
    await insert({ _id: 1 });
    const path = Array.from({ length: 200 }, () => 'a').join('.');
    strictEqual((await rejection(things().updateOne({}, { $set: { [path]: 1 } }), MongoServerError)).code, 22);
    deepStrictEqual(await things().findOne(), { _id: 1 });
  });

  describe('cursors', () => {
    beforeEach(() => things().insertMany(Array.from({ length: 3_000 }, (_, _id) => ({ _id, text: 'x'.repeat(100) }))));

    it('go on past what is deleted and changed meanwhile', async () => {
      const cursor = things().find({}, { batchSize: 10 });
      await cursor.next();
      await things().deleteMany({ _id: { $gte: 1_000, $lt: 2_000 } });
      await things().updateMany({}, { $set: { text: 'y'.repeat(500) } });
      strictEqual((await cursor.toArray()).length, 1_999);
    });

    it('end with an error when their collection is dropped', async () => {
      const cursor = things().find({}, { batchSize: 10 });
      await cursor.next();
      await things().drop();
      strictEqual((await rejection(cursor.toArray(), MongoServerError)).codeName, 'QueryPlanKilled');
    });

    it('know that their collection was dropped before they began', async () => {
      const cursor = things().find({}, { batchSize: 0 });
      strictEqual(await cursor.tryNext().then((doc) => doc?._id), 0);
      const { cursor: opened } = (await db().command({ find: 'things', batchSize: 0 })) as { cursor: { id: Long } };
      await things().drop();
      const more = db().command({ getMore: Long.fromValue(opened.id), collection: 'things' });
      strictEqual((await rejection(more, MongoServerError)).codeName, 'QueryPlanKilled');
    });

    it('keep a batch of many small documents within what may be sent', async () => {
      const empty = Buffer.from([5, 0, 0, 0, 0]);
      const docs = Array.from({ length: 3_000_000 }, () => empty);
      // eslint-disable-next-line @typescript-eslint/require-await -- results come as they do from a scan
      const results = (async function* () {
        yield docs;
      })();
      const { id, batch } = await new Cursors().open('db.things', results, Infinity);
      const reply = encodeBatch('firstBatch', batch, id, 'db.things');
      ok(id !== 0n && batch.length > 1_000_000 && reply.length <= MAX_REPLY_BYTES, `${reply.length} bytes`);
    });

    it('keep a batch within 16 MiB', async () => {
      const large = db().collection<Thing>('large');
      await large.insertMany(Array.from({ length: 10 }, (_, _id) => ({ _id, blob: Buffer.alloc(4_000_000) })));
      const docs = await large.find().toArray();
      deepStrictEqual(
        docs.map(({ _id }) => _id as unknown),
        Array.from({ length: 10 }, (_, at) => at),
      );
    });

    it('serve several clients at once', async () => {
      const reads = Array.from({ length: 8 }, () => things().find({}, { batchSize: 100 }).toArray());
      const writes = Array.from({ length: 200 }, (_, n) => things().insertOne({ _id: `new-${n}` }));
      const [counts] = await Promise.all([Promise.all(reads), Promise.all(writes)]);
      for (const docs of counts) ok(docs.length >= 3_000);
      strictEqual(await things().countDocuments(), 3_200);
    });
  });

  it('answers what mongosh asks when it connects', async () => {
    const admin = db().admin();
    strictEqual((await admin.command({ getParameter: 1, featureCompatibilityVersion: 1 }))['ok'], 1);
    deepStrictEqual((await admin.command({ getLog: 'startupWarnings' }))['log'], []);
    strictEqual((await admin.command({ connectionStatus: 1, showPrivileges: false }))['ok'], 1);
    strictEqual((await admin.command({ getCmdLineOpts: 1 }))['ok'], 1);
    await insert({ _id: 1 });
    const { objects, collections } = await db().stats();
    deepStrictEqual([objects, collections], [1, 1]);
  });
});
