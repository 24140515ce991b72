/** What docs/ordering.md says. */
import assert from 'node:assert/strict';
import { MongoClient } from 'mongodb';
import type { Red } from '../nodes/adapter/red.js';
import mongoConnection from '../nodes/mongo-connection/mongo-connection.js';
import mongoSink from '../nodes/mongo-sink/mongo-sink.js';
import { brokerNode, ingestNode, useMqttFlows } from './mqtt.js';
import { mongoServers } from './servers/mongo.js';
import { onEveryBrokerWithMqtt5 } from './servers/mqtt-brokers.js';
import { describeWithServer } from './servers/server.js';
import { until } from './sluice.js';

const PUBLISHERS = 4;
const EACH = 250;

describe('ordering', () => {
  const flows = useMqttFlows();

  onEveryBrokerWithMqtt5((server, { sharesEvenly }) => {
    it('an instance hands what one publisher has sent over to a sink in its order', async () => {
      // HiveMQ CE gives what is shared out of order at times, also to an only member.
      for (const group of sharesEvenly ? [undefined, 'only'] : [undefined]) {
        const taken: { publisher: number; seq: number }[] = [];
        const sink = (red: Red): void =>
          red.nodes.registerType('ordered-end', function (definition) {
            red.nodes.createNode(this, definition);
            this.on('input', ({ payload }, _send, done) => {
              const { publisher, seq } = payload as { publisher: number; seq: number };
              // A broker may give a message twice: the first time counts.
              if (!taken.some((one) => one.publisher === publisher && one.seq === seq)) taken.push({ publisher, seq });
              setImmediate(done);
            });
          });
        await flows.load(
          [
            brokerNode(server().url, { clientId: `ordering-${group ?? 'none'}` }),
            ingestNode({ topics: ['order/+'], wires: [['end'], []], ...(group !== undefined && { group }) }),
            { id: 'end', type: 'ordered-end', z: 'tab', x: 1, y: 1, wires: [] },
          ],
          {},
          [sink],
        );
        await flows.shows('ingest', 'ok');
        await Promise.all(
          Array.from({ length: PUBLISHERS }, async (_value, publisher) => {
            const client = await flows.client(server().url);
            // Never more unanswered than HiveMQ takes.
            for (let seq = 0; seq < EACH; seq += 10) {
              await Promise.all(
                Array.from({ length: 10 }, (_one, index) =>
                  client.publish('order/x', JSON.stringify({ publisher, seq: seq + index })),
                ),
              );
            }
          }),
        );
        await until(
          () => taken.length,
          (count) => count === PUBLISHERS * EACH,
        );
        for (let publisher = 0; publisher < PUBLISHERS; publisher++) {
          assert.deepEqual(
            taken.filter((one) => one.publisher === publisher).map(({ seq }) => seq),
            Array.from({ length: EACH }, (_value, seq) => seq),
          );
        }
        await flows.unload();
      }
    });
  });

  for (const { name, start } of mongoServers) {
    describeWithServer(`in ${name}`, start, (server) => {
      let client: MongoClient;
      let database: string;
      let tests = 0;
      // FerretDB 1.24 looks for a document and changes it in two steps: of two writers at once an older may win there.
      const atOnce = name !== 'FerretDB';
      const steps = atOnce ? 100 : 22; // one less than a prime: so each sink gets each of them
      before(() => (client = new MongoClient(server().url)));
      after(async () => client.close());
      beforeEach(() => (database = `ordering${++tests}`));

      /** Sinks with a connection each, as two instances have them. */
      const load = (sinks: readonly string[], settings: object): Promise<void> =>
        flows.load(
          sinks.flatMap((id) => [
            { id: `${id}-connection`, type: 'mongo-connection', configVersion: 1, uri: server().url, database },
            {
              ...{ id, type: 'mongo-sink', z: 'tab', x: 1, y: 1, configVersion: 1, wires: [[], []] },
              ...{ connection: `${id}-connection`, maxBatchCount: name === 'FerretDB' ? 1 : 7, ...settings },
            },
          ]),
          {},
          [mongoConnection, mongoSink],
        );
      const stored = (sinks: readonly string[]): number =>
        sinks.reduce((sum, id) => sum + (flows.counters(id)['stored'] ?? 0), 0);

      it('documents are inserted in the order of arrival, one write at a time', async () => {
        await load(['a'], { ordered: true, maxInFlight: 8 });
        for (let seq = 0; seq < 500; seq++) flows.send('a', { payload: { seq } });
        await until(
          () => stored(['a']),
          (count) => count === 500,
        );
        const documents = await client.db(database).collection('devices').find().toArray();
        assert.deepEqual(
          documents.map(({ seq }) => seq as number),
          Array.from({ length: 500 }, (_value, seq) => seq),
        );
      });

      for (const update of ['replace', 'set'] as const) {
        it(`an older message never takes the place of a newer one, also of another instance (${update})`, async () => {
          const sinks = ['a', 'b', 'c'];
          await load(sinks, { operation: 'upsert', update, key: ['uuid'], newerOnly: 'seq' });
          // Each sink gets each message, in another order.
          for (let step = 0; step < steps; step++) {
            for (const [index, id] of sinks.entries()) {
              const seq = ((step + 1) * [1, 37, 61][index]!) % (steps + 1);
              for (const uuid of ['d1', 'd2']) flows.send(id, { payload: { uuid, seq, by: id } });
              if (atOnce) continue;
              await until(
                () => stored([id]),
                (count) => count === 2 * (step + 1),
              );
            }
          }
          const found = (): Promise<{ uuid: unknown; seq: number }[]> =>
            client
              .db(database)
              .collection('devices')
              .find({}, { sort: { uuid: 1 } })
              .map(({ uuid, seq }) => ({ uuid: uuid as unknown, seq: seq as number }))
              .toArray();
          let highest = new Map<unknown, number>();
          await until(
            async () => {
              const now = new Map((await found()).map(({ uuid, seq }) => [uuid, seq]));
              for (const [uuid, seq] of highest) assert.ok((now.get(uuid) ?? -1) >= seq, 'it never goes back');
              highest = now;
              return stored(sinks);
            },
            (count) => count === 6 * steps,
          );
          assert.deepEqual(await found(), [
            { uuid: 'd1', seq: steps },
            { uuid: 'd2', seq: steps },
          ]);
        });
      }
    });
  }
});
