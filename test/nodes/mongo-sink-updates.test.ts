import assert from 'node:assert/strict';
import { MongoClient, type Document } from 'mongodb';
import { useMongoSink } from '../mongo-sink.js';
import { mongoServers } from '../servers/mongo.js';
import { describeWithServer } from '../servers/server.js';

const row = (operator: string, field: string, value = '', type = 'any', source = 'path') => ({
  ...{ operator, field, source, value, type },
});

for (const { name, start } of mongoServers) {
  describeWithServer(`mongo-sink and documents with a key on ${name}`, start, (server) => {
    const red = useMongoSink();
    let client: MongoClient;
    let database: string;
    let tests = 0;

    before(() => {
      client = new MongoClient(server().url);
    });
    after(async () => client.close());
    beforeEach(() => {
      database = `keyed${++tests}`;
    });

    // FerretDB 1.24 says of every refused update that it was the first of its batch.
    const batch = name === 'FerretDB' ? { maxBatchCount: 1 } : {};
    const load = async (sink: Record<string, unknown>): Promise<void> =>
      red.load(server().url, database, { key: ['uuid'], ...sink, ...batch });
    const collection = () => client.db(database).collection('devices');
    const documents = (): Promise<Document[]> =>
      collection()
        .find({}, { projection: { _id: 0 } })
        .sort({ uuid: 1 })
        .toArray();

    describe('updates by rows', () => {
      it('do each operator to the document of the key, and make it where there is none', async () => {
        await load({
          operation: 'update',
          operators: [
            row('$set', 'last', 'payload.v'),
            row('$inc', 'count', '1', 'number', 'constant'),
            row('$mul', 'product', 'payload.v'),
            row('$min', 'least', 'payload.v'),
            row('$max', 'most', 'payload.v'),
            row('$push', 'all', 'payload.v'),
            row('$addToSet', 'kinds', 'payload.kind'),
            row('$setOnInsert', 'first', 'payload.at', 'date'),
            row('$currentDate', 'changed'),
            row('$set', 'place.room', '{topic[1]}', 'text', 'template'),
            row('$set', 'absent', 'payload.absent'),
          ],
        });
        const at = (n: number): string => new Date(n).toISOString();
        await red.through(
          'stored',
          { topic: 'room/1', payload: { uuid: 'd1', v: 5, kind: 'a', at: at(1) } },
          { topic: 'room/2', payload: { uuid: 'd1', v: 3, kind: 'b', at: at(2) } },
          { topic: 'room/3', payload: { uuid: 'd1', v: 9, kind: 'a', at: at(3) } },
        );
        const [document] = await documents();
        const { changed, ...rest } = document!;
        assert.ok(changed instanceof Date && Date.now() - changed.getTime() < 60_000);
        assert.deepEqual(rest, {
          ...{ uuid: 'd1', last: 9, count: 3, product: 0, least: 3, most: 9, all: [5, 3, 9], kinds: ['a', 'b'] },
          ...{ first: new Date(1), place: { room: '3' } },
        });
      });

      it('take a field away, and a value out of a list', async () => {
        await collection().insertOne({ uuid: 'd1', old: 1, list: [1, 2, 1] });
        await load({ operation: 'update', operators: [row('$unset', 'old'), row('$pull', 'list', 'payload.v')] });
        await red.through('stored', { payload: { uuid: 'd1', v: 1 } });
        assert.deepEqual(await documents(), [{ uuid: 'd1', list: [2] }]);
      });

      it('reject alone what the server refuses, and carry out the rest in order', async () => {
        await collection().insertOne({ uuid: 'd2', count: 'many' });
        await load({ operation: 'update', operators: [row('$inc', 'count', 'payload.v')] });
        const rejected = red.messages('rejected', 2);
        const stored = red.messages('stored', 4);
        for (const [uuid, v] of [
          ['d1', 1],
          ['d2', 1],
          ['d1', 2],
          ['d1', 'text'],
          ['d1', 3],
          ['d3', 4],
        ] as const)
          red.send('sink', { payload: { uuid, v } });
        await stored;
        const reasons = (await rejected).map(({ payload, rejection }) => [payload, rejection?.code]);
        assert.deepEqual(reasons, [
          [{ uuid: 'd2', v: 1 }, 'refused'],
          [{ uuid: 'd1', v: 'text' }, 'refused'],
        ]);
        assert.deepEqual(await documents(), [
          { uuid: 'd1', count: 6 },
          { uuid: 'd2', count: 'many' },
          { uuid: 'd3', count: 4 },
        ]);
      });

      it('reject a message that has no value for any of them', async () => {
        await load({ operation: 'update', operators: [row('$set', 'v', 'payload.v')] });
        const [reason] = await red.rejections({ payload: { uuid: 'd1' } });
        assert.equal(reason?.code, 'update-document');
        assert.match(reason.message, /expected a message with a value for at least one of the operators/);
      });

      it('do not let what a device sends be read as a modifier or a condition', async () => {
        await collection().insertOne({ uuid: 'd1', list: [1, 2, 3], other: [1, 2] });
        await load({
          operation: 'update',
          operators: [row('$push', 'list', 'payload.v'), row('$pull', 'other', 'payload.w')],
        });
        const v = { $each: [], $slice: 0 };
        const message = { payload: { uuid: 'd1', v, w: { $gte: 0 } } };
        if (name === 'FerretDB') {
          // It has no names with $ at all.
          assert.equal((await red.rejections(message))[0]?.code, 'refused');
          assert.deepEqual(await documents(), [{ uuid: 'd1', list: [1, 2, 3], other: [1, 2] }]);
        } else {
          await red.through('stored', message);
          assert.deepEqual(await documents(), [{ uuid: 'd1', list: [1, 2, 3, v], other: [1, 2] }]);
        }
      });
    });

    describe('updates by the message', () => {
      it('take its update document', async () => {
        await load({ operation: 'update-message' });
        await red.through(
          'stored',
          { payload: { uuid: 'd1', update: { $inc: { n: 2 }, $set: { 'a.b': 1 } } } },
          { payload: { uuid: 'd1', update: { $inc: { n: 3 } } } },
        );
        assert.deepEqual(await documents(), [{ uuid: 'd1', n: 5, a: { b: 1 } }]);
      });

      it('take the whole payload, with a key from the topic', async () => {
        await load({
          ...{ operation: 'update-message', updatePath: 'payload', key: ['deviceUID'], document: 'mapping' },
          mapping: [{ field: 'deviceUID', source: 'path', value: 'topic[1]', type: 'any' }],
        });
        await red.through('stored', { topic: 'device/d7', payload: { $set: { v: 1 } } });
        assert.deepEqual(await documents(), [{ deviceUID: 'd7', v: 1 }]);
      });

      it('reject what is none, and what would change the key', async () => {
        await load({ operation: 'update-message', key: ['uuid'] });
        const bad = [
          undefined,
          5,
          {},
          { n: 1 },
          { $inc: 5 },
          { $set: { uuid: 'd2' } },
          { $unset: { 'uuid.x': '' } },
          { $rename: { other: 'uuid' } },
        ];
        const reasons = await red.rejections(...bad.map((update) => ({ payload: { uuid: 'd1', update } })));
        assert.deepEqual(new Set(reasons.map(({ code }) => code)), new Set(['update-document']));
        const [unknown] = await red.rejections({ payload: { uuid: 'd1', update: { $bogus: { a: 1 } } } });
        assert.equal(unknown?.code, 'refused');
        assert.deepEqual(await documents(), []);
      });
    });

    describe('delete', () => {
      it('takes the document with the key away, and is done where there is none', async () => {
        await collection().insertMany([{ uuid: 'd1' }, { uuid: 'd2' }]);
        await load({ operation: 'delete' });
        await red.through('stored', { payload: { uuid: 'd1' } }, { payload: { uuid: 'd1' } });
        assert.deepEqual(await documents(), [{ uuid: 'd2' }]);
        const [reason] = await red.rejections({ payload: { uuid: { $ne: 'd1' } } });
        assert.equal(reason?.code, 'key');
        assert.deepEqual(await documents(), [{ uuid: 'd2' }]);
      });
    });

    describe('newer only', () => {
      for (const update of ['replace', 'set']) {
        it(`keeps the newest state, however messages come (${update})`, async () => {
          await load({ operation: 'upsert', update, newerOnly: 'seq', maxBatchCount: 7 });
          const sequence = [3, 1, 2, 9, 4, 9, 8, 10, 5];
          const messages = sequence.flatMap((seq) =>
            ['d1', 'd2'].map((uuid) => ({ payload: { uuid, seq, v: `${uuid}-${seq}` } })),
          );
          await red.through('stored', ...messages);
          assert.deepEqual(await documents(), [
            { uuid: 'd1', seq: 10, v: 'd1-10' },
            { uuid: 'd2', seq: 10, v: 'd2-10' },
          ]);
          const { stored, outdated } = red.counters();
          assert.deepEqual({ stored, outdated }, { stored: 18, outdated: 12 });
        });
      }

      it('takes a document without the field for older, and compares dates in nested fields', async () => {
        await collection().insertOne({ uuid: 'd1', v: 0 });
        await load({ operation: 'upsert', update: 'set', newerOnly: 'at.time', dateFields: ['at.time'] });
        const message = (time: string, v: number) => ({ payload: { uuid: 'd1', v, at: { time } } });
        await red.through('stored', message('2026-01-02T00:00:00Z', 2), message('2026-01-01T00:00:00Z', 1));
        assert.deepEqual(await documents(), [{ uuid: 'd1', v: 2, at: { time: new Date('2026-01-02') } }]);
      });

      it('makes an update that comes again count once', async () => {
        await load({ operation: 'update', operators: [row('$inc', 'sum', 'payload.v')], newerOnly: 'seq' });
        await red.through('stored', ...[1, 2, 2, 1, 3, 3].map((seq) => ({ payload: { uuid: 'd1', v: 10, seq } })));
        assert.deepEqual(await documents(), [{ uuid: 'd1', sum: 30, seq: 3 }]);
        assert.equal(red.counters()['outdated'], 3);
      });

      it('makes a unique index over the key, and finds by _id without one', async () => {
        await load({ operation: 'upsert', newerOnly: 'seq', key: ['uuid', 'kind'] });
        await red.through('stored', { payload: { uuid: 'd1', kind: 'a', seq: 1 } });
        const made = (await collection().indexes()).map(({ key, unique }) => ({ key: key, unique }));
        assert.deepEqual(made[1], { key: { uuid: 1, kind: 1 }, unique: true });
        await red.unload();
        await load({ operation: 'upsert', newerOnly: 'seq', key: ['_id'], collection: 'byId' });
        await red.through('stored', ...[2, 1].map((seq) => ({ identity: 'i', payload: { seq } })));
        assert.deepEqual(await client.db(database).collection('byId').find().toArray(), [
          { _id: 'i', seq: 2 },
        ] as never);
        assert.equal((await client.db(database).collection('byId').indexes()).length, 1);
      });

      it('rejects what breaks another unique index, and does not call it outdated', async () => {
        await collection().createIndex({ serial: 1 }, { unique: true }, {});
        await load({ operation: 'upsert', newerOnly: 'seq' });
        await red.through(
          'stored',
          { payload: { uuid: 'd1', serial: 1, seq: 1 } },
          { payload: { uuid: 'd2', serial: 2, seq: 1 } },
        );
        const [fresh] = await red.rejections({ payload: { uuid: 'd3', serial: 1, seq: 1 } });
        assert.equal(fresh?.code, 'duplicate-key');
        const [changed] = await red.rejections({ payload: { uuid: 'd2', serial: 1, seq: 2 } });
        // FerretDB gives a code of its own for an update that breaks one.
        assert.equal(changed?.code, name === 'FerretDB' ? 'refused' : 'duplicate-key');
        assert.equal(red.counters()['outdated'], undefined);
      });

      it('rejects a message that has nothing to compare', async () => {
        await load({ operation: 'upsert', newerOnly: 'seq' });
        const reasons = await red.rejections(
          ...[undefined, null, Number.NaN, { $gt: 0 }, [1]].map((seq) => ({ payload: { uuid: 'd1', seq } })),
        );
        assert.deepEqual(new Set(reasons.map(({ code }) => code)), new Set(['newer-only']));
      });

      it('holds messages while the unique index over the key cannot be made', async () => {
        await collection().insertMany([{ uuid: 'd1' }, { uuid: 'd1' }]);
        await load({ operation: 'upsert', newerOnly: 'seq' });
        const stored = red.messages('stored');
        const held = red.statusLike(/1 waiting; devices waits for the unique index/);
        red.send('sink', { payload: { uuid: 'd2', seq: 1 } });
        assert.equal((await held).fill, 'red');
        assert.match(red.sentence(), /E11000|UNIQUE constraint/);
        assert.equal(await collection().countDocuments(), 2);
        await collection().deleteOne({ uuid: 'd1' });
        await stored;
        assert.deepEqual(await documents(), [{ uuid: 'd1' }, { uuid: 'd2', seq: 1 }]);
      });
    });

    describe('settings', () => {
      for (const [what, settings, expected] of [
        ['no key', { operation: 'delete', key: [] }, /\/key: expected the fields by which/],
        ['no operators', { operation: 'update' }, /\/operators: expected at least one operator/],
        [
          'two operators on one field',
          { operation: 'update', operators: [row('$inc', 'a', 'payload.v'), row('$set', 'a.b', 'payload.v')] },
          /\/operators\/1\/field: expected each field in one operator.* got "a\.b" beside "a"/,
        ],
        [
          'an operator on the key',
          { operation: 'update', operators: [row('$set', 'uuid', 'payload.v')] },
          /\/operators\/0\/field: expected .* got "uuid" beside "uuid"/,
        ],
        [
          'an operator on the field that tells newer from older',
          { operation: 'update', operators: [row('$set', 'seq', 'payload.v')], newerOnly: 'seq' },
          /\/operators\/0\/field/,
        ],
        ...['uuid', 'uuid.seq', '_id'].map(
          (newerOnly) =>
            [
              `${newerOnly} as the field that tells newer from older, with the key uuid`,
              { operation: 'upsert', newerOnly },
              /\/newerOnly: expected a field that is none of the key, nor _id, got "/,
            ] as const,
        ),
      ] as const) {
        it(`mark the node for ${what}`, async () => {
          await load(settings);
          assert.ok(red.complaint(expected), red.logged().join('\n'));
        });
      }
    });
  });
}
