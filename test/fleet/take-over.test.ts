import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { numbered, publish, TestFleet, TestWorker } from './fleet.js';

/** Its objects are open for an hour: so long all that has come is in the spool. */
const FLOW = [
  { id: 'tab', type: 'tab', label: 'Objects', disabled: false, env: [] },
  { id: 'broker', type: 'sluice-mqtt-broker', configVersion: 1, url: '${MQTT_URL}' },
  { id: 'objects', type: 'object-store', configVersion: 1, url: '${S3_URL}' },
  {
    ...{ id: 'in', type: 'mqtt-ingest', z: 'tab', configVersion: 1, x: 100, y: 100 },
    ...{ broker: 'broker', topics: ['device/#'], wires: [['out']] },
  },
  {
    ...{ id: 'out', type: 's3-sink', z: 'tab', configVersion: 1, x: 300, y: 100, wires: [[], []] },
    ...{ store: 'objects', key: '{instance}/{batch}{suffix}', maxAgeSeconds: 3_600 },
  },
];

describeWithServer('a slot whose disk is lost', startOwnMosquitto, (broker) => {
  const folder = temporaryFolder();
  const started: (TestFleet | TestWorker)[] = [];
  after(async () => {
    for (const one of started) await one.stop('SIGKILL');
    folder.remove();
  });

  it('is taken over with a word of what its spool held', async function () {
    this.timeout(60_000);
    const file = join(folder.path, 'flow.json');
    writeFileSync(file, JSON.stringify(FLOW));
    const fleet = await TestFleet.up(join(folder.path, 'a'), broker().url, [file, '-n', '1', '--fleet', 'press']);
    started.push(fleet);
    const worker = await TestWorker.join(broker().url, join(folder.path, 'b'), '--fleet', 'press');
    started.push(worker);
    await fleet.untilSlot(2, ({ takesMessages }) => takesMessages);
    await publish(broker().url, numbered('spooled', 100));
    const records = async (slot: number): Promise<number> => (await fleet.slot(slot))?.report?.spool.records ?? 0;
    const [, lost] = await until(
      () => Promise.all([records(1), records(2)]),
      ([here, there]) => here + there === 100,
    );
    assert.ok(lost > 0);
    await worker.stop('SIGKILL');
    rmSync(join(folder.path, 'b'), { recursive: true });
    await fleet.untilSlot(2, ({ state }) => state === 'away');
    const said = await fleet.done('drain', '2', '--take-over');
    assert.match(said, /^slot 2 was taken over, emptied and has left the fleet/);
    const spool = new RegExp(`its spool on ${hostname()} held ${lost} records \\(\\d+ k?B\\), as it last said at 20`);
    assert.match(said, spool);
    assert.deepEqual(fleet.held, [1]);
    assert.equal((await fleet.stop('SIGINT')).code, 0);
  });
});
