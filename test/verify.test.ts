import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { connectAsync } from 'mqtt';
import { MongoClient } from 'mongodb';
import { stringify } from '../nodes/bundled/csv-stringify.js';
import { openObjectStore } from '../nodes/object-store/store.js';
import { startDocumentStore } from '../runtime/embedded/document-store/server.js';
import { startMosquitto } from './servers/mosquitto.js';
import { describeWithServer } from './servers/server.js';
import { startVersitygw } from './servers/versitygw.js';
import { runSluice, RunningSluice, Sluice, temporaryFolder, until, type Result } from './sluice.js';

interface Named {
  readonly count: number;
  readonly ids: readonly string[];
}

interface Findings {
  readonly right: boolean;
  readonly expected: number;
  readonly stored: number;
  readonly missing: Named;
  readonly twice: Named;
  readonly refusedStored: Named;
  readonly unanswered: { readonly ids: number; readonly stored: number };
  readonly others: number;
  readonly unidentified: number;
  readonly rows: readonly { readonly fault: string; readonly ids: number; readonly stored: number }[];
}

const GATEWAY = join(import.meta.dirname, '../flows/article-gateway.json');
const SECRET = 'p@ss:w/rd';

describe('sluice verify', function () {
  this.timeout(120_000);
  let folder: ReturnType<typeof temporaryFolder>;
  let running: Sluice | undefined;
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    await running?.stop('SIGKILL');
    running = undefined;
    folder.remove();
  });

  const findingsOf = ({ stdout, stderr }: Result): Findings => {
    assert.match(stdout, /^\{.*\}\n$/, stderr);
    const answer = JSON.parse(stdout) as Findings & { verify?: Findings };
    return answer.verify ?? answer;
  };

  describe('a whole flow', () => {
    const ALL = [
      ...['malformed=0.05', 'missing-field=0.05', 'out-of-range=0.05', 'duplicate=0.05', 'gap=0.05'],
      ...['reorder=0.05', 'late=0.05', 'clock-skew=0.2', 'disconnect=0.01'],
    ].flatMap((share) => ['--fault', share]);
    const REFUSED = ['--rejected', 'malformed,missing-field,out-of-range'];

    it('has stored in documents and objects all that it should, once, and what is wrong nowhere', async () => {
      const sluice = (running = await RunningSluice.start(folder.path));
      const { mqtt, mongodb, objects } = sluice.ready;
      const manifest = join(folder.path, 'sent.ndjson');
      const devices = ['-n', '10', '-r', '50', '-q', '1', '--count', '1000', '--seq', '--ts', '--id'];
      const result = await runSluice([
        ...['simulate', '-b', mqtt, '--seed', 'a', ...devices, ...ALL, '--manifest', manifest],
        ...['--verify', mongodb, ...REFUSED, '--json'],
      ]);
      assert.equal(result.code, 0, result.stdout + result.stderr);
      const documents = findingsOf(result);
      assert.deepEqual([documents.right, documents.missing.count, documents.twice.count], [true, 0, 0]);
      assert.equal(documents.stored, documents.expected);
      const row = (fault: string) => documents.rows.find((one) => one.fault === fault) ?? assert.fail(fault);
      for (const fault of ['malformed', 'missing-field', 'out-of-range']) assert.equal(row(fault).stored, 0);
      for (const fault of ['duplicate', 'gap', 'reorder', 'late', 'clock-skew', 'disconnect', 'none']) {
        assert.ok(row(fault).ids > 0, fault);
        assert.equal(row(fault).stored, row(fault).ids, fault);
      }

      const again = await runSluice([
        'verify',
        '--manifest',
        manifest,
        ...REFUSED,
        '--json',
        pathToFileURL(objects).href,
      ]);
      const lines = findingsOf(again);
      assert.deepEqual([again.code, lines.right, lines.stored], [0, true, documents.stored]);
      assert.equal(lines.twice.count, 0, 'within an instance objects hold each identity once');

      // The same, told that the flow refuses nothing: what it refused is missing.
      const naive = await runSluice([
        ...['verify', '--manifest', manifest, '--rejected', 'none', '--verify-within', '0.1', mongodb],
      ]);
      assert.equal(naive.code, 1);
      const missing = row('malformed').ids + row('missing-field').ids + row('out-of-range').ids;
      assert.match(naive.stdout, new RegExp(`\\nNOT verified: .*, ${missing} missing, 0 twice, `));
    });

    it('keeps no id that the simulation knows: said, with what to do', async () => {
      const sluice = (running = await RunningSluice.start(folder.path, [GATEWAY]));
      const { mqtt, mongodb } = sluice.ready;
      const uri = mongodb.replace(/\/[^/]*$/, '/mongogw');
      const where = ['simulate', '-b', mqtt, '-q', '1', '--count', '20', '-r', '100', '--id', '--verify', uri];
      const { code, stdout } = await runSluice([...where, '--verify-within', '1']);
      assert.equal(code, 1);
      assert.match(
        stdout,
        /\nexpected the id of a message in each record \(as _id, .*\), got none of this simulation: let the sink/,
      );
      assert.match(stdout, /\nNOT verified: 0 of 20 stored, 20 missing, .*mongogw\.devices\)\n$/);
    });

    it('says what was stored though it should have been refused', async () => {
      const flow = JSON.parse(readFileSync(GATEWAY, 'utf8')) as { type: string; identity?: string }[];
      const identified = join(folder.path, 'flow.json');
      const ingest = flow.find(({ type }) => type === 'mqtt-ingest') ?? assert.fail();
      ingest.identity = '{payload.id}';
      writeFileSync(identified, JSON.stringify(flow));
      const sluice = (running = await RunningSluice.start(folder.path, [identified]));
      const uri = sluice.ready.mongodb.replace(/\/[^/]*$/, '/mongogw');
      const result = await runSluice([
        ...['simulate', '-b', sluice.ready.mqtt, '-q', '1', '--count', '50', '-r', '100', '--id'],
        ...['--fault', 'out-of-range=0.5', '--rejected', 'out-of-range', '--verify', uri, '--json'],
      ]);
      const { right, stored, expected, missing, refusedStored } = findingsOf(result);
      assert.deepEqual([result.code, right, missing.count, stored + refusedStored.count], [1, false, 0, 50]);
      assert.ok(expected < 50);
    });

    it('waits for what is stored late, and says what is not by its id', async () => {
      const store = await startDocumentStore({
        directory: folder.path,
        port: 0,
        host: '127.0.0.1',
        log: () => undefined,
      });
      const client = new MongoClient(store.uri);
      try {
        const sent = manifestOf(10);
        const file = writeManifest(sent);
        const collection = client.db('v').collection<{ _id: string }>('devices');
        await collection.insertMany(sent.slice(0, 8).map(({ id }) => ({ _id: id })));
        running = new Sluice(['verify', '--manifest', file, `${store.uri}v`, '--verify-within', '60']);
        await until(
          () => running?.stderr ?? '',
          (text) => text.includes('8 of 10 stored, waiting for more'),
        );
        await collection.insertMany(sent.slice(8).map(({ id }) => ({ _id: id })));
        const { code, stdout } = await running.ended;
        assert.equal(code, 0);
        assert.match(stdout, /\nverified: 10 of 10 stored, 0 missing, 0 twice, 0 stored that should not be \(127/);

        await collection.deleteOne({ _id: sent[3]?.id ?? '' });
        const short = await runSluice(['verify', '--manifest', file, `${store.uri}v`, '--verify-within', '0.1']);
        assert.equal(short.code, 1);
        assert.match(
          short.stdout,
          new RegExp(`\\nmissing: ${sent[3]?.id ?? ''}\\nNOT verified: 9 of 10 stored, 1 missing`),
        );
      } finally {
        await client.close();
        await store.stop();
      }
    });

    it('logs in with the variables, says a wrong password once, and shows it nowhere', async () => {
      const login = { SLUICE_MONGODB_USER: 'mongogw', SLUICE_MONGODB_PASSWORD: SECRET };
      const sluice = (running = await RunningSluice.start(folder.path, [], login));
      const file = writeManifest(manifestOf(1));
      const wrong = await runSluice(['verify', '--manifest', file, sluice.ready.mongodb], {
        ...login,
        SLUICE_MONGODB_PASSWORD: 'wrong-secret',
      });
      assert.equal(wrong.code, 1);
      assert.match(wrong.stderr, /^sluice: expected 127\.0\.0\.1:\d+\/sluice\.devices to be read, got .*[Aa]uth/m);
      assert.doesNotMatch(wrong.stderr, /wrong-secret/);
      const right = await runSluice(
        ['verify', '--manifest', file, sluice.ready.mongodb, '--verify-within', '0.1'],
        login,
      );
      assert.match(right.stdout, /\nNOT verified: 0 of 1 stored, 1 missing/);
    });
  });

  describe('objects', () => {
    const line = (id: string): string =>
      JSON.stringify({ identity: id, topic: 't', receivedAt: 1, payload: { value: 1 } });
    const payload = (id: string): string => JSON.stringify({ id, value: 1, text: 'a, "b"\n' });
    const FORMATS: Record<string, (ids: string[]) => string> = {
      '.ndjson': (ids) => ids.map((id) => `${line(id)}\n`).join(''),
      '-payload.ndjson': (ids) => ids.map((id) => `${payload(id)}\n`).join(''),
      '.csv': (ids) => stringify([['identity', 'payload'], ...ids.map((id) => [id, 'a, "b"\r\n\nc'])]),
      '-payload.csv': (ids) => stringify(ids.map((id) => ['', '', payload(id)])),
    };
    const COMPRESSIONS: Record<string, (text: string) => Buffer> = {
      '': (text) => Buffer.from(text),
      '.gz': (text) => gzipSync(text),
      '.zst': (text) => zstdCompressSync(text),
    };

    for (const [format, write] of Object.entries(FORMATS)) {
      for (const [suffix, compress] of Object.entries(COMPRESSIONS)) {
        it(`reads ${format}${suffix}: what is there, twice, missing, refused, and of others`, async () => {
          const sent = manifestOf(8, { 6: 'malformed', 7: 'malformed' });
          const ids = sent.map(({ id }) => id);
          const there = [...ids.slice(0, 5), ids[0] ?? '', ids[6] ?? '', 'another:r:1'];
          const objects = join(folder.path, 'objects/year=2026');
          mkdirSync(objects, { recursive: true });
          writeFileSync(join(objects, `a${format}${suffix}`), compress(write(there.slice(0, 3))));
          writeFileSync(join(objects, `b${format}${suffix}`), compress(write(there.slice(3))));
          writeFileSync(join(objects, `.c${format}${suffix}`), 'not whole');
          writeFileSync(join(objects, 'README.txt'), 'no object of ours');
          const uri = pathToFileURL(join(folder.path, 'objects')).href;
          const result = await runSluice([
            'verify',
            '--manifest',
            writeManifest(sent),
            '--json',
            '--verify-within',
            '0.1',
            uri,
          ]);
          assert.equal(result.code, 1);
          const { expected, stored, missing, twice, refusedStored, others } = findingsOf(result);
          assert.deepEqual([expected, stored], [6, 5]);
          assert.deepEqual([missing.ids, twice.ids, refusedStored.ids], [[ids[5]], [ids[0]], [ids[6]]]);
          // The header line of CSV is a record like the others to a reader that does not know whether there is one.
          assert.equal(others, format === '.csv' ? 3 : 1);
        });
      }
    }

    it('says which object cannot be read', async () => {
      writeFileSync(join(folder.path, 'a.ndjson.gz'), gzipSync('{"identity":"x"}\n'.repeat(10_000)).subarray(0, 60));
      const uri = pathToFileURL(folder.path).href;
      const { code, stderr } = await runSluice(['verify', '--manifest', writeManifest(manifestOf(1), 'm.txt'), uri]);
      assert.equal(code, 1);
      assert.match(stderr, /^sluice: expected a\.ndjson\.gz in folder .* to be read, got unexpected end of file$/m);
    });

    describeWithServer('in a bucket', startVersitygw, (server) => {
      const environment = () => ({
        AWS_ACCESS_KEY_ID: server().credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: server().credentials.secretAccessKey,
      });
      const place = (): string => {
        const url = new URL(server().url);
        url.pathname = `/${randomUUID()}`;
        return url.href;
      };

      it('reads them as in a folder, more than one page of them', async () => {
        const sent = manifestOf(1_100);
        const url = place();
        const store = openObjectStore(url, server().credentials);
        for (let index = 0; index < 1_099; index += 50) {
          const some = sent.slice(index, Math.min(index + 50, 1_099));
          await Promise.all(
            some.map(({ id }, at) =>
              store.put(`day=${index}/${at}.ndjson.gz`, gzipSync(`${line(id)}\n`), { contentType: 'application/gzip' }),
            ),
          );
        }
        store.close();
        const result = await runSluice(
          ['verify', '--manifest', writeManifest(sent), '--json', '--verify-within', '0.1', url],
          environment(),
        );
        assert.equal(result.code, 1);
        const { stored, missing } = findingsOf(result);
        assert.deepEqual([stored, missing.ids], [1_099, [sent[1_099]?.id]]);
      });

      it('says that the secret is wrong, without it', async () => {
        const { code, stderr } = await runSluice(['verify', '--manifest', writeManifest(manifestOf(1)), place()], {
          ...environment(),
          AWS_SECRET_ACCESS_KEY: 'wrong-secret',
        });
        assert.equal(code, 1);
        assert.match(
          stderr,
          /^sluice: expected a valid access key and secret for bucket .*, got SignatureDoesNotMatch$/m,
        );
        assert.doesNotMatch(stderr, /wrong-secret/);
      });
    });
  });

  describe('the manifest', () => {
    describeWithServer('of a simulation', startMosquitto, (server) => {
      it('has each message as it was published: id, seq, fault, topic and the hash of the payload', async () => {
        const client = await connectAsync(server().url, { protocolVersion: 5, reconnectPeriod: 0 });
        const got: { id: string; fault: string | undefined; topic: string; sha256: string }[] = [];
        client.on('message', (topic, payload, { properties }) => {
          const { 'message-id': id, fault } = properties?.userProperties as { 'message-id': string; fault?: string };
          got.push({ id, fault, topic, sha256: createHash('sha256').update(payload).digest('hex') });
        });
        const topic = randomUUID();
        await client.subscribeAsync(`${topic}/+`, { qos: 1 });
        const file = join(folder.path, 'sent.ndjson');
        const { code } = await runSluice([
          ...[
            'simulate',
            '-b',
            server().url,
            '-q',
            '1',
            '-n',
            '3',
            '-r',
            '200',
            '--count',
            '100',
            '--topic',
            `${topic}/{uuid}`,
          ],
          ...['--fault', 'malformed=0.2', '--fault', 'duplicate=0.2', '--manifest', file, '--run', 'r', '--seed', 's'],
        ]);
        assert.equal(code, 0);
        const [head, ...lines] = readFileSync(file, 'utf8')
          .trimEnd()
          .split('\n')
          .map((text) => JSON.parse(text) as Record<string, unknown>);
        assert.deepEqual({ ...head, startedAt: undefined }, { manifest: 1, run: 'r', seed: 's', startedAt: undefined });
        await until(
          () => got.length,
          (length) => length >= 100,
        );
        await client.endAsync();
        const sorted = (all: object[]): string[] => all.map((one) => JSON.stringify(one)).sort();
        const named = lines.map(({ id, fault, topic: on, sha256 }) => ({ id, fault, topic: on, sha256 }));
        assert.deepEqual(sorted(named), sorted(got));
        for (const { id, seq, published } of lines)
          assert.deepEqual([String(id).split(':')[2], published], [String(seq), true]);
        assert.ok(lines.some(({ fault }) => fault === 'malformed') && lines.some(({ fault }) => fault === 'duplicate'));
      });
    });

    for (const [text, sentence] of [
      ['', /m\.ndjson: expected the manifest of a simulation, got an empty file/],
      ['{"a":1}\n', /m\.ndjson:1: expected a manifest of version 1, got another file/],
      ['{"manifest":2}\n', /m\.ndjson:1: expected a manifest of version 1, got 2/],
      ['{"manifest":1}\n{"id":"a"', /m\.ndjson:2: expected JSON, got /],
      ['{"manifest":1}\n{"id":"a"}\n', /m\.ndjson:2: expected \{"id", "fault", "published"\}, got another line/],
      ['{"manifest":1}\n{"id":"a","published":true,"fault":"fire"}', /m\.ndjson:2: expected \{"id"/],
    ] as const) {
      it(`${JSON.stringify(text)} is none, and the place is told`, async () => {
        const file = join(folder.path, 'm.ndjson');
        writeFileSync(file, text);
        const { code, stderr, stdout } = await runSluice(['verify', '--manifest', file, 'file:///nowhere']);
        assert.deepEqual([code, stdout], [1, '']);
        assert.match(stderr, sentence);
      });
    }

    it('cannot be written: said before anything is published', async () => {
      const { code, stderr } = await runSluice([
        'simulate',
        '-b',
        '127.0.0.1',
        '--manifest',
        join(folder.path, 'no/m'),
      ]);
      assert.equal(code, 1);
      assert.match(stderr, /^sluice: expected a file to write the manifest to, got ENOENT/);
    });
  });

  for (const [parameters, code, sentence] of [
    [['http://a'], 1, /expected s3:\/\/ or file:\/\/\/, got http:\/\//],
    [['mongodb://127.0.0.1:1'], 1, /expected a name, here or in the path of the URI, got neither/],
    [
      ['mongodb://127.0.0.1:1/v', '--verify-within', '0.1'],
      1,
      /expected 127\.0\.0\.1:1\/v\.devices to be read, got .*ECONNREFUSED/,
    ],
    [['file:///a', '--rejected', 'fire'], 2, /expected faults of malformed, .*, or none, got "fire"/],
    [['file:///a', '--verify-within', '0'], 2, /expected a number above 0, got "0"/],
    [[], 2, /missing required argument 'uri'/],
  ] as const) {
    it(`${parameters.join(' ')} ends with ${code} and says what was expected`, async () => {
      const file = writeManifest(manifestOf(1));
      const result = await runSluice(['verify', '--manifest', file, ...parameters]);
      assert.equal(result.code, code);
      assert.match(result.stderr, sentence);
      assert.doesNotMatch(result.stderr, /^\s+at /m, 'no stack');
    });
  }

  /** Ids as devices have them, with the fault of some. */
  function manifestOf(count: number, faults: Readonly<Record<number, string>> = {}): { id: string; fault?: string }[] {
    const uuid = randomUUID();
    return Array.from({ length: count }, (_value, index) => {
      const fault = faults[index];
      return { id: `${uuid}:r:${index + 1}`, ...(fault !== undefined && { fault }) };
    });
  }

  function writeManifest(sent: readonly { id: string; fault?: string }[], name = 'manifest'): string {
    const file = join(folder.path, name);
    const lines = [{ manifest: 1 }, ...sent.map((message) => ({ ...message, published: true }))];
    writeFileSync(file, lines.map((one) => `${JSON.stringify(one)}\n`).join(''));
    return file;
  }
});
