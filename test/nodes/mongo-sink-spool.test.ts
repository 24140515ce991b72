import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Decimal128, Double, Int32, Long, MongoClient, Timestamp, type Collection } from 'mongodb';
import { batchClock } from '../../nodes/adapter/batch-clock.js';
import type { DeadLetter } from '../../nodes/lib/dead-letter.js';
import type { Message } from '../../nodes/lib/message.js';
import { Spool } from '../../nodes/lib/spool/spool.js';
import { useMongoSink } from '../mongo-sink.js';
import { mongoServers } from '../servers/mongo.js';
import { startScriptedMongo } from '../servers/scripted-mongo.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { startTcpGate, type TcpGate } from '../tcp-gate.js';
import { ofDelivery } from '../delivery/of-delivery.js';

for (const { name, start } of mongoServers) {
  describeWithServer(`mongo-sink's spool, before ${name}`, start, (server) => {
    const sink = useMongoSink();
    let client: MongoClient;
    let gate: TcpGate;
    let folder: ReturnType<typeof temporaryFolder>;
    let database: string;
    let tests = 0;

    before(() => {
      client = new MongoClient(server().url);
    });
    after(async () => client.close());
    beforeEach(async () => {
      database = `spool${++tests}`;
      folder = temporaryFolder();
      sink.settings({ userDir: folder.path });
      gate = await startTcpGate(Number(new URL(server().url).port));
    });
    afterEach(async () => {
      await sink.unload();
      await gate.stop();
      sink.settings({});
      folder.remove();
    });

    const load = (settings: Record<string, unknown> = {}): Promise<void> =>
      sink.load(`mongodb://127.0.0.1:${gate.port}/?directConnection=true`, database, settings);
    const stored = (): Collection => client.db(database).collection('devices');
    const values = async (): Promise<unknown[]> =>
      (await stored().find().toArray()).map((document) => document['n'] as unknown);
    const file = (): string => join(folder.path, 'sluice/spool/sink.sqlite');
    const send = (from: number, to: number): void => {
      for (let n = from; n < to; n++) sink.send('sink', { identity: `i${n}`, payload: { n } });
    };
    const count = (counter: string, expected: number): Promise<unknown> =>
      until(
        () => sink.counters()[counter] ?? 0,
        (got) => got === expected,
      );
    const range = (to: number): number[] => Array.from({ length: to }, (_item, n) => n);

    it('takes what comes while the database is away, shows it, and gives it over when it is back', async () => {
      await load();
      const direct = await sink.through('stored', { payload: { n: 'first' } });
      assert.equal(direct[0]?.['spooled'], undefined);
      assert.ok(!existsSync(file()), 'nothing is spooled while the server answers');
      await gate.shut();
      const answered = sink.messages('stored', 1_500);
      send(0, 1_500);
      assert.ok((await answered).every((message) => message['spooled'] === true));
      const { fill } = await sink.statusLike(/^1,500 spooled; expected the server to take writes/);
      assert.equal(fill, 'red');

      await gate.open();
      await count('drained', 1_500);
      assert.equal((await sink.statusLike(/^1,501 stored$/)).fill, 'green');
      assert.deepEqual(new Set(await values()), new Set(['first', ...range(1_500)]));
      assert.equal(sink.counters()['spooled'], 1_500);
    });

    it('keeps the order of what has one, into the spool and out of it', async () => {
      await load({ ordered: true, maxBatchCount: 20 });
      const some = sink.messages('stored', 30);
      const all = sink.messages('stored', 1_200);
      send(0, 400);
      await some;
      const away = gate.shut(); // in the middle of a write
      send(400, 600);
      await away;
      await until(
        () => sink.counters()['spooled'] ?? 0,
        (spooled) => spooled > 100,
      );
      send(600, 700);
      await gate.open();
      let next = 700;
      // More comes while it drains, and after: some of it behind the spool, some past it.
      await until(
        () => {
          if (next < 1_200) send(next, (next += 10));
          return sink.sentence();
        },
        (sentence) => next === 1_200 && sentence === '1,200 stored',
      );
      await all;
      assert.deepEqual(await values(), range(1_200));
    });

    it('leaves the last state of each key, whatever of it was spooled', async () => {
      await load({ operation: 'upsert', key: ['id'], maxBatchCount: 50 });
      const upsert = (from: number, to: number): void => {
        for (let n = from; n < to; n++) sink.send('sink', { payload: { id: n % 7, n } });
      };
      const all = sink.messages('stored', 700);
      upsert(0, 100);
      const away = gate.shut();
      upsert(100, 400);
      await away;
      await until(
        () => sink.counters()['spooled'] ?? 0,
        (spooled) => spooled > 0,
      );
      await gate.open();
      upsert(400, 700);
      await all;
      await until(
        () => sink.sentence(),
        (sentence) => /^[\d,]+ stored$/.test(sentence),
      );
      assert.deepEqual((await values()).map(Number).sort(), [693, 694, 695, 696, 697, 698, 699]);
    });

    it('writes what an earlier run has left, also when nothing new comes', async () => {
      await load();
      await gate.shut();
      const answered = sink.messages('stored', 50);
      send(0, 50);
      await answered;
      await sink.unload();
      assert.ok(statSync(file()).size > 0);
      await load();
      await sink.statusLike(/^50 spooled; /);
      await gate.open();
      await count('drained', 50);
      assert.deepEqual(new Set(await values()), new Set(range(50)));
    });

    it('says that another has the file, and goes on when it is free', async () => {
      await load();
      await gate.shut();
      const answered = sink.messages('stored', 5);
      send(0, 5);
      await answered;
      await sink.unload();
      await gate.open();
      const other = await Spool.open({
        file: file(),
        maxBytes: 1e6,
        whenFull: 'block',
        rememberIdentities: 0,
        clock: batchClock(),
        dropped: () => undefined,
        damaged: () => undefined,
      });
      await load();
      assert.equal((await sink.statusLike(/^expected a spool that no other process has open/)).fill, 'red');
      assert.match(sink.complaint(/^the spool cannot be used/) ?? '', /sink\.sqlite, which one has$/);
      await other.close();
      await count('drained', 5);
      await sink.statusLike(/^5 stored$/);
    });

    it('takes on closing what the database has not taken', async () => {
      await load({ maxInFlight: 1, maxBatchCount: 1 });
      await sink.through('stored', { payload: { n: 'first' } });
      gate.deafenAfter('insert'); // it gets writes, and does not answer: an outage that nobody has seen yet
      send(0, 20);
      await sink.unload();
      await gate.shut();
      await gate.open();
      await load();
      await count('drained', 20);
      assert.deepEqual(new Set(await values()), new Set(['first', ...range(20)]), 'the one that it took, once');
    }).timeout(40_000);

    it('stores every type as if it had not been in the spool', async () => {
      const document = {
        date: new Date(0),
        int: 5,
        double: 5.5,
        whole: new Double(5),
        int32: new Int32(7),
        long: Long.fromString('9007199254740993'),
        big: 2n ** 60n,
        bytes: Buffer.from([0, 255]),
        pattern: /a+/i,
        timestamp: new Timestamp({ t: 1, i: 2 }),
        list: [1, null, { nested: -0 }],
        missing: undefined,
      };
      await load();
      await sink.through('stored', { identity: 'direct', payload: document });
      await gate.shut();
      const [spooled] = await sink.through('stored', { identity: 'spooled', payload: document });
      assert.equal(spooled?.['spooled'], true);
      await gate.open();
      await count('drained', 1);
      const raw = (await stored().find({}, { raw: true }).toArray()).map((bytes) => Buffer.from(bytes as never));
      const [direct, drained] = raw.map((bytes) => bytes.subarray(bytes.indexOf('date')).toString('hex'));
      assert.equal(raw.length, 2);
      assert.equal(drained, direct);
    });

    it('does nothing of it when it is off', async () => {
      await load({ spool: 'off' });
      await gate.shut();
      const all = sink.messages('stored', 3);
      send(0, 3);
      await sink.statusLike(/^3 waiting; /);
      await gate.open();
      assert.ok((await all).every((message) => message['spooled'] === undefined));
      assert.ok(!existsSync(file()));
    });

    it('goes through the spool always where that is asked for', async () => {
      await load({ spool: 'always' });
      const all = sink.messages('stored', 100);
      send(0, 100);
      assert.ok((await all).every((message) => message['spooled'] === true));
      await count('drained', 100);
      assert.deepEqual(new Set(await values()), new Set(range(100)));
    });

    it('takes nothing more when it is full, and goes on when there is room', async () => {
      await load({ spoolMaxBytes: 65_536 });
      await gate.shut();
      const text = 'x'.repeat(10_000);
      const answered = sink.messages('stored', 6);
      for (let n = 0; n < 6; n++) sink.send('sink', { payload: { n, text } });
      await answered;
      const error = sink.error('sink');
      sink.send('sink', { payload: { n: 6, text } });
      assert.match(await error, /^UnavailableError: expected room for a record in the spool, got \d+ of 65536 bytes/);
      assert.equal(sink.counters()['refused{spool-full}'], 1);
      await gate.open();
      await count('drained', 6);
      await sink.through('stored', { payload: { n: 7, text } });
      assert.deepEqual(new Set(await until(values, ({ length }) => length === 7)), new Set([0, 1, 2, 3, 4, 5, 7]));
    });

    it('drops the oldest where that is asked for, and counts them', async () => {
      await load({ spoolMaxBytes: 65_536, spoolWhenFull: 'drop-oldest', maxBatchCount: 1, ordered: true });
      await gate.shut();
      const text = 'x'.repeat(10_000);
      const answered = sink.messages('stored', 9);
      for (let n = 0; n < 9; n++) sink.send('sink', { payload: { n, text } });
      await answered;
      assert.equal(sink.counters()['dropped{spool-full}'], 3);
      await gate.open();
      await count('drained', 6);
      const kept = (await values()).map(Number);
      assert.deepEqual(kept.slice(-5), [4, 5, 6, 7, 8], 'the newest; of the oldest the one that was being written');
      assert.equal(kept.length, 6);
    });

    it('sends what the database refuses of it by the rejected output', async () => {
      await stored().createIndex({ serial: 1 }, { unique: true }, {});
      await stored().insertOne({ serial: 1 });
      await load();
      await gate.shut();
      const answered = sink.messages('stored', 3);
      for (const serial of [2, 1, 3]) sink.send('sink', { identity: `s${serial}`, payload: { serial } });
      await answered;
      const rejected = sink.messages('rejected', 1);
      await gate.open();
      const [message] = await rejected;
      assert.equal(message?.rejection?.code, 'duplicate-key');
      assert.equal(message.identity, 's1');
      assert.deepEqual(message.payload, { _id: 's1', serial: 1 });
      await count('drained', 2);
    });

    it('keeps what the database refuses of it in the user folder, where the node has no place for it', async () => {
      await stored().createIndex({ serial: 1 }, { unique: true }, {});
      await stored().insertOne({ serial: 1 });
      await load({ wires: [['stored'], []] });
      await gate.shut();
      await sink.through('stored', { identity: 's1', payload: { serial: 1 } });
      await gate.open();
      await count('dead-lettered', 1);
      const letters = join(folder.path, 'dead-letters');
      const [text = ''] = readdirSync(letters).map((letter) => readFileSync(join(letters, letter), 'utf8'));
      const { reason, message, node } = JSON.parse(text) as DeadLetter;
      assert.equal(reason.code, 'duplicate-key');
      assert.equal(node.id, 'sink');
      assert.deepEqual(JSON.parse(message.payload?.data ?? ''), { _id: 's1', serial: 1 });
      await until(
        () => sink.sentence(),
        (sentence) => sentence === '0 stored',
      );
    });

    it('goes on with what can be read of a damaged file, and says so', async () => {
      await load();
      await gate.shut();
      const answered = sink.messages('stored', 500);
      for (let n = 0; n < 500; n++) sink.send('sink', { identity: `i${n}`, payload: { n, text: 'x'.repeat(500) } });
      await answered;
      await sink.unload();
      const handle = openSync(file(), 'r+');
      writeSync(handle, Buffer.alloc(8 * 4_096, 0xa7), 0, 8 * 4_096, 20 * 4_096);
      closeSync(handle);
      await gate.open();
      await load();
      await until(
        () => sink.counters(),
        (counters) => (counters['drained'] ?? 0) + (counters['dropped{spool-damaged}'] ?? 0) === 500,
      );
      assert.ok((sink.counters()['dropped{spool-damaged}'] ?? 0) > 0);
      assert.equal(await stored().countDocuments(), sink.counters()['drained']);
      assert.match(
        sink.complaint(/the spool was damaged/) ?? '',
        /reason=.* recovered=\d+ lost=\d+ damagedFile=.*sink\.sqlite\.damaged-/,
      );
    });
  });
}

