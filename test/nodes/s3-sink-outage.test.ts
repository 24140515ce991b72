import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { mock } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Message } from '../../nodes/lib/message.js';
import {
  allow,
  startBucket,
  startFolder,
  startFragileBucket,
  startGatedBucket,
  type FragileTestStore,
} from '../object-stores.js';
import { linesOf, useS3Sink } from '../s3-sink.js';
import { describeWithServer } from '../servers/server.js';
import { startSmallDisk } from '../servers/small-disk.js';
import { until } from '../sluice.js';

const SECRET = 'a-secret-that-nobody-may-see';

describe('s3-sink', () => {
  const sink = useS3Sink();

  describeWithServer('to a folder that goes away', startFolder, outage);
  describeWithServer('to a bucket that goes away', startFragileBucket, outage);

  function outage(server: () => FragileTestStore): void {
    it('stores everything once it is back, each object once', async () => {
      const place = server().place();
      await sink.load(place, { maxRecords: 2 });
      let answered = sink.messages('stored', 2);
      for (const payload of [1, 2]) sink.send('sink', { topic: 'a', payload });
      const before = await answered;
      await sink.stored(2);

      await server().interrupt();
      answered = sink.messages('stored', 4);
      for (const payload of [3, 4, 5, 6]) sink.send('sink', { topic: 'a', payload });
      const after = await answered;
      assert.equal((await sink.statusLike('sink', /^4 spooled; expected /)).fill, 'red');
      assert.match(sink.sentence(), /^4 spooled; expected .*, got .*; trying again in \d s$/);

      await server().resume();
      await sink.statusLike('sink', /^3 objects, 6 records$/);
      const objects = await place.objects();
      assert.deepEqual(
        [...objects.keys()].sort(),
        [...new Set([...before, ...after].map((message) => String(message['object'])))].sort(),
      );
      const payloads = [...objects.values()].flatMap(linesOf).map((line) => (line as Message).payload);
      assert.deepEqual(payloads.sort(), [1, 2, 3, 4, 5, 6]);
      assert.ok((sink.counters()['retried'] ?? 0) >= 1);
      assert.deepEqual(
        sink.logged().filter((text) => /store objects|stored again/.test(text)).length,
        2,
        'one line for the outage and one for its end',
      );
    }).timeout(60_000);
  }

  describeWithServer('to a bucket whose connection breaks off', startGatedBucket, (server) => {
    for (const [how, size] of [
      ['whole', 6_000_000],
      ['in parts', 30_000_000],
    ] as const) {
      it(`in the middle of an object sent ${how}: stores it once it is back, and leaves nothing else`, async () => {
        const { gate } = server();
        const place = server().place();
        await sink.load(place, { maxRecords: 1, maxBytes: 268_435_456, compression: 'none', line: 'payload' });
        await sink.statusLike('sink', /^0 objects/);
        const answered = sink.messages('stored');
        const middle = gate.carried(size / 2);
        const payload = randomBytes(size / 2).toString('hex');
        sink.send('sink', { topic: 'a', payload });
        await middle;
        await gate.shut();
        assert.equal((await sink.statusLike('sink', /^1 spooled; expected bucket "sluice" at http/)).fill, 'red');
        assert.match(
          sink.sentence(),
          /^1 spooled; expected .* (an object to its end, got a connection that broke|an answer from .*, got )/,
        );
        assert.deepEqual([sink.counters()['spooled'], (await place.objects()).size], [1, 0]);

        await gate.open();
        const [message] = await answered;
        await sink.stored(1);
        const objects = await place.objects();
        assert.deepEqual([...objects.keys()], [message?.['object']]);
        assert.equal(linesOf([...objects.values()][0] ?? Buffer.alloc(0))[0], payload);
        assert.deepEqual(await place.openUploads(), []);
      }).timeout(30_000);
    }

    for (const [how, size, lastRequest] of [
      ['whole', 1_000, 'PUT /'],
      ['in parts', 20_000_000, '<CompleteMultipartUpload'],
    ] as const) {
      it(`before the answer for an object sent ${how}: finds it stored, and makes no second one`, async () => {
        const { gate } = server();
        const place = server().place();
        await sink.load(place, { maxRecords: 1, maxBytes: 268_435_456, compression: 'none', line: 'payload' });
        await sink.statusLike('sink', /^0 objects/);
        const answered = sink.messages('stored');
        gate.deafenAfter(lastRequest);
        sink.send('sink', { topic: 'a', payload: randomBytes(size / 2).toString('hex') });
        await until(
          () => place.objects(),
          ({ size }) => size === 1,
        );
        assert.equal(sink.counters()['stored'], undefined);
        await gate.shut();
        await sink.statusLike('sink', /^1 spooled; expected/);
        await gate.open();
        const [message] = await answered;
        await sink.stored(1);
        assert.deepEqual([...(await place.objects()).keys()], [message?.['object']]);
        assert.deepEqual(await place.openUploads(), []);
        const { found, stored: records, objects } = sink.counters();
        assert.deepEqual([found, records, objects], [1, 1, 1]);
      }).timeout(30_000);
    }
  });

  describeWithServer('to a full disk', startSmallDisk, (server) => {
    const settings = { maxRecords: 1, compression: 'none', line: 'payload' } as const;
    const place = () => ({ url: pathToFileURL(server().directory).href, credentials: {} });
    const files = async (): Promise<string[]> =>
      (await readdir(server().directory, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name);

    it('says so, leaves nothing half, and stores the object once there is room', async () => {
      await sink.load(place(), settings);
      const answered = sink.messages('stored');
      sink.send('sink', { topic: 'a', payload: 'x'.repeat(2_000_000) });
      const [message] = await answered;
      await sink.statusLike('sink', /^1 spooled; expected room for an object in folder/);
      assert.match(sink.sentence(), /in folder \/\S+, got ENOSPC: the disk is full; trying again in 1 s$/);
      assert.deepEqual(await files(), []);
      await server().change('size=16m');
      await sink.stored(1);
      assert.deepEqual(await files(), [basename(String(message?.['object']))]);
    });

    it('or one that takes no writes: says so at once, and stores the object once it does', async () => {
      await server().change('ro');
      await sink.load(place(), settings);
      assert.equal((await sink.statusLike('sink', /^expected the right to write into folder/)).fill, 'red');
      assert.match(sink.sentence(), /into folder \/\S+, got EROFS; trying again in \d s$/);
      const before = await files();
      sink.send('sink', { topic: 'a', payload: 1 });
      await sink.received(1);
      await server().change('rw');
      await sink.unload(); // does not wait for the next attempt
      assert.equal((await files()).length, before.length + 1);
    });
  });

  describeWithServer('to a bucket that refuses', startBucket, (server) => {
    it('says so of a wrong secret before the first message, and tells nobody the secret', async () => {
      const { url, credentials } = server().place();
      await sink.load({ url, credentials: { ...credentials, secretAccessKey: SECRET } });
      assert.equal((await sink.statusLike('sink', /^expected a valid access key and secret for bucket/)).fill, 'red');
      assert.match(
        sink.sentence(),
        /for bucket "sluice" at http:\S+, got SignatureDoesNotMatch; trying again in \d s$/,
      );
      const said = [...sink.logged(), ...sink.statuses('sink').map(({ text }) => text)].join('\n');
      assert.match(said, /cannot store objects; trying again/);
      assert.ok(!said.includes(SECRET), said);
    });

    it('says so of a bucket that does not exist, and loses nothing until it does', async () => {
      const place = server().missingBucket();
      await sink.load(place, { maxRecords: 1 });
      assert.equal((await sink.statusLike('sink', /^expected bucket "[0-9a-f-]+" at/)).fill, 'red');
      assert.match(sink.sentence(), /at http:\S+, got NoSuchBucket; trying again in \d s$/);
      const answered = sink.messages('stored');
      sink.send('sink', { topic: 'a', payload: 1 });
      await answered;
      await place.create();
      await sink.unload(); // does not wait for the next attempt
      assert.equal((await place.objects()).size, 1);
    });
  });

  describeWithServer('to a bucket that is not for it', startGatedBucket, (server) => {
    it('says that it has no right to write, and loses nothing until it has', async () => {
      const place = server().place();
      const user = await server().server.addUser();
      await sink.load({ ...place, credentials: { ...user } }, { maxRecords: 1 });
      await sink.statusLike('sink', /^0 objects/); // a right to list is not asked for
      sink.send('sink', { topic: 'a', payload: 1 });
      const refused = /^1 spooled; expected the right to write into bucket "sluice"/;
      assert.equal((await sink.statusLike('sink', refused)).fill, 'red');
      assert.match(sink.sentence(), /at http:\S+, got AccessDenied; trying again in \d s$/);
      await allow(server().server, user, 's3:PutObject');
      await sink.unload();
      assert.equal((await place.objects()).size, 1);
    });

    it('says that nobody has the access key', async () => {
      const { url } = server().place();
      await sink.load({ url, credentials: { accessKeyId: 'nobody', secretAccessKey: SECRET } });
      await sink.statusLike('sink', /^expected a valid access key and secret for bucket/);
      assert.match(sink.sentence(), /, got InvalidAccessKeyId; trying again in \d s$/);
    });

    it('says that the region is another', async () => {
      const { url, credentials } = server().place();
      await sink.load({ url: url.replace('us-east-1', 'eu-central-1'), credentials });
      await sink.statusLike('sink', /^expected the region of bucket "sluice" in the URL/);
      assert.match(sink.sentence(), /\(region=\) or in AWS_REGION, got AuthorizationHeaderMalformed; trying again/);
    });

    it("says that this machine's clock is wrong, and goes by the server's", async () => {
      mock.timers.enable({ apis: ['Date'], now: Date.now() - 3_600_000 });
      try {
        const place = server().place();
        await sink.load(place, { maxRecords: 1 });
        await sink.statusLike('sink', /^expected this machine's clock to agree with that of bucket/);
        sink.send('sink', { topic: 'a', payload: 1 });
        await sink.stored(1);
      } finally {
        mock.timers.reset();
      }
    });
  });
});
