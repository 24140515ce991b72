import assert from 'node:assert/strict';
import { MongoClient } from 'mongodb';
import { useMongoSink } from '../mongo-sink.js';
import { mongoServers, startEmbeddedStore } from '../servers/mongo.js';
import { listed, startScriptedMongo, type ScriptedMongo } from '../servers/scripted-mongo.js';
import { describeWithServer } from '../servers/server.js';

const SERIES = { timeSeries: true, timeField: 'date', metaField: 'deviceUID' };

for (const { name, start } of mongoServers) {
  describeWithServer(`mongo-sink and its collections on ${name}`, start, (server) => {
    const red = useMongoSink();
    let client: MongoClient;
    let database: string;
    let tests = 0;

    before(() => {
      client = new MongoClient(server().url);
    });
    after(async () => client.close());
    beforeEach(() => {
      database = `collections${++tests}`;
    });
    const load = async (sink: Record<string, unknown>): Promise<void> => red.load(server().url, database, sink);
    const names = async (): Promise<string[]> =>
      (await client.db(database).listCollections().toArray()).map((one) => one.name).sort();

    it('takes the collection that a function node names', async () => {
      await load({ collection: '{collection}' });
      await red.through('stored', { collection: 'a', payload: {} }, { collection: 'b', payload: {} });
      assert.deepEqual(await names(), ['a', 'b']);
    });

    it('rejects a message for one collection too many, and stores on in those that are open', async () => {
      await load({ collection: '{topic}', maxCollections: 2 });
      const rejected = red.messages('rejected');
      const stored = red.messages('stored', 4);
      for (const topic of ['a', 'b', 'c', 'a', 'b']) red.send('sink', { topic, payload: {} });
      const [message] = await rejected;
      assert.equal(message?.rejection?.code, 'too-many-collections');
      assert.match(message.rejection.message, /expected at most 2 collections, got one more: "c"/);
      await stored;
      assert.deepEqual(await names(), ['a', 'b']);
    });

    it('holds messages while the server has no time series, says so, and makes no plain collection', async () => {
      await load(SERIES);
      const held = red.statusLike(/1 waiting; devices waits for a time-series collection/);
      const stored = red.messages('stored');
      red.send('sink', { payload: { date: 0 } });
      assert.equal((await held).fill, 'red');
      assert.match(red.sentence(), /timeseries.* not implemented/);
      assert.deepEqual(await names(), []);
      await client.db(database).createCollection('devices'); // somebody decides to do without
      await stored;
    });

    it('stores in a plain collection that is there, and warns that it is one', async () => {
      await client.db(database).createCollection('devices');
      await load(SERIES);
      await red.through('stored', { payload: { date: 0, deviceUID: 'd1' } });
      const warning = await red.statusLike(/1 stored; devices is not the time series/);
      assert.equal(warning.fill, 'yellow');
      assert.match(red.sentence(), /it is a plain collection/);
    });

    for (const [what, settings, expected] of [
      [
        'upserts into a time series',
        { ...SERIES, operation: 'upsert', key: ['a'] },
        /\/timeSeries: expected the operation/,
      ],
      [
        'documents that expire by two fields',
        { indexes: [{ keys: 'a:1,b:1', unique: false, expireAfterSeconds: 5 }] },
        /\/indexes\/0\/expireAfterSeconds: expected an index on one field other than _id/,
      ],
      [
        'documents that expire by _id',
        { indexes: [{ keys: '_id:1', unique: false, expireAfterSeconds: 5 }] },
        /\/indexes\/0\/expireAfterSeconds/,
      ],
    ] as const) {
      it(`marks the node for ${what}`, async () => {
        await load(settings);
        assert.ok(red.complaint(expected), red.logged().join('\n'));
      });
    }
  });
}

describe('mongo-sink and documents that expire', () => {
  const red = useMongoSink();
  let client: MongoClient;
  let store: Awaited<ReturnType<typeof startEmbeddedStore>>;
  beforeEach(async () => {
    store = await startEmbeddedStore();
    client = new MongoClient(store.url);
  });
  afterEach(async () => {
    await red.unload();
    await client.close();
    await store.stop();
  });
  const indexes = [{ keys: 'date:1', unique: false, expireAfterSeconds: 3_600 }];
  const made = () => client.db('iot').collection('devices').indexes();

  it('makes a TTL index', async () => {
    await red.load(store.url, 'iot', { indexes });
    await red.through('stored', { payload: { date: 0 } });
    await red.unload();
    assert.deepEqual(
      (await made()).map(({ key, expireAfterSeconds }) => [key, expireAfterSeconds]),
      [
        [{ _id: 1 }, undefined],
        [{ date: 1 }, 3_600],
      ],
    );
  });

  it('warns of an index that is there with other options, and says what to do', async () => {
    await client.db('iot').collection('devices').createIndex({ date: 1 }, {}, {});
    await red.load(store.url, 'iot', { indexes });
    await red.through('stored', { payload: { date: 0 } });
    const warning = await red.statusLike(/1 stored; index date:1 of devices/);
    assert.equal(warning.fill, 'yellow');
    assert.match(red.sentence(), /drop the index that is there, or ask for the same/);
    assert.equal((await made())[1]?.expireAfterSeconds, undefined);
  });
});

