import assert from 'node:assert/strict';
import { gunzipSync } from 'node:zlib';
import { startBucket } from './object-stores.js';
import { documents, RunningSluice, temporaryFolder, until } from './sluice.js';
import { startFerretDB } from './servers/ferretdb.js';
import { startOwnMosquitto } from './servers/mosquitto.js';
import { describeWithServer } from './servers/server.js';

/** All three, or none: one that is missing ends those that have started. */
async function startServers() {
  const started: { stop(): Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((server) => server.stop()));
  };
  const keep = <T extends { stop(): Promise<void> }>(server: T): T => {
    started.push(server);
    return server;
  };
  try {
    const mosquitto = keep(await startOwnMosquitto({ lines: ['max_queued_messages 0'] }));
    const ferretdb = keep(await startFerretDB());
    const bucket = keep(await startBucket());
    return { mosquitto, ferretdb, bucket, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

describeWithServer('the default flow on mosquitto, FerretDB and versitygw', startServers, (servers) => {
  const folder = temporaryFolder();
  after(() => {
    folder.remove();
  });

  it('runs by its environment alone: what the devices sent is in both stores, once', async function () {
    this.timeout(90_000);
    const { mosquitto, ferretdb, bucket } = servers();
    const database = new URL(ferretdb.url);
    database.pathname = `/sluice_${process.pid}`;
    const place = bucket.place();
    const { accessKeyId = '', secretAccessKey = '' } = place.credentials;
    const sluice = await RunningSluice.start(folder.path, [], {
      MQTT_URL: mosquitto.url,
      MONGODB_URI: database.href,
      S3_URL: place.url,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    });
    assert.equal(sluice.ready.mqtt, mosquitto.url);
    assert.equal(sluice.ready.objects, place.url);
    await until(
      () => sluice.count('device-simulator', 'sent'),
      (sent) => sent >= 30,
    );
    const versions = (await sluice.nodes())
      .filter(({ type }) => type === 'sluice-mqtt-broker')
      .map(({ status }) => status);
    assert.deepEqual(versions, ['connected (MQTT 5)', 'connected (MQTT 5)']);
    assert.equal((await sluice.stop()).code, 0);

    const stored = (await documents(database.href, 'devices')).map(({ _id }) => String(_id)).sort();
    const objects = [...(await place.objects()).values()];
    const lines = objects
      .flatMap((object) => gunzipSync(object).toString().trimEnd().split('\n'))
      .map((line) => (JSON.parse(line) as { identity: string }).identity)
      .sort();
    assert.ok(stored.length >= 30);
    assert.equal(new Set(stored).size, stored.length);
    assert.deepEqual(lines, stored);
  });
});
