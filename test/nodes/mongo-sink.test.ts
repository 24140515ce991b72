import assert from 'node:assert/strict';
import { MongoClient, type Collection, type Document } from 'mongodb';
import mongoConnection from '../../nodes/mongo-connection/mongo-connection.js';
import mongoSink from '../../nodes/mongo-sink/mongo-sink.js';
import type { Message } from '../../nodes/lib/message.js';
import { useNodeRed } from '../node-red.js';
import { mongoServers, startEmbeddedStore } from '../servers/mongo.js';
import { describeWithServer } from '../servers/server.js';
import { startTcpGate, type TcpGate } from '../tcp-gate.js';

describe('mongo-sink and a store that is restarted', () => {
  const red = useNodeRed();

  it('stores every message exactly once', async () => {
    const store = await startEmbeddedStore();
    try {
      await red.load(
        [mongoConnection, mongoSink],
        [
          {
            id: 'connection',
            type: 'mongo-connection',
            uri: `${store.url}iot`,
            serverSelectionTimeout: 300,
            writeTimeout: 1_000,
          },
          { id: 'sink', type: 'mongo-sink', connection: 'connection', wires: [['stored'], []] },
          { id: 'stored', type: 'helper' },
        ],
      );
      const some = red.messages('stored', 50);
      const all = red.messages('stored', 1_000);
      const send = (from: number, to: number): void => {
        for (let n = from; n < to; n++) red.send('sink', { identity: `i${n}`, payload: { n } });
      };
      send(0, 500);
      await some;
      const outage = red.status('sink', /waiting/);
      const halted = store.halt();
      send(500, 1_000);
      await halted;
      await outage;
      await store.restart();
      await all;
      await red.unload();
      const client = new MongoClient(store.url);
      assert.equal(await client.db('iot').collection('devices').countDocuments(), 1_000);
      await client.close();
    } finally {
      await store.stop();
    }
  });
});

