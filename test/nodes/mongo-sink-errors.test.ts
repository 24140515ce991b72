import assert from 'node:assert/strict';
import mongoConnection from '../../nodes/mongo-connection/mongo-connection.js';
import mongoSink from '../../nodes/mongo-sink/mongo-sink.js';
import { useNodeRed } from '../node-red.js';
import { startScriptedMongo, type ScriptedMongo, type WriteReply } from '../servers/scripted-mongo.js';

const OK = (items: readonly unknown[]): WriteReply => ({ ok: 1, n: items.length });

describe("mongo-sink and a server's answers", () => {
  const red = useNodeRed();
  let server: ScriptedMongo;
  beforeEach(async () => {
    server = await startScriptedMongo();
  });
  afterEach(async () => {
    await red.unload();
    await server.stop();
  });

  async function load(sink: Record<string, unknown> = {}): Promise<void> {
    await red.load(
      [mongoConnection, mongoSink],
      [
        { id: 'connection', type: 'mongo-connection', uri: server.url, database: 'iot', serverSelectionTimeout: 500 },
        { id: 'sink', type: 'mongo-sink', connection: 'connection', wires: [['stored'], ['rejected']], ...sink },
        { id: 'stored', type: 'helper' },
        { id: 'rejected', type: 'helper' },
      ],
    );
  }

  /** Sends five messages in one batch. */
  function sendFive(): void {
    for (let n = 0; n < 5; n++) red.send('sink', { identity: `i${n}`, payload: { n } });
  }
  const sent = (): unknown[][] => server.writes.map(({ items }) => items.map(({ _id }) => _id as unknown));
  const five = ['i0', 'i1', 'i2', 'i3', 'i4'];

  for (const [what, failure] of [
    [
      'a write concern that is not met',
      { ok: 1, n: 5, writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
    ],
    ['a primary that has stepped down', { ok: 0, code: 10_107, codeName: 'NotWritablePrimary', errmsg: 'not primary' }],
    [
      'a user without the right to write',
      { ok: 0, code: 13, codeName: 'Unauthorized', errmsg: 'not authorized on iot' },
    ],
    ['a disk that is full', { ok: 0, code: 14_031, codeName: 'OutOfDiskSpace', errmsg: 'no space left' }],
    ['an answer that is lost', 'hang up'],
  ] as const) {
    it(`tries again after ${what}`, async () => {
      server.answer(({ items }, nth) => (nth === 1 ? failure : OK(items)));
      await load();
      const outage = red.status('sink', /5 waiting/);
      const stored = red.messages('stored', 5);
      sendFive();
      assert.equal((await outage).fill, 'red');
      await stored;
      assert.deepEqual(sent(), [five, five]);
    });
  }

  it('takes E11000 on _id for stored: the answer to the first attempt was lost, the write was not', async () => {
    const E11000 = (index: number) => ({
      index,
      code: 11_000,
      errmsg: `E11000 duplicate key error collection: iot.devices index: _id_ dup key: { _id: "i${index}" }`,
    });
    server.answer(({ items }, nth) =>
      nth === 1 ? 'hang up' : { ok: 1, n: 0, writeErrors: items.map((_, n) => E11000(n)) },
    );
    await load();
    const stored = red.messages('stored', 5);
    sendFive();
    await stored;
    assert.deepEqual(sent(), [five, five]);
  });

  it('does not take E11000 on _id for stored while the write concern is not met', async () => {
    const errmsg = 'E11000 duplicate key error collection: iot.devices index: _id_ dup key: { _id: "i1" }';
    server.answer(({ items }, nth) => ({
      ok: 1,
      n: items.length - 1,
      writeErrors: [{ index: 1, code: 11_000, errmsg }],
      ...(nth === 1 ? { writeConcernError: { code: 64, errmsg: 'timed out' } } : {}),
    }));
    await load();
    const stored = red.messages('stored', 5);
    sendFive();
    await stored;
    assert.deepEqual(sent(), [five, five]);
  });

  it('does not take the name of a collection for the index', async () => {
    server.answer(() => ({
      ok: 1,
      n: 0,
      writeErrors: [
        {
          index: 0,
          code: 11_000,
          errmsg: 'E11000 duplicate key error collection: iot.x index: _id_ y index: serial_1 dup key: { serial: 1 }',
        },
      ],
    }));
    await load({ collection: 'x index: _id_ y' });
    const rejected = red.messages('rejected');
    red.send('sink', { identity: 'i', payload: { serial: 1 } });
    assert.equal((await rejected)[0]?.rejection?.code, 'duplicate-key');
  });

  it('tries only that part of a batch again that failed', async () => {
    server.answer(({ items }, nth) =>
      nth > 1
        ? OK(items)
        : {
            ok: 1,
            n: 2,
            writeErrors: [
              { index: 1, code: 11_602, errmsg: 'interrupted due to replica set state change' },
              { index: 2, code: 121, errmsg: 'Document failed validation', errInfo: { details: 'n is too small' } },
              { index: 4, code: 11_602, errmsg: 'interrupted due to replica set state change' },
            ],
          },
    );
    await load();
    const stored = red.messages('stored', 4);
    const rejected = red.messages('rejected');
    sendFive();
    await stored;
    const [message] = await rejected;
    assert.deepEqual(sent(), [five, ['i1', 'i4']]);
    assert.equal(message?.rejection?.code, 'document-validation');
    assert.equal(message.identity, 'i2');
    assert.deepEqual(message.rejection['serverDetails'], { details: 'n is too small' });
  });

  it('loses nothing where the driver sends a batch in parts and one of them ends in the middle', async () => {
    await server.stop();
    server = await startScriptedMongo(4); // the driver then sends three at a time
    server.answer(({ items }, nth) => {
      if (nth === 1)
        return { ok: 1, n: 2, writeErrors: [{ index: 0, code: 121, errmsg: 'Document failed validation' }] };
      return nth === 2 ? 'hang up' : OK(items);
    });
    await load();
    const stored = red.messages('stored', 5);
    sendFive();
    await stored;
    const [first, second, ...again] = sent();
    assert.deepEqual(
      [first, second],
      [
        ['i0', 'i1', 'i2'],
        ['i3', 'i4'],
      ],
    );
    assert.deepEqual(again.flat(), five);
  });

  it('finds the one document for which a whole batch is refused', async () => {
    server.answer(({ items }) =>
      items.some(({ n }) => n === 3) ? { ok: 0, code: 10_334, errmsg: 'BSONObj size is invalid' } : OK(items),
    );
    await load();
    const stored = red.messages('stored', 4);
    const rejected = red.messages('rejected');
    sendFive();
    await stored;
    const [message] = await rejected;
    assert.equal(message?.rejection?.code, 'document-too-large');
    assert.equal(message.identity, 'i3');
  });

  it('keeps the order of upserts when one has to be tried again', async () => {
    server.answer(({ items }, nth) =>
      nth > 1
        ? OK(items)
        : { ok: 1, n: 2, nModified: 0, writeErrors: [{ index: 2, code: 112, errmsg: 'WriteConflict' }] },
    );
    await load({ operation: 'upsert', key: ['uuid'] });
    const stored = red.messages('stored', 5);
    for (let n = 0; n < 5; n++) red.send('sink', { payload: { uuid: 'd', n } });
    await stored;
    assert.deepEqual(
      server.writes.map(({ items }) => items.map(({ u }) => (u as { n: number }).n)),
      [
        [0, 1, 2, 3, 4],
        [2, 3, 4],
      ],
    );
  });

  it('goes on with the upserts behind one that is refused', async () => {
    server.answer(({ items }, nth) =>
      nth > 1
        ? OK(items)
        : { ok: 1, n: 1, writeErrors: [{ index: 1, code: 66, errmsg: 'the field _id is immutable' }] },
    );
    await load({ operation: 'upsert', key: ['uuid'] });
    const stored = red.messages('stored', 4);
    const rejected = red.messages('rejected');
    for (let n = 0; n < 5; n++) red.send('sink', { payload: { uuid: 'd', n } });
    await stored;
    assert.deepEqual((await rejected)[0]?.payload, { uuid: 'd', n: 1 });
    assert.equal(server.writes.length, 2);
  });
});
