import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'node:v8';
import { MongoClient } from 'mongodb';
import { plugin } from '../../nodes/adapter/endpoints.js';
import deadLetter from '../../nodes/dead-letter/dead-letter.js';
import deadLetterQueue from '../../nodes/dead-letter-queue/dead-letter-queue.js';
import type { Config } from '../../nodes/dead-letter-queue/config.js';
import { LetterFolder } from '../../nodes/dead-letter-queue/letter-folder.js';
import { DeadLetterQueue } from '../../nodes/dead-letter-queue/queue.js';
import type { LetterStore } from '../../nodes/dead-letter-queue/store.js';
import { Counters } from '../../nodes/lib/counters.js';
import { deadLetter as deadLetterOf, type DeadLetter, type EncodedValue } from '../../nodes/lib/dead-letter.js';
import type { Message } from '../../nodes/lib/message.js';
import messageSchema from '../../nodes/message-schema/message-schema.js';
import mongoConnection from '../../nodes/mongo-connection/mongo-connection.js';
import schemaFilter from '../../nodes/schema-filter/schema-filter.js';
import { useNodeRed, type FlowNode } from '../node-red.js';
import { mongoServers, startEmbeddedStore } from '../servers/mongo.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder } from '../sluice.js';
const entries = [plugin, mongoConnection, deadLetterQueue, deadLetter, messageSchema, schemaFilter];

const onTab = { z: 'tab', x: 1, y: 1, configVersion: 1 };
const queue = (settings: Record<string, unknown>): FlowNode => ({
  id: 'queue',
  type: 'dead-letter-queue',
  configVersion: 1,
  name: 'kept',
  ...settings,
});
/** A filter that takes numbers; its rejected output is wired, or it names the queue, or both. */
const flow = (filter: Record<string, unknown>, queued: Record<string, unknown>): FlowNode[] => [
  { id: 'tab', type: 'tab' },
  queue(queued),
  { id: 'schema', type: 'message-schema', configVersion: 1, name: 'number', version: '7', schema: '{"type":"number"}' },
  {
    id: 'filter',
    type: 'schema-filter',
    name: 'numbers only',
    schema: 'schema',
    wires: [['valid'], []],
    ...onTab,
    ...filter,
  },
  { id: 'letters', type: 'dead-letter', queue: 'queue', ...onTab },
  ...['valid', 'rejected', 'caught'].map((id) => ({ id, type: 'helper', ...onTab })),
  { id: 'catch', type: 'catch', scope: ['filter', 'letters'], uncaught: false, wires: [['caught']], ...onTab },
];

function decoded(value: EncodedValue | undefined): unknown {
  switch (value?.encoding) {
    case undefined:
      return undefined;
    case 'text':
      return value.data;
    case 'json':
      return JSON.parse(value.data);
    case 'base64':
      return Buffer.from(value.data, 'base64');
    case 'v8':
      return deserialize(Buffer.from(value.data, 'base64'));
  }
}

/** The message that a letter holds. */
function message(letter: DeadLetter): Record<string, unknown> {
  const { topic, identity, payload, properties } = letter.message;
  return {
    ...(topic !== undefined && { topic }),
    ...(identity !== undefined && { identity }),
    ...(payload !== undefined && { payload: decoded(payload) }),
    ...Object.fromEntries(properties.map((property) => [property.name, decoded(property)])),
  };
}

