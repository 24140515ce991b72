/** Spools in a real Node-RED: what becomes of them when the process is killed, and when their node is removed. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { startEmbeddedStore } from './servers/mongo.js';
import { documents, RunningSluice, temporaryFolder, until } from './sluice.js';
import { startTcpGate } from './tcp-gate.js';

const ON_A_TAB = { z: 'tab', x: 100, y: 100, configVersion: 1 };
const FLOW = [
  { id: 'tab', type: 'tab', label: 'to MongoDB' },
  { id: 'broker', type: 'sluice-mqtt-broker', configVersion: 1, url: '${MQTT_URL}' },
  { id: 'database', type: 'mongo-connection', configVersion: 1, uri: '${MONGODB_URI}', serverSelectionTimeout: 500 },
  { ...ON_A_TAB, id: 'in', type: 'mqtt-ingest', broker: 'broker', topics: ['spool/#'], wires: [['sink'], []] },
  { ...ON_A_TAB, id: 'sink', type: 'mongo-sink', connection: 'database', wires: [[], []] },
];

describe('sluice start, with spools', function () {
  this.timeout(90_000);
  let folder: ReturnType<typeof temporaryFolder>;
  const running: RunningSluice[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    for (const sluice of running.splice(0)) await sluice.stop('SIGKILL');
    folder.remove();
  });

  async function start(uri: string, flow: readonly object[] = FLOW): Promise<RunningSluice> {
    writeFileSync(join(folder.path, 'flows.json'), JSON.stringify(flow));
    const sluice = await RunningSluice.start(folder.path, [], { MONGODB_URI: uri });
    running.push(sluice);
    return sluice;
  }

  it('stores after a kill -9 what was on disk, each once, also when nothing new comes', async () => {
    const store = await startEmbeddedStore();
    const gate = await startTcpGate(Number(new URL(store.url).port));
    try {
      const uri = `mongodb://127.0.0.1:${gate.port}/iot?directConnection=true`;
      await gate.shut();
      const first = await start(uri);
      const client = await connectAsync(first.ready.mqtt);
      const numbers = Array.from({ length: 3_000 }, (_item, n) => n);
      await Promise.all(numbers.map((n) => client.publishAsync('spool/1', JSON.stringify({ _id: n, n }), { qos: 1 })));
      await client.endAsync(true);
      await until(
        () => first.count('mongo-sink', 'spooled'),
        (spooled) => spooled === numbers.length,
      );
      await first.stopGroup('SIGKILL');

      await gate.open();
      const second = await start(uri);
      await until(
        () => second.count('mongo-sink', 'drained'),
        (drained) => drained === numbers.length,
      );
      const stored = await documents(`${store.url}iot`, 'devices');
      assert.deepEqual(
        stored.map(({ n }) => Number(n)).sort((a, b) => a - b),
        numbers,
      );
      assert.equal(await second.count('mongo-sink', 'received'), 0);
      await second.stop();

      // Removed with records in its spool, the node leaves them where they are, and a word about it.
      await gate.shut();
      const third = await start(uri);
      const other = await connectAsync(third.ready.mqtt);
      await other.publishAsync('spool/1', '{"n": 1}', { qos: 1 });
      await other.endAsync(true);
      await until(
        () => third.count('mongo-sink', 'spooled'),
        (spooled) => spooled === 1,
      );
      await third.stop();
      const fourth = await start(
        uri,
        FLOW.filter(({ id }) => id !== 'sink'),
      );
      const file = join(folder.path, 'sluice/spool/sink.sqlite');
      await until(
        () => fourth.stderr,
        (log) =>
          log.includes(
            `a spool is left of a node that no running flow has file=${file} records=1: deploy a node with the id sink again`,
          ),
      );
      assert.ok(existsSync(file));
    } finally {
      for (const sluice of running) await sluice.stop('SIGKILL');
      await gate.stop();
      await store.stop();
    }
  });
});
