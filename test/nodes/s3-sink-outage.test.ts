import assert from 'node:assert/strict';
import type { Message } from '../../nodes/lib/message.js';
import { startBucket, startFolder, startFragileBucket, type FragileTestStore } from '../object-stores.js';
import { linesOf, useS3Sink } from '../s3-sink.js';
import { describeWithServer } from '../servers/server.js';

const SECRET = 'a-secret-that-nobody-may-see';

describe('s3-sink', () => {
  const sink = useS3Sink();

  describeWithServer('to a folder that goes away', startFolder, outage);
  describeWithServer('to a bucket that goes away', startFragileBucket, outage);

  function outage(server: () => FragileTestStore): void {
    it('stores everything once it is back, each object once', async () => {
      const place = server().place();
      await sink.load(place, { maxRecords: 2 });
      let stored = sink.messages('stored', 2);
      for (const payload of [1, 2]) sink.send('sink', { topic: 'a', payload });
      const before = await stored;

      await server().interrupt();
      stored = sink.messages('stored', 4);
      for (const payload of [3, 4, 5, 6]) sink.send('sink', { topic: 'a', payload });
      assert.equal((await sink.statusLike('sink', /^expected /)).fill, 'red');
      assert.match(sink.sentence(), /^expected .*, got .*; trying again in \d s$/);

      await server().resume();
      const after = await stored;
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
      sink.send('sink', { topic: 'a', payload: 1 });
      await sink.received(1);
      assert.deepEqual([sink.open(), sink.counters()['failed']], [1, undefined]);
      await place.create();
      await sink.unload(); // does not wait for the next attempt
      assert.equal((await place.objects()).size, 1);
    });
  });
});
