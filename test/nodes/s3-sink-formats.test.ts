import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Message } from '../../nodes/lib/message.js';
import type { Config } from '../../nodes/s3-sink/config.js';
import { startBucket, startFolder, type TestPlace } from '../object-stores.js';
import { linesOf, textOf, useS3Sink } from '../s3-sink.js';
import { startCsvReader } from '../servers/csv-reader.js';
import { describeWithServer } from '../servers/server.js';

const RECEIVED = Date.UTC(2026, 2, 1, 7, 59, 59);

describe('s3-sink formats', () => {
  const sink = useS3Sink();

  /** Sends messages, waits until they are stored as one object, and gives it. */
  async function store(
    place: TestPlace,
    messages: Message[],
    settings: Partial<Config>,
  ): Promise<{ key: string; body: Buffer }> {
    await sink.load(place, { maxRecords: messages.length, key: '{batch}{suffix}', ...settings });
    for (const message of messages) sink.send('sink', message);
    await sink.stored(messages.length);
    const [[key, body] = ['', Buffer.alloc(0)], ...others] = await place.objects();
    assert.deepEqual(others, []);
    return { key, body };
  }

  describeWithServer('as Python reads CSV', startFolderAndReader, (server) => {
    const csv = async (messages: Message[], settings: Partial<Config>): Promise<string[][]> => {
      const { body } = await store(server().place(), messages, { format: 'csv', ...settings });
      return server().read(textOf(body));
    };
    const columns = (...paths: string[]): Config['columns'] => paths.map((path) => ({ header: path, path }));

    it('has a column for each row of the form, and every value as it was', async () => {
      const values: [value: unknown, cell: string][] = [
        ['plain', 'plain'],
        ['a, "b"\nc\r\nd\re', 'a, "b"\nc\r\nd\re'],
        [' größer; 温度 ', ' größer; 温度 '],
        ['', ''],
        [-21.5, '-21.5'],
        [1e21, '1e+21'],
        [0, '0'],
        [12n ** 20n, String(12n ** 20n)],
        [Number.NaN, ''],
        [true, 'true'],
        [false, 'false'],
        [null, ''],
        [undefined, ''],
        [new Date(RECEIVED), '2026-03-01T07:59:59.000Z'],
        [new Date(Number.NaN), ''],
        [Buffer.from([0, 255]), 'AP8='],
        [['a', { b: 1 }], '["a",{"b":1}]'],
        [{ at: new Date(RECEIVED), raw: Buffer.from('raw') }, '{"at":"2026-03-01T07:59:59.000Z","raw":"cmF3"}'],
        ['=1+1', '=1+1'],
      ];
      const messages = values.map(([value], index) => ({
        topic: `device/${index}`,
        receivedAt: RECEIVED,
        payload: { value },
      }));
      const rows = await csv(messages, {
        columns: [
          { header: 'the "level", or so', path: 'topic[1]' },
          { header: 'value', path: 'payload.value' },
          ...columns('topic', 'receivedAt', 'instance', 'payload.constructor.name'),
        ],
      });
      assert.deepEqual(rows, [
        ['the "level", or so', 'value', 'topic', 'receivedAt', 'instance', 'payload.constructor.name'],
        ...values.map(([, cell], index) => [
          String(index),
          cell,
          `device/${index}`,
          String(RECEIVED),
          sink.instanceName(),
          '',
        ]),
      ]);
    });

    it('has the columns of the envelope where none were chosen, and no header line where none is wanted', async () => {
      const message = { identity: 'a:1', topic: 'device/7', receivedAt: RECEIVED, payload: { t: 21.5, b: 'x,y' } };
      const row = ['a:1', 'device/7', String(RECEIVED), '{"t":21.5,"b":"x,y"}'];
      assert.deepEqual(await csv([message], {}), [['identity', 'topic', 'receivedAt', 'payload'], row]);
      await sink.unload();
      sink.newUserFolder();
      assert.deepEqual(await csv([message], { header: false }), [row]);
    });

    it('keeps a record of which the only column is empty', async () => {
      const messages = [1, undefined, 3].map((n) => ({ payload: { n } }));
      assert.deepEqual(await csv(messages, { columns: columns('payload.n') }), [['payload.n'], ['1'], [''], ['3']]);
    });

    it('guards formulas where that is asked for, and leaves numbers alone', async () => {
      const payloads = ['=1+1', '+1', '-1', '@A1', '\t=1', '\r=1', -1, 'a=1'];
      const messages = payloads.map((payload) => ({ payload }));
      const rows = await csv(messages, { columns: columns('payload'), escapeFormulas: true });
      assert.deepEqual(rows.flat(), ['payload', "'=1+1", "'+1", "'-1", "'@A1", "'\t=1", "'\r=1", '-1', 'a=1']);
    });

    it('begins each object with the header line', async () => {
      const place = server().place();
      await sink.load(place, { format: 'csv', columns: columns('payload'), maxRecords: 1 });
      for (const payload of ['a', 'b']) sink.send('sink', { topic: 't', payload });
      await sink.stored(2);
      const texts = [...(await place.objects()).values()].map(textOf);
      assert.deepEqual(texts.sort(), ['payload\na\n', 'payload\nb\n']);
    });

    it('rejects what no column can carry, and only that', async () => {
      const place = server().place();
      await sink.load(place, { format: 'csv', columns: columns('payload.a', 'payload.b'), maxRecords: 2 });
      const cycle: Record<string, unknown> = {};
      cycle['self'] = cycle;
      const rejected = sink.messages('rejected', 2);
      for (const b of [1, cycle, { big: 1n }, 2]) sink.send('sink', { topic: 't', payload: { b } });
      const rejections = (await rejected).map(({ rejection }) => [rejection?.code, rejection?.message]);
      assert.deepEqual(new Set(rejections.map(([code]) => code)), new Set(['payload']));
      for (const [, message] of rejections) {
        assert.match(message ?? '', /^expected a value that JSON can carry in column "payload\.b", got .+/);
      }
      await sink.stored(2);
      const [body = Buffer.alloc(0)] = (await place.objects()).values();
      assert.equal(textOf(body), 'payload.a,payload.b\n,1\n,2\n');
    });
  });

  describeWithServer('in a bucket', startBucket, (server) => {
    const kinds: [Config['format'], Config['compression'], suffix: string, contentType: string][] = [
      ['ndjson', 'none', '.ndjson', 'application/x-ndjson'],
      ['ndjson', 'gzip', '.ndjson.gz', 'application/gzip'],
      ['ndjson', 'zstd', '.ndjson.zst', 'application/zstd'],
      ['csv', 'none', '.csv', 'text/csv'],
      ['csv', 'gzip', '.csv.gz', 'application/gzip'],
      ['csv', 'zstd', '.csv.zst', 'application/zstd'],
    ];
    for (const [format, compression, suffix, contentType] of kinds) {
      it(`says what they are by suffix, type and first bytes: ${format}, ${compression}`, async () => {
        const place = server().place();
        const settings = { format, compression, line: 'payload' } as const;
        const { key, body } = await store(place, [{ topic: 't', payload: 'x'.repeat(1_000) }], settings);
        assert.match(key, new RegExp(`^[0-9a-f-]{36}${suffix.replaceAll('.', '\\.')}$`));
        const { ContentType, ContentEncoding, ContentLength } = await place.head(key);
        assert.deepEqual([ContentType, ContentEncoding, ContentLength], [contentType, undefined, body.length]);
        assert.equal(body.length < 500, compression !== 'none');
        assert.ok(textOf(body).includes('x'.repeat(1_000)));
      });
    }

    it('takes a key whose end was typed and says nothing wrong', async () => {
      const keys: [key: string, compression: Config['compression']][] = [
        ['{batch}.json.gz', 'gzip'],
        ['{batch}.gz', 'gzip'],
        ['{batch}', 'none'],
        ['{batch}.jsonl.zst', 'zstd'],
      ];
      for (const [key, compression] of keys) {
        const { body } = await store(server().place(), [{ payload: 1 }], { key, compression, line: 'payload' });
        assert.deepEqual(linesOf(body), [1]);
        await sink.unload();
      }
    });

    it('have tags, also when they were sent in parts', async () => {
      const tags = { retention: '90 days + 1', 'cost=centre': 'Öfen' };
      for (const length of [10, 9_000_000]) {
        const place = server().place();
        const { key } = await store(place, [{ payload: 'x'.repeat(length) }], {
          compression: 'none',
          tags: Object.entries(tags).map(([name, value]) => ({ name, value })),
        });
        assert.deepEqual(await place.tags(key), tags);
        await sink.unload();
      }
    });

    it('have metadata: the flow, the node, the count, the first and the last event', async () => {
      const place = server().place();
      const times = ['2026-03-01T08:10:00Z', 'none', '2026-03-01T08:30:00Z', '2026-03-01T08:20:00Z'];
      const messages = times.map((ts) => ({ receivedAt: RECEIVED, payload: { ts } }));
      const { key, body } = await store(place, messages, {
        name: 'Öfen 100 %',
        eventTime: 'payload.ts',
        key: '{batch}{suffix}',
      });
      assert.deepEqual((await place.head(key)).Metadata, {
        'flow-id': 'tab',
        'flow-name': 'Werk 3: %C3%96fen',
        'node-id': 'sink',
        'node-name': '%C3%96fen 100 %25',
        instance: sink.instanceName(),
        records: '4',
        'first-event': '2026-03-01T07:59:59.000Z',
        'last-event': '2026-03-01T08:30:00.000Z',
        sha256: createHash('sha256').update(body).digest('hex'),
      });
    });
  });
});

async function startFolderAndReader() {
  const [reader, folder] = await Promise.all([startCsvReader(), startFolder()]);
  return { ...folder, read: (csv: string) => reader.read(csv) };
}