describe('dead letters', () => {
  const nodeRed = useNodeRed();
  let folder: ReturnType<typeof temporaryFolder>;
  let place: string;

  beforeEach(() => {
    folder = temporaryFolder();
    place = join(folder.path, 'letters');
  });
  afterEach(async () => {
    await nodeRed.unload();
    folder.remove();
  });

  const inFolder = (): Record<string, unknown> => ({ place: 'folder', folder: place });
  const kept = (): DeadLetter[] =>
    readdirSync(place)
      .sort()
      .flatMap((name) => readFileSync(join(place, name), 'utf8').split('\n').slice(0, -1))
      .map((line) => JSON.parse(line) as DeadLetter);
  const ask = async (path: string): Promise<{ status: number; body: { letters?: DeadLetter[]; message?: string } }> => {
    const request = nodeRed.request() as { get(path: string): Promise<{ status: number; body: object }> };
    return request.get(`/sluice/node/${path}`);
  };
  const shows = (pattern: RegExp): Promise<unknown> => nodeRed.status('letters', pattern);

  const reading: Message = {
    topic: 'device/a',
    payload: { value: 'high' },
    identity: 'a:1',
    qos: 1,
    retain: false,
    receivedAt: 1_790_000_000_000,
    contentType: 'application/json',
    correlationData: Buffer.from([0, 255]),
    userProperties: { site: 'north', 'a.b$': ['1', '2'] },
  };

  it('are kept whole, with the reason, the node and the flow, by the queue that a node names', async () => {
    await nodeRed.load(entries, flow({ deadLetters: 'queue' }, inFolder()));
    const one = shows(/^1 kept; last: schema-type from numbers only$/);
    nodeRed.send('filter', structuredClone(reading));
    await one;
    const [letter] = kept();
    assert.ok(letter);
    assert.deepEqual(message(letter), reading);
    assert.equal(letter.version, 1);
    assert.deepEqual(letter.node, { id: 'filter', type: 'schema-filter', name: 'numbers only' });
    assert.equal(letter.reason.code, 'schema-type');
    assert.match(letter.reason.message, /^number 7: \/: expected a value of type number, got an object$/);
    assert.deepEqual(letter.reason.schema, { name: 'number', version: '7' });
    assert.equal(letter.flow.tab, 'tab');
    assert.ok(Math.abs(Date.parse(letter.at) - Date.now()) < 60_000);
  });

  it('go to a wired rejected output first, and to Catch nodes where a node names no queue', async () => {
    await nodeRed.load(entries, flow({ deadLetters: 'queue', wires: [['valid'], ['rejected']] }, inFolder()));
    const rejected = nodeRed.messages('rejected');
    nodeRed.send('filter', { payload: 'no' });
    assert.equal((await rejected)[0]?.rejection?.code, 'schema-type');
    await nodeRed.unload();
    assert.throws(() => kept(), /ENOENT/);

    await nodeRed.load(entries, flow({}, inFolder()));
    const caught = nodeRed.messages('caught');
    nodeRed.send('filter', { payload: 'no' });
    await caught;
    await nodeRed.unload();
    assert.throws(() => kept(), /ENOENT/);
  });

  it('come by a wire from a rejected output, a Catch node or any other, as they entered the node that failed', async () => {
    const nodes = flow({ wires: [['valid'], ['letters']] }, inFolder()).map((node) =>
      node.id === 'catch' ? { ...node, scope: ['failing'], wires: [['letters']] } : node,
    );
    const failing = { id: 'failing', type: 'schema-filter', name: '', schema: 'schema', wires: [[], []], ...onTab };
    await nodeRed.load(entries, [...nodes, failing]);
    const three = shows(/^3 kept/);
    nodeRed.send('filter', { payload: 'rejected', rejectionReason: 'mine' });
    nodeRed.send('failing', { payload: 'caught', error: 'of before' });
    nodeRed.send('letters', { payload: 'by hand' });
    await three;
    const letters = new Map(kept().map((letter) => [message(letter)['payload'], letter]));
    const expected = [
      ['rejected', 'schema-type', 'filter', { payload: 'rejected', rejectionReason: 'mine' }],
      ['caught', 'error', 'failing', { payload: 'caught', error: 'of before' }],
      ['by hand', 'none', 'letters', { payload: 'by hand' }],
    ] as const;
    for (const [payload, code, node, entered] of expected) {
      const letter = letters.get(payload);
      assert.ok(letter, payload);
      assert.deepEqual([letter.reason.code, letter.node.id], [code, node]);
      assert.deepEqual(message(letter), entered);
    }
  });

  it('hold bytes, dates, big integers and other values exactly, and name what cannot be kept', async () => {
    await nodeRed.load(entries, flow({ deadLetters: 'queue' }, inFolder()));
    const payloads: unknown[] = [
      Buffer.from([0xff, 0x00, 0xc3]),
      'half a pair: \ud800',
      { at: new Date(0), big: 2n ** 60n, not: NaN, minus: -0, nothing: undefined, bytes: new Uint8Array([1]) },
      JSON.parse('{"__proto__":{"admin":true},"a.b":1,"$set":[null,true]}'),
      new Map([[1, 'one']]),
      [1, , 3],
    ];
    const all = shows(/^6 kept/);
    for (const payload of payloads)
      nodeRed.send('filter', { payload, req: { socket: () => undefined }, at: new Date(1) });
    await all;
    for (const [index, letter] of kept().entries()) {
      assert.deepEqual(message(letter)['payload'], payloads[index]);
      assert.deepEqual(message(letter)['at'], new Date(1));
      assert.deepEqual(letter.message.omitted, ['req']);
    }
  });

  it('whose payload cannot be kept go to Catch nodes, and are counted', async () => {
    await nodeRed.load(entries, flow({ deadLetters: 'queue' }, inFolder()));
    const caught = nodeRed.messages('caught');
    nodeRed.send('filter', { payload: { call: () => undefined } });
    await caught;
    assert.ok(
      nodeRed
        .logged()
        .some((text) => /a dead letter could not be kept.*expected a payload that can be kept/.test(text)),
    );
  });

  it('are listed by the admin endpoint, the newest first, over restarts; a line that a crash has cut off is passed over', async () => {
    await nodeRed.load(entries, flow({ deadLetters: 'queue' }, inFolder()));
    let shown = shows(/^2 kept/);
    for (const payload of ['1', '2']) nodeRed.send('filter', { payload });
    await shown;
    await nodeRed.unload();
    const [file = ''] = readdirSync(place);
    renameSync(join(place, file), join(place, file.replace(/\d{4}-\d\d-\d\d/, '2026-01-31')));
    appendFileSync(join(place, file.replace(/\d{4}-\d\d-\d\d/, '2026-01-31')), '{"version":1,"id":"torn');

    await nodeRed.load(entries, flow({ deadLetters: 'queue' }, inFolder()));
    shown = shows(/^1 kept/);
    nodeRed.send('filter', { payload: '3' });
    await shown;
    const payloads = async (query: string): Promise<unknown[]> =>
      ((await ask(`queue/letters${query}`)).body.letters ?? []).map((letter) => message(letter)['payload']);
    assert.deepEqual(await payloads(''), ['3', '2', '1']);
    assert.deepEqual(await payloads('?count=2'), ['3', '2']);

    for (const [path, status, sentence] of [
      ['queue/letters?count=0', 400, /^count: expected a whole number from 1 to 1000, got 0$/],
      ['queue/everything', 400, /^expected letters, got everything$/],
      ['nobody/letters', 404, /^expected a deployed node with something to show, got nobody$/],
    ] as const) {
      const answer = await ask(path);
      assert.equal(answer.status, status);
      assert.match(answer.body.message ?? '', sentence);
    }
  });

  it('wait while the folder cannot be written, say so, and are kept once when it can; one beyond the queue fails', async () => {
    writeFileSync(place, 'a file in the place of the folder');
    await nodeRed.load(entries, flow({ deadLetters: 'queue' }, { ...inFolder(), maxQueue: 1 }));
    const away = shows(/^1 waiting; expected folder /);
    nodeRed.send('filter', { payload: 'first' });
    await away;
    const caught = nodeRed.messages('caught');
    nodeRed.send('filter', { payload: 'second' });
    nodeRed.send('filter', { payload: 'third' });
    assert.equal((await caught)[0]?.payload, 'third');
    assert.ok(
      nodeRed
        .logged()
        .some((text) => /expected at most 1 waiting letters of \d+ bytes together, got one more/.test(text)),
    );
    const back = shows(/^2 kept/);
    rmSync(place);
    mkdirSync(place);
    await back;
    assert.deepEqual(
      kept().map((letter) => message(letter)['payload']),
      ['first', 'second'],
    );
  });

  it('of two queues in one folder are in files of their own: what one cuts off after a failure is not the other’s', async () => {
    await nodeRed.load(entries, [
      ...flow({ deadLetters: 'queue' }, inFolder()),
      { ...queue(inFolder()), id: 'other' },
      { id: 'numbers', type: 'schema-filter', schema: 'schema', deadLetters: 'other', wires: [[], []], ...onTab },
    ]);
    const both = Promise.all([shows(/^1 kept/), nodeRed.status('other', /^1 kept/)]);
    nodeRed.send('filter', { payload: 'a' });
    nodeRed.send('numbers', { payload: 'b' });
    await both;
    const writers = readdirSync(place).map((name) => readFileSync(join(place, name), 'utf8').split('\n').length);
    assert.deepEqual(writers, [2, 2]);
  });

  it('are read back from a folder however long they are, the newest first', async () => {
    const store = new LetterFolder(place, 'test');
    const origin = { node: { id: 'n', type: 't', name: 'n' }, tab: 'tab', revision: '', instance: 'i', runId: 'r' };
    const sizes = [10, 65_536, 300_000, 5, 1_000_000, 1];
    const letters = sizes.map((size, index) => ({
      ...deadLetterOf({ payload: 'ü'.repeat(size) }, { code: 'none', message: '' }, origin, 0),
      id: `${index}`,
    }));
    await store.append(letters.slice(0, 4));
    await store.append(letters.slice(4));
    for (let count = 1; count <= sizes.length + 1; count++) {
      assert.deepEqual(await store.last(count, Infinity), letters.toReversed().slice(0, count));
    }
    // By bytes as well, but for the first.
    assert.deepEqual(await store.last(6, 1_000_000), letters.toReversed().slice(0, 1));
    assert.deepEqual(await store.last(6, 2_700_000), letters.toReversed().slice(0, 4));
    // What is left out of a day is not made up for by the day before.
    const nextDay = [2_000_000, 10].map((size, index) => ({
      ...deadLetterOf({ payload: 'x'.repeat(size) }, { code: 'none', message: '' }, origin, 86_400_000),
      id: `${sizes.length + index}`,
    }));
    await store.append(nextDay);
    assert.deepEqual(await store.last(8, 1_000_000), nextDay.slice(1));
    await store.close();
  });

  it('that a store throws on are refused one and all, and the process goes on', async () => {
    const counters = new Counters();
    /** Stands in for a store with a fault: a folder throws on a letter that is longer than a text of JavaScript. */
    const broken: LetterStore = {
      place: 'nowhere',
      append: () => Promise.reject(new RangeError('Invalid string length')),
      last: () => Promise.resolve([]),
      find: () => Promise.resolve([]),
      markReplayed: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    const kept = new DeadLetterQueue(
      { config: { maxQueue: 10 } as Config, counters, status: () => undefined, log: () => undefined },
      broken,
    );
    const origin = { node: { id: 'n', type: 't', name: 'n' }, tab: 'tab', revision: '', instance: 'i', runId: 'r' };
    const letter = deadLetterOf({ payload: 1 }, { code: 'none', message: '' }, origin, 0);
    await assert.rejects(kept.keep(letter), /Invalid string length/);
    assert.equal(counters.snapshot()['refused{store}'], 1);
    await kept.close();
  });

  for (const { name, start } of mongoServers) {
    describeWithServer(`in ${name}`, start, (server) => {
      it('are documents that are found by reason, node and time, whatever names the message holds', async () => {
        await nodeRed.load(entries, [
          { id: 'connection', type: 'mongo-connection', uri: server().url, database: 'letters', configVersion: 1 },
          ...flow(
            { deadLetters: 'queue' },
            { ...inFolder(), place: 'mongodb', connection: 'connection', collection: 'dead' },
          ),
        ]);
        const strange = JSON.parse('{"$set":{"a.b":1},"__proto__":1,"":[]}') as object;
        const before = new Date(Date.now() - 60_000);
        const two = shows(/^2 kept/);
        nodeRed.send('filter', structuredClone(reading));
        nodeRed.send('filter', { payload: strange, $where: 1 });
        await two;
        const client = new MongoClient(server().url);
        const found = await client
          .db('letters')
          .collection('dead')
          .find({
            'reason.code': 'schema-type',
            'node.id': 'filter',
            'reason.schema.name': 'number',
            at: { $gt: before },
          })
          .toArray();
        await client.close();
        assert.equal(found.length, 2);
        const { letters = [] } = (await ask('queue/letters')).body;
        assert.deepEqual(letters.map(message), [{ payload: strange, $where: 1 }, reading]);

        // MongoDB has no documents of this size: it goes to the folder, and is listed with the others.
        const huge = 'x'.repeat(17 * 1024 * 1024);
        const third = shows(/^3 kept/);
        nodeRed.send('filter', { payload: huge });
        await third;
        assert.equal(message(kept()[0] as DeadLetter)['payload'], huge);
        const listed = (await ask('queue/letters?count=2')).body.letters ?? [];
        assert.deepEqual(
          listed.map(message).map(({ payload }) => payload === huge),
          [true, false],
        );
      });
    });
  }

  it('wait for MongoDB, and each is one document when it is back', async () => {
    const store = await startEmbeddedStore();
    try {
      const uri = `${store.url}letters`;
      await nodeRed.load(entries, [
        {
          id: 'connection',
          type: 'mongo-connection',
          uri,
          serverSelectionTimeout: 300,
          writeTimeout: 1_000,
          configVersion: 1,
        },
        ...flow({ deadLetters: 'queue' }, { ...inFolder(), place: 'mongodb', connection: 'connection' }),
      ]);
      await store.halt();
      const away = shows(/waiting;/);
      for (let n = 0; n < 100; n++) nodeRed.send('filter', { payload: `${n}` });
      await away;
      const back = shows(/^100 kept/);
      await store.restart();
      await back;
      const client = new MongoClient(store.url);
      assert.equal(await client.db('letters').collection('dead_letters').countDocuments(), 100);
      await client.close();
    } finally {
      await nodeRed.unload();
      await store.stop();
    }
  });

  it('without a place to go are a setting that is wrong', async () => {
    await nodeRed.load(entries, flow({ deadLetters: 'gone' }, { ...inFolder(), place: 'mongodb' }));
    const logged = nodeRed.logged().join('\n');
    assert.match(logged, /\/connection: expected a node of type mongo-connection, got nothing/);
    assert.match(logged, /\/deadLetters: expected a node of type dead-letter-queue, got none with this id/);
  });
});