describe('mongo-sink and what is spooled', () => {
  const sink = useMongoSink();
  let folder: ReturnType<typeof temporaryFolder>;
  beforeEach(() => {
    folder = temporaryFolder();
    sink.settings({ userDir: folder.path });
  });
  afterEach(async () => {
    await sink.unload();
    sink.settings({});
    folder.remove();
  });

  it('counts a document that is there as stored: the process ended before its record was removed', async () => {
    const server = await startScriptedMongo();
    try {
      server.answer(({ items }, nth) =>
        nth === 1
          ? 'hang up'
          : {
              ok: 1,
              n: 0,
              writeErrors: items.map((_item, index) => ({
                index,
                code: 11_000,
                errmsg: `E11000 duplicate key error collection: iot.devices index: _id_ dup key: { _id: "i" }`,
              })),
            },
      );
      await sink.load(server.url, 'iot');
      const decimal = Decimal128.fromString('1.10');
      const message: Message = { identity: 'i', payload: { decimal } };
      ofDelivery(message, 4, 'in');
      await sink.through('stored', message);
      await until(
        () => sink.counters()['drained'],
        (drained) => drained === 1,
      );
      assert.equal(sink.counters()['duplicate'], 1);
      const [first, second] = server.writes.map(({ items }) => items);
      assert.deepEqual(second, first);
      assert.deepEqual(second, [{ _id: 'i', decimal }]);
    } finally {
      await sink.unload();
      await server.stop();
    }
  });
});