// No mongod can be had here: the stand-in answers as MongoDB's documentation of `create` and `listCollections` says.
describe("mongo-sink and a server's answers about time series", () => {
  const red = useMongoSink();
  let server: ScriptedMongo;
  beforeEach(async () => {
    server = await startScriptedMongo();
  });
  afterEach(async () => {
    await red.unload();
    await server.stop();
  });
  const load = async (sink: Record<string, unknown> = {}): Promise<void> =>
    red.load(server.url, 'iot', { ...SERIES, ...sink });
  const made = (options: object, expireAfterSeconds?: number) => ({
    ...{ name: 'devices', type: 'timeseries' },
    options: { timeseries: options, ...(expireAfterSeconds === undefined ? {} : { expireAfterSeconds }) },
  });
  const asked = { timeField: 'date', metaField: 'deviceUID', granularity: 'seconds' };
  const message = { payload: { date: '2026-01-02T03:04:05Z', deviceUID: 'd1' } };
  const creations = () => server.commands.filter((command) => 'create' in command);

  it('makes the collection before the first document, which has a date', async () => {
    let writesBefore: number | undefined;
    server.respond('listCollections', (_command, nth) => (nth === 1 ? listed() : listed(made(asked, 60))));
    server.respond('create', () => {
      writesBefore = server.writes.length;
      return { ok: 1 };
    });
    await load({ expireAfterSeconds: 60 });
    await red.through('stored', message, message);
    assert.equal(writesBefore, 0);
    const [{ create, timeseries, expireAfterSeconds } = {}, ...more] = creations();
    assert.deepEqual(
      {
        create: create as unknown,
        timeseries: timeseries as unknown,
        expireAfterSeconds: expireAfterSeconds as unknown,
      },
      { create: 'devices', timeseries: asked, expireAfterSeconds: 60 },
    );
    assert.equal(more.length, 0);
    assert.deepEqual(server.writes[0]?.items[0]?.['date'], new Date('2026-01-02T03:04:05Z'));
    assert.equal(red.sentence(), '2 stored');
  });

  it('gives the span of a bucket in place of the granularity', async () => {
    const span = { timeField: 'date', metaField: 'deviceUID', bucketMaxSpanSeconds: 300, bucketRoundingSeconds: 300 };
    server.respond('listCollections', (_command, nth) => (nth === 1 ? listed() : listed(made(span))));
    await load({ bucketMaxSpan: 300 });
    await red.through('stored', message);
    assert.deepEqual(creations()[0]?.['timeseries'], span);
  });

  it('uses one that is there', async () => {
    server.respond('listCollections', () => listed(made(asked)));
    await load();
    await red.through('stored', message);
    assert.equal(creations().length, 0);
    assert.equal(red.sentence(), '1 stored');
  });

  it('uses one that somebody else has just made', async () => {
    server.respond('listCollections', (_command, nth) => (nth === 1 ? listed() : listed(made(asked))));
    server.respond('create', () => ({ ok: 0, code: 48, codeName: 'NamespaceExists', errmsg: 'already exists' }));
    await load();
    await red.through('stored', message);
    assert.equal(red.sentence(), '1 stored');
  });

  it('warns of one with other options', async () => {
    server.respond('listCollections', () => listed(made({ ...asked, metaField: 'other', granularity: 'hours' }, 60)));
    await load();
    await red.through('stored', message);
    assert.match(
      red.sentence(),
      /metaField is other, not deviceUID, expireAfterSeconds is 60, not undefined, granularity is hours, not seconds/,
    );
  });

  it('warns where the server takes the option and makes a plain collection', async () => {
    server.respond('listCollections', (_command, nth) =>
      nth === 1 ? listed() : listed({ name: 'devices', type: 'collection', options: {} }),
    );
    await load();
    await red.through('stored', message);
    assert.match(red.sentence(), /1 stored; devices is not the time series of the form: it is a plain collection/);
  });

  it('holds messages while the user may not make it, and stores each when it may', async () => {
    server.respond('listCollections', (_command, nth) => (nth < 3 ? listed() : listed(made(asked))));
    server.respond('create', (_command, nth) =>
      nth === 1 ? { ok: 0, code: 13, codeName: 'Unauthorized', errmsg: 'not authorized on iot to create' } : { ok: 1 },
    );
    await load();
    const held = red.statusLike(/devices waits for a time-series collection/);
    const stored = red.messages('stored', 3);
    for (let n = 0; n < 3; n++) red.send('sink', message);
    assert.equal((await held).fill, 'red');
    await stored;
    assert.equal(red.sentence(), '3 stored');
  });

  it('rejects a document without its time, or with none that is one', async () => {
    server.respond('listCollections', () => listed(made(asked)));
    await load();
    const reasons = await red.rejections(
      { payload: { deviceUID: 'd1' } },
      { payload: { date: null } },
      { payload: { date: 'soon' } },
    );
    assert.deepEqual(
      reasons.map(({ code }) => code),
      ['time-field', 'time-field', 'conversion'],
    );
  });
});

