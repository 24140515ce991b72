/** The spool of s3-sink in a real Node-RED, before a real bucket: what becomes of its objects when the process is killed. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { startGatedBucket, type BucketPlace } from './object-stores.js';
import { linesOf } from './s3-sink.js';
import { describeWithServer } from './servers/server.js';
import { RunningSluice, temporaryFolder, until } from './sluice.js';

const ON_A_TAB = { z: 'tab', x: 100, y: 100, configVersion: 1 };
const FLOW = [
  { id: 'tab', type: 'tab', label: 'to a bucket' },
  { id: 'broker', type: 'sluice-mqtt-broker', configVersion: 1, url: '${MQTT_URL}' },
  { id: 'bucket', type: 'object-store', configVersion: 1, url: '${S3_URL}' },
  { ...ON_A_TAB, id: 'in', type: 'mqtt-ingest', broker: 'broker', topics: ['spool/#'], wires: [['sink'], []] },
];
const SINK = { ...ON_A_TAB, id: 'sink', type: 's3-sink', store: 'bucket', maxAgeSeconds: 3_600, wires: [[], []] };

describe('sluice start, with s3-sink', function () {
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

  async function start({ url, credentials }: BucketPlace, settings: object): Promise<RunningSluice> {
    writeFileSync(join(folder.path, 'flows.json'), JSON.stringify([...FLOW, { ...SINK, ...settings }]));
    const { accessKeyId, secretAccessKey } = credentials;
    const sluice = await RunningSluice.start(folder.path, [], {
      S3_URL: url,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    });
    running.push(sluice);
    return sluice;
  }

  const publish = async (sluice: RunningSluice, from: number, to: number, padding = ''): Promise<void> => {
    const client = await connectAsync(sluice.ready.mqtt);
    await Promise.all(
      Array.from({ length: to - from }, (_item, index) =>
        client.publishAsync('spool/1', JSON.stringify({ n: from + index, padding }), { qos: 1 }),
      ),
    );
    await client.endAsync(true);
  };
  const count = (sluice: RunningSluice, counter: string, expected: number): Promise<number> =>
    until(
      () => sluice.count('s3-sink', counter),
      (got) => got === expected,
    );
  /** The numbers that each object holds. */
  const numbersIn = async (place: BucketPlace): Promise<number[][]> =>
    [...(await place.objects()).values()].map((body) =>
      linesOf(body).map((line) => (line as { payload: { n: number } }).payload.n),
    );
  const range = (to: number): number[] => Array.from({ length: to }, (_item, n) => n);

  describeWithServer('before a bucket', startGatedBucket, (server) => {
    it('has each record in one object after a kill -9 with objects that were stored unheard, and an open one', async () => {
      const { gate } = server();
      const place = server().place();
      const first = await start(place, { maxRecords: 500 });
      gate.deafenAfter('PUT /');
      await publish(first, 0, 1_300);
      await count(first, 'spooled', 1_300);
      const stored = await until(
        () => place.objects(),
        ({ size }) => size === 2,
      );
      assert.equal(await first.count('s3-sink', 'stored'), 0);
      await first.stopGroup('SIGKILL');
      await gate.shut();

      await gate.open();
      const second = await start(place, { maxRecords: 500 });
      await count(second, 'drained', 1_300);
      assert.equal(await second.count('s3-sink', 'found'), 2);
      const objects = await place.objects();
      assert.equal(objects.size, 3);
      for (const [key, body] of stored) assert.deepEqual(objects.get(key), body);
      assert.deepEqual(
        (await numbersIn(place)).flat().sort((a, b) => a - b),
        range(1_300),
      );
      const ledger = (await (await fetch(`${second.ready.editor}sluice/ledger`)).json()) as Record<string, unknown>;
      const { balanced, spooledAtStart, spooled, stored: settled } = ledger;
      assert.deepEqual([balanced, spooledAtStart, spooled, settled], [true, 1_300, 0, 1_300]);
    });

    it('has each record in one object after a kill -9 in the middle of one that was sent in parts', async () => {
      const { gate } = server();
      const place = server().place();
      const settings = { maxRecords: 400, maxBytes: 268_435_456, compression: 'none', key: '{batch}.ndjson' };
      await gate.shut();
      const first = await start(place, settings);
      await publish(first, 0, 500, 'x'.repeat(40_000));
      await count(first, 'spooled', 500);
      const middle = gate.carried(9_000_000); // of 16
      await gate.open();
      await middle;
      await first.stopGroup('SIGKILL');
      assert.equal((await place.objects()).size, 0);

      const second = await start(place, settings);
      await count(second, 'drained', 500);
      assert.deepEqual(
        (await numbersIn(place)).map(({ length }) => length).sort((a, b) => a - b),
        [100, 400],
      );
      assert.deepEqual(
        (await numbersIn(place)).flat().sort((a, b) => a - b),
        range(500),
      );
    });
  });
});
