import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import { Binary, Decimal128, Long, MongoClient, ObjectId } from 'mongodb';
import { useMongoSink } from '../mongo-sink.js';
import { mongoServers } from '../servers/mongo.js';
import { describeWithServer } from '../servers/server.js';

function nested(levels: number): object {
  let value: object = {};
  for (let level = 1; level < levels; level++) value = level % 2 === 0 ? { a: value } : [value];
  return { payload: value };
}

const circle: Record<string, unknown> = { list: [] };
(circle['list'] as unknown[]).push({ back: circle });

for (const { name, start } of mongoServers) {
  describeWithServer(`mongo-sink and what BSON does not hold on ${name}`, start, (server) => {
    const red = useMongoSink();
    let client: MongoClient;
    let database: string;
    let tests = 0;

    before(() => {
      client = new MongoClient(server().url, { useBigInt64: true });
    });
    after(async () => client.close());
    beforeEach(() => {
      database = `values${++tests}`;
    });
    const collection = () => client.db(database).collection('devices');

    for (const [what, value, code, sentence] of [
      ['half of a surrogate pair in a text', { text: 'a\ud800b' }, 'lone-surrogate', /^\/a\/0\/text: expected a text/],
      ['half of a surrogate pair in a name', { '\udc00': 1 }, 'lone-surrogate', /^\/a\/0\/\ufffd: expected a name/],
      ['a name with U+0000', { 'a\0': 1 }, 'not-a-document', /^\/a\/0\/a\0: expected a name without U\+0000/],
      ['a function', () => 1, 'not-a-document', /^\/a\/0: expected a value that BSON has, got a function/],
      ['a symbol', Symbol('s'), 'not-a-document', /got a symbol/],
      ['an integer beyond 64 bits', 2n ** 63n, 'not-a-document', /of 64 bits, got bigint 9223372036854775808/],
      ['an integer below 64 bits', -(2n ** 63n) - 1n, 'not-a-document', /of 64 bits/],
      ['an invalid date', new Date(Number.NaN), 'not-a-document', /^\/a\/0: expected a date, got an invalid one/],
      ['a set', new Set([1]), 'not-a-document', /got a Set/],
      ['an error', new Error('x'), 'not-a-document', /got a Error/],
      ['numbers in a typed array', new Float32Array(2), 'not-a-document', /got a Float32Array/],
      ['an expression with flags that BSON has not', /a/g, 'not-a-document', /flags i and m only, got g/],
      ['a map with one of these', new Map([['m', '\ud800']]), 'lone-surrogate', /^\/a\/0\/m: /],
      ['an object within itself', circle, 'not-a-document', /an object that is within itself/],
      ['more than 100 levels', nested(98), 'too-deep', /at most 100 levels, got more/],
    ] as const) {
      it(`rejects ${what} alone, and stores the rest of the batch`, async () => {
        await red.load(server().url, database);
        const rejected = red.messages('rejected');
        const stored = red.messages('stored', 4);
        for (const n of [1, 2]) red.send('sink', { payload: { n } });
        red.send('sink', { payload: { a: [value] } });
        for (const n of [3, 4]) red.send('sink', { payload: { n } });
        const [message] = await rejected;
        assert.equal(message?.rejection?.code, code);
        assert.match(message.rejection.message, sentence);
        await stored;
        assert.deepEqual(
          (await collection().find().sort({ n: 1 }).toArray()).map(({ n }) => n as number),
          [1, 2, 3, 4],
        );
      });
    }

    it('rejects half of a surrogate pair in the identity, in the collection, and in the key of a delete', async () => {
      await red.load(server().url, database, { collection: '{topic}' });
      const reasons = await red.rejections(
        { topic: 'a', identity: '\ud800', payload: {} },
        { topic: 'a\ud800', payload: {} },
      );
      assert.deepEqual(
        reasons.map(({ code }) => code),
        ['lone-surrogate', 'collection-name'],
      );
      await red.unload();
      await red.load(server().url, database, { operation: 'delete', key: ['uuid'] });
      assert.equal((await red.rejections({ payload: { uuid: '\ud800' } }))[0]?.code, 'lone-surrogate');
    });

    it('rejects half of a surrogate pair in an update', async () => {
      await red.load(server().url, database, {
        ...{ operation: 'update', key: ['uuid'], document: 'mapping' },
        mapping: [{ field: 'uuid', source: 'constant', value: 'd1', type: 'any' }],
        operators: [{ operator: '$set', field: 'v', source: 'path', value: 'payload', type: 'any' }],
      });
      assert.equal((await red.rejections({ payload: '\ud800' }))[0]?.code, 'lone-surrogate');
    });

    it('stores what BSON holds as it is', async () => {
      await red.load(server().url, database);
      const payload = {
        emoji: '\ud83d\ude00',
        most: 2n ** 63n - 1n,
        least: -(2n ** 63n),
        id: new ObjectId(),
        bytes: new Uint8Array([0, 255]),
        date: new Date(-1),
        empty: {},
        none: null,
        deep: nested(97),
        foreign: runInNewContext('({ list: [new Date(5)] })') as unknown,
      };
      await red.through('stored', { payload });
      const [document] = await collection().find().toArray();
      const { _id, bytes, ...rest } = document!;
      assert.ok(_id);
      assert.deepEqual([...(bytes as Binary).buffer], [0, 255]);
      const { bytes: _bytes, ...sent } = payload;
      assert.deepEqual(rest, { ...sent, foreign: { list: [new Date(5)] } });
    });

    it('leaves out what is undefined, and stores null for it in a list, as JSON does', async () => {
      await red.load(server().url, database);
      await red.through('stored', { payload: { a: undefined, list: [1, undefined] } });
      const [document] = await collection()
        .find({}, { projection: { _id: 0 } })
        .toArray();
      assert.deepEqual(document, { list: [1, null] });
    });

    if (name === 'FerretDB') return; // closes the connection on -0, NaN and Decimal128

    it('stores -0, NaN, the infinities, and numbers of BSON as they are', async () => {
      await red.load(server().url, database);
      const payload = {
        zero: -0,
        nan: Number.NaN,
        most: Number.POSITIVE_INFINITY,
        decimal: Decimal128.fromString('0.10'),
        long: Long.fromString('9007199254740993'),
      };
      await red.through('stored', { payload });
      const [document] = await collection().find().toArray();
      assert.ok(Object.is(document?.['zero'], -0));
      assert.ok(Number.isNaN(document?.['nan']));
      assert.equal(document?.['most'], Number.POSITIVE_INFINITY);
      assert.equal(String(document['decimal']), '0.10');
      assert.equal(document['long'], 9007199254740993n);
    });
  });
}