describe('mongo-sink in order', () => {
  const red = useMongoSink();
  let server: ScriptedMongo;
  beforeEach(async () => {
    server = await startScriptedMongo();
  });
  afterEach(async () => {
    await red.unload();
    await server.stop();
  });
  const written = (): unknown[][] => server.writes.map(({ items }) => items.map(({ n }) => n as unknown));
  const send = (count: number): void => {
    for (let n = 0; n < count; n++) red.send('sink', { payload: { n } });
  };

  it('has one write under way for a collection, and writes the rest after a bad document', async () => {
    server.answer(({ items }) => {
      const bad = items.findIndex(({ n }) => n === 1);
      if (bad === -1) return { ok: 1, n: items.length };
      return { ok: 1, n: bad, writeErrors: [{ index: bad, code: 121, errmsg: 'Document failed validation' }] };
    });
    await red.load(server.url, 'iot', { ordered: true, maxBatchCount: 4, maxBatchWait: 0 });
    const stored = red.messages('stored', 9);
    const rejected = red.messages('rejected');
    send(10);
    assert.deepEqual((await rejected)[0]?.payload, { n: 1 });
    const messages = await stored;
    assert.deepEqual(written(), [
      [0, 1, 2, 3],
      [2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    assert.deepEqual(
      messages.map(({ payload }) => (payload as { n: number }).n),
      [0, 2, 3, 4, 5, 6, 7, 8, 9],
    );
  });

  it('writes nothing behind what has to be tried again', async () => {
    server.answer(({ items }, nth) =>
      nth > 1
        ? { ok: 1, n: items.length }
        : { ok: 1, n: 1, writeErrors: [{ index: 1, code: 112, errmsg: 'WriteConflict' }] },
    );
    await red.load(server.url, 'iot', { ordered: true, maxBatchCount: 3 });
    const stored = red.messages('stored', 6);
    send(6);
    await stored;
    assert.deepEqual(written(), [
      [0, 1, 2],
      [1, 2],
      [3, 4, 5],
    ]);
  });

  it('counts a document that is there already as stored', async () => {
    const errmsg = 'E11000 duplicate key error collection: iot.devices index: _id_ dup key: { _id: "i1" }';
    server.answer(({ items }, nth) =>
      nth > 1 ? { ok: 1, n: items.length } : { ok: 1, n: 1, writeErrors: [{ index: 1, code: 11_000, errmsg }] },
    );
    await red.load(server.url, 'iot', { ordered: true });
    const stored = red.messages('stored', 3);
    for (let n = 0; n < 3; n++) red.send('sink', { identity: `i${n}`, payload: { n } });
    await stored;
    assert.equal(red.counters()['duplicate'], 1);
    assert.deepEqual(written(), [[0, 1, 2], [2]]);
  });
});

describe('mongo-sink and a second writer of a key', () => {
  const red = useMongoSink();
  let server: ScriptedMongo;
  beforeEach(async () => {
    server = await startScriptedMongo();
  });
  afterEach(async () => {
    await red.unload();
    await server.stop();
  });
  const errmsg = 'E11000 duplicate key error collection: iot.devices index: uuid_1 dup key: { uuid: "d1" }';

  it('tries again where the other has just made an older document', async () => {
    server.answer((_command, nth) =>
      nth > 1
        ? { ok: 1, n: 1, nModified: 1 }
        : { ok: 1, n: 0, nModified: 0, writeErrors: [{ index: 0, code: 11_000, errmsg }] },
    );
    // One that is not older: none. One with the key: yes.
    server.respond('find', ({ filter }) => listed(...('seq' in (filter as object) ? [] : [{ _id: 1 }])));
    await red.load(server.url, 'iot', { operation: 'upsert', key: ['uuid'], newerOnly: 'seq' });
    await red.through('stored', { payload: { uuid: 'd1', seq: 2 } });
    assert.equal(server.writes.length, 2);
    assert.equal(red.counters()['outdated'], undefined);
    assert.equal(red.counters()['retried'], 1);
  });

  it('does not call a message outdated while the server that knows is away', async () => {
    server.answer((_command, nth) =>
      nth > 2 ? { ok: 1, n: 1 } : { ok: 1, n: 0, nModified: 0, writeErrors: [{ index: 0, code: 11_000, errmsg }] },
    );
    // The driver itself asks twice.
    server.respond('find', (_command, nth) =>
      nth <= 2
        ? { ok: 0, code: 11_600, codeName: 'InterruptedAtShutdown', errmsg: 'shutting down' }
        : listed({ _id: 1 }),
    );
    await red.load(server.url, 'iot', { operation: 'upsert', key: ['uuid'], newerOnly: 'seq' });
    await red.through('stored', { payload: { uuid: 'd1', seq: 1 } });
    assert.equal(server.writes.length, 2);
    assert.equal(red.counters()['outdated'], 1);
  });
});
