import assert from 'node:assert/strict';
import type { Rejection } from '../../nodes/lib/message.js';
import type { Config } from '../../nodes/s3-sink/config.js';
import { startBucket, startFolder, type TestStore } from '../object-stores.js';
import { linesOf, useS3Sink } from '../s3-sink.js';
import { describeWithServer } from '../servers/server.js';

const RECEIVED = Date.UTC(2026, 2, 1, 7, 59, 59);

describe('s3-sink in a flow', () => {
  const sink = useS3Sink();

  describeWithServer('to a folder', startFolder, suite);
  describeWithServer('to a bucket', startBucket, suite);

  function suite(server: () => TestStore): void {
    it('stores what another program reads: a line a message, in partitions by event time', async () => {
      const place = server().place();
      await sink.load(place, { maxRecords: 3, eventTime: 'payload.ts' });
      const done = sink.messages('stored', 3);
      const payloads = [
        { ts: '2026-03-01T10:15:00+02:00', t: 21.5, text: 'größer\nals' },
        { ts: Date.UTC(2026, 2, 1, 8, 59), t: -1 },
        { ts: '2026-03-01T08:00', nested: { raw: Buffer.from('raw') } },
      ];
      for (const [index, payload] of payloads.entries()) {
        sink.send('sink', { topic: 'device/7', identity: `id-${index}`, receivedAt: RECEIVED, payload });
      }
      const messages = await done;
      assert.ok(messages.every((message) => message['spooled'] === true));
      const keys = new Set(messages.map((message) => message['object']));
      await sink.stored(3);
      const objects = await place.objects();
      assert.deepEqual([...objects.keys()], [...keys]);
      const [[key, body] = ['', Buffer.alloc(0)]] = objects;
      const folder = 'device/year=2026/month=03/day=01/hour=08/';
      const uuidv7 = '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}';
      assert.match(key, new RegExp(`^${folder}${sink.instanceName()}-${uuidv7}\\.ndjson\\.gz$`));
      assert.deepEqual(linesOf(body), [
        { identity: 'id-0', topic: 'device/7', receivedAt: RECEIVED, payload: payloads[0] },
        { identity: 'id-1', topic: 'device/7', receivedAt: RECEIVED, payload: payloads[1] },
        {
          identity: 'id-2',
          topic: 'device/7',
          receivedAt: RECEIVED,
          payload: { ts: '2026-03-01T08:00', nested: { raw: Buffer.from('raw').toString('base64') } },
        },
      ]);
      assert.deepEqual(sink.counters(), {
        received: 3,
        spooled: 3,
        stored: 3,
        drained: 3,
        objects: 1,
        bytes: body.length,
      });
    });

    it('gives a part of a message the identity of the whole with its index, in both formats', async () => {
      const parts = (index: number): object => ({ id: 'p', type: 'array', index, count: 2 });
      const messages = [0, 1].map((index) => ({ identity: 'a:1', payload: { index }, parts: parts(index) }));
      for (const format of ['ndjson', 'csv'] as const) {
        const place = server().place();
        await sink.load(place, { maxRecords: 2, compression: 'none', format });
        for (const message of messages) sink.send('sink', { topic: 'device/7', receivedAt: RECEIVED, ...message });
        await sink.stored(2);
        const [body] = (await place.objects()).values();
        assert.match(body?.toString() ?? '', /a:1#0[^]*a:1#1/);
        await sink.unload();
        sink.newUserFolder();
      }
    });

    it('stores an object when the next record would make it too large', async () => {
      const place = server().place();
      const key = '{topic}/{batch}.ndjson';
      await sink.load(place, { maxBytes: 1_024, key, compression: 'none', line: 'payload', maxAgeSeconds: 0.3 });
      const payloads = ['a'.repeat(500), 'b'.repeat(500), 'c'.repeat(500), 'd'.repeat(5_000), 'e'];
      for (const payload of payloads) sink.send('sink', { topic: 'a/b', payload });
      await sink.stored(5);
      const objects = await place.objects();
      const contents = [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, body]) => linesOf(body));
      assert.deepEqual(
        contents.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
        [payloads.slice(0, 2), payloads.slice(2, 3), payloads.slice(3, 4), payloads.slice(4)],
      );
      for (const path of objects.keys()) assert.match(path, /^a%2Fb\/[0-9a-f-]{36}\.ndjson$/);
    });

    it('stores an object that has reached its age', async () => {
      const place = server().place();
      await sink.load(place, { maxAgeSeconds: 0.05 });
      for (const payload of [1, 2]) sink.send('sink', { topic: 'device/7', payload });
      await sink.stored(2);
      assert.equal((await place.objects()).size, 1);
      assert.equal((await sink.statusLike('sink', /^1 object, 2 records$/)).fill, 'green');
    });

    it('stores what is open when it closes', async () => {
      const place = server().place();
      await sink.load(place, { maxAgeSeconds: 3_600 });
      for (const topic of ['a', 'a', 'b']) sink.send('sink', { topic, payload: topic });
      await sink.received(3);
      await sink.unload();
      const objects = await place.objects();
      assert.deepEqual([...objects.keys()].map((path) => path.split('/')[0]).sort(), ['a', 'b']);
      assert.deepEqual([...objects.values()].map((body) => linesOf(body).length).sort(), [1, 2]);
    });

    it('lets no value of a message leave the folder of the key', async () => {
      const place = server().place();
      await sink.load(place, { maxRecords: 1, key: '{topic}/{payload.id}/{batch}.ndjson.gz' });
      const hostile: [topic: string, id: unknown, outcome: string][] = [
        ['../../etc', 'x', '..%2F..%2Fetc/x'],
        ['/abs', '%2e%2e', '%2Fabs/%252e%252e'],
        ['a\0\n\\b', "'*~!()", 'a%00%0A%5Cb/%27%2A%7E%21%28%29'],
        ['温度', '\ud800', '%E6%B8%A9%E5%BA%A6/%EF%BF%BD'],
        ['..', 'x', 'key'],
        ['.', 'x', 'key'],
        ['a', '..', 'key'],
        ['ä'.repeat(400), 'x', 'key'],
        ['', 'x', 'key-field'],
        ['a', undefined, 'key-field'],
        ['a', null, 'key-field'],
        ['a', {}, 'key-field'],
      ];
      for (const [topic, id, outcome] of hostile) {
        const next = Promise.race([sink.messages('stored'), sink.messages('rejected')]);
        sink.send('sink', { topic, payload: { id } });
        const [message] = await next;
        const key = (message?.['object'] ?? '') as string;
        assert.equal(message?.rejection?.code ?? key.slice(0, key.lastIndexOf('/')), outcome, JSON.stringify(topic));
      }
      await sink.stored(hostile.filter(([, , outcome]) => outcome.includes('/')).length);
      const folders = [...(await place.objects()).keys()].map((key) => key.slice(0, key.lastIndexOf('/')));
      assert.deepEqual(
        folders.sort(),
        hostile.flatMap(([, , outcome]) => (outcome.includes('/') ? [outcome] : [])).sort(),
      );
    });

    it('rejects what JSON cannot carry, and only that', async () => {
      const place = server().place();
      await sink.load(place, { maxRecords: 2 });
      const rejected = sink.messages('rejected', 3);
      const cycle: Record<string, unknown> = {};
      cycle['self'] = cycle;
      for (const payload of ['first', { big: 1n }, cycle, undefined, Buffer.from([0, 255])]) {
        sink.send('sink', { topic: 'a', payload });
      }
      const rejections = (await rejected).map((message) => message.rejection as Rejection);
      assert.deepEqual(new Set(rejections.map(({ code }) => code)), new Set(['payload']));
      assert.match(rejections[2]?.message ?? '', /^expected a payload that JSON can carry, got nothing$/);
      await sink.stored(2);
      const [body = Buffer.alloc(0)] = (await place.objects()).values();
      const [first, second] = linesOf(body) as Record<string, unknown>[];
      assert.equal(first?.['payload'], 'first');
      assert.deepEqual([second?.['payload'], second?.['payloadEncoding']], ['AP8=', 'base64']);
    });
  }

  describe('with wrong settings', () => {
    const wrong: [settings: Partial<Config>, expected: RegExp][] = [
      [{ store: 'nothing' }, /\/store: expected a node of type object-store, got none with this id/],
      [{ store: '' }, /\/store: expected a node of type object-store, got none/],
      [{ key: '{topic' }, /\/key: expected a }/],
      [{ key: '{topic[0]}.ndjson.gz' }, /\/key: expected \{batch\} in the key/],
      [{ key: '{batch.id}.ndjson.gz' }, /\/key: expected \{batch\} in the key/],
      [{ key: '{batch}.ndjson' }, /\/key: expected a key that ends in \{suffix\} or \.ndjson\.gz with ndjson and gzip/],
      [
        { key: '{batch}.ndjson.gz', compression: 'none' },
        /or \.ndjson with ndjson and none, got "\{batch\}\.ndjson\.gz"/,
      ],
      [{ key: '{batch}.ndjson.gz', compression: 'zstd' }, /or \.ndjson\.zst with ndjson and zstd, got/],
      [{ key: '{batch}.csv.gz' }, /or \.ndjson\.gz with ndjson and gzip, got "\{batch\}\.csv\.gz"/],
      [{ key: '{batch}.json.gz', format: 'csv' }, /or \.csv\.gz with csv and gzip, got/],
      [{ key: '{suffix}/{batch}' }, /expected a key that ends in \{suffix\}/],
      [{ columns: [], format: 'csv' }, /\/columns: expected at least 1 items/],
      [{ columns: [{ header: '', path: 'payload' }], format: 'csv' }, /\/columns\/0\/header: expected at least 1 char/],
      [{ tags: [{ name: 'a', value: 'b&c' }] }, /\/tags\/0\/value: expected a text that matches/],
      [{ storageClass: 'cold storage' }, /\/storageClass: expected a text that matches/],
      [{ key: '/{batch}.gz' }, /\/key: expected an object key that does not begin with \//],
      [{ key: 'a/../{batch}.gz' }, /\/key: expected an object key without the folders/],
      [{ eventTime: 'payload..ts' }, /\/eventTime: expected a path/],
      [{ maxRecords: 0 }, /\/maxRecords: expected a number >= 1, got number 0/],
    ];
    for (const [settings, expected] of wrong) {
      it(`is red and names the setting: ${JSON.stringify(settings)}`, async () => {
        await sink.load({ url: 'file:///tmp/sluice-never-written', credentials: {} }, settings);
        const [status] = sink.statuses('sink');
        assert.equal(status?.fill, 'red');
        const [path = ''] = Object.keys(settings);
        assert.ok(status.text.startsWith(`/${path}`), status.text);
        assert.match(sink.logged().join('\n'), expected);
      });
    }
  });
});