for (const { name, start } of mongoServers) {
  describeWithServer(`mongo-sink on ${name}`, start, (server) => {
    const red = useNodeRed();
    let client: MongoClient;
    let database: string;
    let tests = 0;

    before(() => {
      client = new MongoClient(server().url);
    });
    after(async () => client.close());
    beforeEach(() => {
      database = `sink${++tests}`;
    });

    const stored = (collection = 'devices'): Collection => client.db(database).collection(collection);
    const documents = (collection?: string): Promise<Document[]> => stored(collection).find().toArray();

    async function load(sink: Record<string, unknown> = {}, connection: Record<string, unknown> = {}): Promise<void> {
      await red.load(
        [mongoConnection, mongoSink],
        [
          { id: 'connection', type: 'mongo-connection', uri: server().url, database, ...connection },
          { id: 'sink', type: 'mongo-sink', connection: 'connection', wires: [['stored'], ['rejected']], ...sink },
          { id: 'stored', type: 'helper' },
          { id: 'rejected', type: 'helper' },
        ],
      );
    }

    /** Sends, and gives what leaves by an output. */
    async function through(output: 'stored' | 'rejected', ...messages: Message[]): Promise<Message[]> {
      const left = red.messages(output, messages.length);
      for (const message of messages) red.send('sink', message);
      return left;
    }

    /** What a message that failed is said to have failed of. */
    async function failure(message: Message): Promise<string> {
      const error = red.error('sink');
      red.send('sink', message);
      return error;
    }

    describe('documents', () => {
      it('stores the payload as it is, and sends the message on as it was', async () => {
        await load();
        const payload = {
          uuid: 'd1',
          value: 21.5,
          at: new Date(0),
          raw: Buffer.from('x'),
          deep: { list: [1, 'a', null] },
        };
        const [message] = await through('stored', { payload, topic: 'device/d1' });
        assert.deepEqual(message?.payload, payload);
        const [document] = await stored().find({}, { promoteBuffers: true }).toArray();
        const { _id, ...rest } = document!;
        assert.deepEqual(rest, payload);
        assert.equal((_id as { _bsontype?: string })._bsontype, 'ObjectId');
      });

      it('makes the documents of the preset: date, deviceUID, value, gatewayID', async () => {
        await load({ document: 'mapping' });
        await through('stored', { payload: { uuid: 'd1', value: 7, other: true }, receivedAt: 1_700_000_000_000 });
        const [document] = await documents();
        const { _id, gatewayID, ...rest } = document!;
        assert.ok(_id);
        assert.deepEqual(rest, { date: new Date(1_700_000_000_000), deviceUID: 'd1', value: 7 });
        assert.equal(typeof gatewayID, 'string');
        assert.notEqual(gatewayID, '');
      });

      it('maps paths, templates and constants, with types and nested fields, and leaves out what is missing', async () => {
        await load({
          document: 'mapping',
          mapping: [
            { field: 'device.id', source: 'template', value: '{topic[1]}-{payload.n}', type: 'any' },
            { field: 'device.kind', source: 'constant', value: '42', type: 'number' },
            { field: 'topic', source: 'path', value: 'topic', type: 'any' },
            { field: 'text', source: 'path', value: 'payload.n', type: 'text' },
            { field: 'on', source: 'path', value: 'payload.on', type: 'boolean' },
            { field: 'at', source: 'path', value: 'payload.at', type: 'date' },
            { field: 'absent', source: 'path', value: 'payload.absent', type: 'number' },
            { field: 'absentToo', source: 'template', value: '{payload.absent}', type: 'any' },
          ],
        });
        await through('stored', {
          topic: 'device/d7/state',
          payload: { n: 5, on: 'true', at: '2026-02-03T04:05:06Z' },
        });
        const [document] = await stored()
          .find({}, { projection: { _id: 0 } })
          .toArray();
        assert.deepEqual(document, {
          device: { id: 'd7-5', kind: 42 },
          topic: 'device/d7/state',
          text: '5',
          on: true,
          at: new Date('2026-02-03T04:05:06Z'),
        });
      });

      it('rejects a value that cannot become the type of its field', async () => {
        await load({
          document: 'mapping',
          mapping: [{ field: 'n', source: 'path', value: 'payload.n', type: 'number' }],
        });
        const [message] = await through('rejected', { payload: { n: 'many' } });
        assert.equal(message?.rejection?.code, 'conversion');
        assert.match(message.rejection.message, /expected a value for n that is a number, got "many"/);
      });

      it('stores ISO 8601 texts and milliseconds at the configured paths as dates', async () => {
        await load({ dateFields: ['at', 'deep.list[1]', 'absent.too'] });
        const payload = {
          at: '2026-05-06T07:08:09+02:00',
          deep: { list: ['x', 1_700_000_000_000] },
          other: '2026-05-06',
        };
        const [message] = await through('stored', { payload });
        const [document] = await stored()
          .find({}, { projection: { _id: 0 } })
          .toArray();
        assert.deepEqual(document, {
          at: new Date('2026-05-06T05:08:09Z'),
          deep: { list: ['x', new Date(1_700_000_000_000)] },
          other: '2026-05-06',
        });
        assert.deepEqual(message?.payload, payload);
        const [rejected] = await through('rejected', { payload: { at: '2026-02-30' } });
        assert.equal(rejected?.rejection?.code, 'conversion');
      });

      for (const [what, payload] of [
        ['a text', 'text'],
        ['a number', 5],
        ['nothing', undefined],
        ['an array', [{ a: 1 }]],
        ['a buffer', Buffer.from('{}')],
        ['a date', new Date()],
      ] as const) {
        it(`rejects a payload that is ${what}`, async () => {
          await load();
          const [message] = await through('rejected', { payload });
          assert.equal(message?.rejection?.code, 'not-a-document');
          assert.deepEqual(message.payload, payload);
        });
      }

      it('rejects what BSON cannot hold, and stores the rest of its batch', async () => {
        await load();
        const circle: Record<string, unknown> = {};
        circle['self'] = circle;
        const rejected = red.messages('rejected', 2);
        const others = red.messages('stored', 20);
        red.send('sink', { payload: circle });
        for (let n = 0; n < 10; n++) red.send('sink', { payload: { n } });
        red.send('sink', { payload: { 'a\0b': 1 } });
        for (let n = 10; n < 20; n++) red.send('sink', { payload: { n } });
        assert.deepEqual(
          (await rejected).map(({ rejection }) => rejection?.code),
          ['not-a-document', 'not-a-document'],
        );
        await others;
        assert.equal(await stored().countDocuments(), 20);
      });

      it('rejects a document that is too large', async () => {
        await load();
        const [message] = await through('rejected', { payload: { text: 'x'.repeat(17_000_000) } });
        assert.equal(message?.rejection?.code, 'document-too-large');
      });
    });

    describe('collections', () => {
      it('takes the name from a template over the message', async () => {
        await load({ collection: '{topic[0]}_{payload.kind}' });
        await through(
          'stored',
          { topic: 'a/1', payload: { kind: 'x' } },
          { topic: 'b/1', payload: { kind: 'x' } },
          { topic: 'a/2', payload: { kind: 'x' } },
        );
        assert.equal(await stored('a_x').countDocuments(), 2);
        assert.equal(await stored('b_x').countDocuments(), 1);
      });

      for (const [what, topic] of [
        ['a message without the field', undefined],
        ['a system collection', 'system.users'],
        ['a name with $', 'a$b'],
        ['an empty part', 'a..b'],
      ] as const) {
        it(`rejects ${what}`, async () => {
          await load({ collection: '{topic}' });
          const message: Message = { payload: {}, ...(topic === undefined ? {} : { topic }) };
          const [rejected] = await through('rejected', message);
          assert.equal(rejected?.rejection?.code, 'collection-name');
        });
      }
    });

    describe('identity', () => {
      it('becomes the _id, and a second message with it counts as stored', async () => {
        await load();
        await through('stored', { identity: 'd1:1', payload: { n: 1 } });
        await through('stored', { identity: 'd1:1', payload: { n: 2 } }, { identity: 'd1:2', payload: { n: 3 } });
        assert.deepEqual(await stored().find().sort({ _id: 1 }).toArray(), [
          { _id: 'd1:1', n: 1 },
          { _id: 'd1:2', n: 3 },
        ] as never);
      });

      it('counts a redelivery that shares a batch with the first delivery as stored', async () => {
        await load();
        await through(
          'stored',
          ...[1, 2, 2, 3, 3, 3].map((n) => ({ identity: `i${n}`, payload: { n }, _msgid: Math.random().toString(16) })),
        );
        assert.equal(await stored().countDocuments(), 3);
      });

      it('gives a part of a message the identity of the whole with its index, and so on in its parts', async () => {
        await load();
        // As core split nodes number them; batch nodes number whole messages, and give no type.
        const parts = (index: number, outer?: object): object => ({ id: 'p', type: 'array', index, parts: outer });
        await through(
          'stored',
          { _msgid: 'one', identity: 'd1:1', payload: { n: 1 }, parts: parts(0) },
          { _msgid: 'one', identity: 'd1:1', payload: { n: 2 }, parts: parts(1) },
          { _msgid: 'one', identity: 'd1:1', payload: { n: 3 }, parts: parts(0, parts(2)) },
          { _msgid: 'two', identity: 'd1:2', payload: { n: 4 }, parts: { id: 'q', index: 7 } },
        );
        assert.deepEqual(await stored().find().sort({ n: 1 }).toArray(), [
          { _id: 'd1:1#0', n: 1 },
          { _id: 'd1:1#1', n: 2 },
          { _id: 'd1:1#2#0', n: 3 },
          { _id: 'd1:2', n: 4 },
        ] as never);
      });

      it('rejects a second document of the same message, rather than losing it as a duplicate', async () => {
        await load();
        const rejected = red.messages('rejected');
        const first = red.messages('stored');
        red.send('sink', { _msgid: 'one', identity: 'i1', payload: { part: 1 } });
        red.send('sink', { _msgid: 'one', identity: 'i1', payload: { part: 2 } });
        const [message] = await rejected;
        assert.equal(message?.rejection?.code, 'same-identity');
        assert.deepEqual(message.payload, { part: 2 });
        await first;
        assert.deepEqual(await documents(), [{ _id: 'i1', part: 1 }]);
      });

      it("is overruled by the payload's own _id, unless that is null", async () => {
        await load();
        await through(
          'stored',
          { identity: 'i1', payload: { _id: 'own', n: 1 } },
          { identity: 'i2', payload: { _id: null, n: 2 } },
        );
        assert.deepEqual(await stored().find().sort({ n: 1 }).toArray(), [
          { _id: 'own', n: 1 },
          { _id: 'i2', n: 2 },
        ] as never);
      });
    });

    describe('rejections of the server', () => {
      it('rejects what breaks another unique index, with its sentence, and stores the rest of the batch', async () => {
        await stored().createIndex({ serial: 1 }, { unique: true }, {});
        await load();
        await through('stored', { payload: { serial: 5 } });
        const rejected = red.messages('rejected');
        const others = red.messages('stored', 9);
        for (let serial = 0; serial < 10; serial++) red.send('sink', { identity: `s${serial}`, payload: { serial } });
        const [message] = await rejected;
        assert.equal(message?.rejection?.code, 'duplicate-key');
        assert.equal(message.rejection['serverCode'], 11_000);
        assert.match(message.rejection.message, /E11000 duplicate key error/);
        assert.deepEqual(message.rejection.node, { id: 'sink', type: 'mongo-sink', name: 'mongo-sink' });
        assert.deepEqual(message.payload, { serial: 5 });
        await others;
        assert.equal(await stored().countDocuments(), 10);
      });

      it('fails the message where the rejected output is not wired', async () => {
        await stored().createIndex({ serial: 1 }, { unique: true }, {});
        await load({ wires: [['stored'], []] });
        await through('stored', { payload: { serial: 5 } });
        assert.match(await failure({ payload: { serial: 5 } }), /E11000/);
      });
    });

    describe('upsert', () => {
      it('keeps one document for each key, the last one', async () => {
        await load({ operation: 'upsert', key: ['uuid'], maxBatchCount: 3 });
        const messages = Array.from({ length: 60 }, (_, n) => ({ payload: { uuid: `d${n % 4}`, n } }));
        await through('stored', ...messages, { payload: { uuid: 'd9' }, identity: 'not the _id' });
        const found = await stored()
          .find({}, { projection: { _id: 0 } })
          .sort({ uuid: 1 })
          .toArray();
        assert.deepEqual(found, [
          { uuid: 'd0', n: 56 },
          { uuid: 'd1', n: 57 },
          { uuid: 'd2', n: 58 },
          { uuid: 'd3', n: 59 },
          { uuid: 'd9' },
        ]);
      });

      it('sets only the fields that the new document has, when asked to', async () => {
        await load({ operation: 'upsert', key: ['uuid'], update: 'set' });
        await through('stored', { payload: { uuid: 'd1', a: 1, b: 1, _id: 'first' } });
        await through('stored', { payload: { uuid: 'd1', b: 2, _id: 'second' } });
        assert.deepEqual(await documents(), [{ _id: 'first', uuid: 'd1', a: 1, b: 2 }]);
      });

      it('finds by _id, which may be the identity', async () => {
        await load({ operation: 'upsert', key: ['_id'] });
        await through('stored', { identity: 'i1', payload: { n: 1 } });
        await through('stored', { identity: 'i1', payload: { n: 2 } });
        assert.deepEqual(await documents(), [{ _id: 'i1', n: 2 }]);
      });

      it('rejects a key that is missing or no plain value, which would be read as an operator', async () => {
        await load({ operation: 'upsert', key: ['uuid'] });
        const messages = await through('rejected', { payload: {} }, { payload: { uuid: { $ne: 1 } } });
        assert.deepEqual(
          messages.map(({ rejection }) => rejection?.code),
          ['key', 'key'],
        );
      });
    });

    describe('indexes', () => {
      it('are made when the flow is deployed', async () => {
        await load({
          indexes: [
            { keys: 'deviceUID:1, date:-1', unique: false },
            { keys: 'serial:1', unique: true },
          ],
        });
        await through('stored', { payload: { serial: 1 } });
        await through('rejected', { payload: { serial: 1 } });
        const indexes = await stored().indexes();
        assert.deepEqual(
          indexes.map(({ key, unique }) => ({ key: key, unique: unique === true })),
          [
            { key: { _id: 1 }, unique: false },
            { key: { deviceUID: 1, date: -1 }, unique: false },
            { key: { serial: 1 }, unique: true },
          ],
        );
      });

      it('that cannot be made are a warning, and storing goes on', async () => {
        await stored().insertMany([{ serial: 1 }, { serial: 1 }]);
        await load({ indexes: [{ keys: 'serial:1', unique: true }] });
        const warning = red.status('sink', /index serial:1 of devices/);
        const [message] = await through('stored', { payload: { serial: 2 } });
        assert.ok(message);
        assert.equal((await warning).fill, 'yellow');
        assert.ok(red.logged().some((line) => line.includes('cannot make the index')));
      });
    });

    describe('outages', () => {
      let gate: TcpGate;
      beforeEach(async () => {
        gate = await startTcpGate(Number(new URL(server().url).port));
      });
      afterEach(async () => {
        await red.unload();
        await gate.stop();
      });
      const gated = (options: Record<string, unknown> = {}) => ({
        uri: `mongodb://127.0.0.1:${gate.port}/?directConnection=true`,
        serverSelectionTimeout: 300,
        ...options,
      });

      it('holds messages while the server is away, and stores each exactly once when it is back', async () => {
        await load({ maxBatchCount: 7 }, gated());
        const total = 400;
        const all = red.messages('stored', total);
        const some = red.messages('stored', 20);
        const send = (from: number, to: number): void => {
          for (let n = from; n < to; n++) red.send('sink', { identity: `i${n}`, payload: { n } });
        };
        send(0, 200);
        await some;
        const outage = red.status('sink', /waiting/);
        const recovery = red.status('sink', /400 stored/);
        await gate.shut(); // writes are under way: some answers are lost
        send(200, total);
        assert.equal((await outage).fill, 'red');
        await gate.open();
        const messages = await all;
        assert.equal(new Set(messages.map(({ identity }) => identity)).size, total);
        assert.equal(await stored().countDocuments(), total);
        assert.equal((await recovery).fill, 'green');
      });

      it('starts while the server is away, says so, and stores when it comes', async () => {
        await gate.shut();
        await load({}, gated());
        const outage = red.status('sink', /ECONNREFUSED/);
        const all = red.messages('stored', 3);
        for (let n = 0; n < 3; n++) red.send('sink', { payload: { n } });
        assert.equal((await outage).fill, 'red');
        await gate.open();
        await all;
        assert.equal(await stored().countDocuments(), 3);
      });

      it('fails what the queue has no room for at once, and stores the rest', async () => {
        await gate.shut();
        await load({ maxQueue: 5, maxInFlight: 1, maxBatchCount: 1 }, gated());
        const all = red.messages('stored', 5);
        for (let n = 0; n < 5; n++) red.send('sink', { payload: { n } });
        assert.match(await failure({ payload: { n: 5 } }), /expected at most 5 waiting messages/);
        await gate.open();
        await all;
        assert.equal(await stored().countDocuments(), 5);
      });

      it('fails what would be more bytes than may wait, and stores the rest', async () => {
        await gate.shut();
        await load({ maxQueueBytes: 65_536, maxInFlight: 1, maxBatchCount: 1 }, gated());
        const all = red.messages('stored', 2);
        const text = 'x'.repeat(50_000);
        for (const n of [0, 1]) {
          red.send('sink', { payload: { n, text } });
          // The first is being written by then, and waits no longer.
          await new Promise((resolve) => setImmediate(resolve));
        }
        assert.match(
          await failure({ payload: { n: 2, text } }),
          /expected at most 10000 waiting messages of 65536 bytes/,
        );
        await gate.open();
        await all;
        assert.equal(await stored().countDocuments(), 2);
      });

      it('writes what it holds when the node closes', async () => {
        await load({ maxInFlight: 1, maxBatchCount: 10 });
        for (let n = 0; n < 95; n++) red.send('sink', { payload: { n } });
        await red.unload();
        assert.equal(await stored().countDocuments(), 95);
      });

      it('gives up 10 s after the node began to close, and says of each message that it has failed', async () => {
        await gate.shut();
        await load({}, gated());
        const errors: string[] = [];
        red.node('sink').error = (error) => errors.push(String(error)); // the harness stops listening before it unloads
        for (let n = 0; n < 3; n++) red.send('sink', { payload: { n } });
        await red.status('sink', /ECONNREFUSED/);
        await red.unload();
        assert.equal(errors.filter((error) => error.includes('before the node was closed')).length, 3);
      });
    });

    describe('settings', () => {
      for (const [what, settings, expected] of [
        ['a collection that no data may have', { collection: 'system.js' }, /\/collection: expected/],
        ['an upsert without a key', { operation: 'upsert' }, /\/key: expected/],
        ['a template that cannot be read', { collection: '{a' }, /\/collection: expected a }/],
        ['an index that cannot be read', { indexes: [{ keys: 'a:7', unique: false }] }, /\/indexes\/0\/keys: expected/],
        [
          'a mapping that cannot be read',
          { document: 'mapping', mapping: [{ field: 'a', source: 'path', value: 'a b', type: 'any' }] },
          /\/mapping\/0\/value: expected/,
        ],
        ['too large a batch', { maxBatchCount: 5_000 }, /\/maxBatchCount: expected a number <= 1000, got number 5000/],
        [
          'a connection that is not there',
          { connection: 'nowhere' },
          /\/connection: expected a node of type mongo-connection/,
        ],
      ] as const) {
        it(`marks the node for ${what}, with the path`, async () => {
          await load(settings);
          assert.ok(
            red.logged().some((line) => expected.test(line)),
            red.logged().join('\n'),
          );
          assert.match(await failure({ payload: {} }), expected);
        });
      }
    });
  });
}
