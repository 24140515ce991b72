import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import objectStore from '../../nodes/object-store/object-store.js';
import { openObjectStore, type ObjectStore } from '../../nodes/object-store/store.js';
import { ConfigError, RejectedError, UnavailableError } from '../../nodes/lib/errors.js';
import { parseObjectStoreUrl } from '../../nodes/lib/object-store-url.js';
import { useNodeRed } from '../node-red.js';
import { startBucket, startFolder, type TestPlace, type TestStore } from '../object-stores.js';
import { describeWithServer } from '../servers/server.js';
import { isProblem, SECRET } from '../store-problems.js';

const OPTIONS = { contentType: 'application/x-ndjson' };
describe('an object store', () => {
  describeWithServer('in a folder', startFolder, contract);
  describeWithServer('in a bucket', startBucket, contract);

  /** What every object store does. */
  function contract(server: () => TestStore): void {
    let place: TestPlace;
    let store: ObjectStore;
    beforeEach(() => {
      place = server().place();
      store = openObjectStore(place.url, place.credentials);
    });
    afterEach(() => store.close());

    it('stores what it is given, byte by byte, under its key', async () => {
      const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7) % 256));
      await store.put('device/year=2026/month=03/a.bin', bytes, OPTIONS);
      assert.deepEqual(await place.objects(), new Map([['device/year=2026/month=03/a.bin', bytes]]));
    });

    it('stores an empty object', async () => {
      await store.put('empty', Buffer.alloc(0), OPTIONS);
      assert.deepEqual(await place.objects(), new Map([['empty', Buffer.alloc(0)]]));
    });

    for (const [size, bytes] of [
      ['a small', 100],
      ['a large', 20 * 1024 * 1024],
    ] as const) {
      it(`leaves ${size} object of the same key as it is, and knows its own again`, async () => {
        const [first, second] = [randomBytes(bytes), randomBytes(bytes)];
        assert.equal(await store.put('a/b', first, OPTIONS), 'stored');
        assert.equal(await store.put('a/b', second, OPTIONS), 'taken');
        assert.equal(await store.put('a/b', first, OPTIONS), 'found');
        const objects = await place.objects();
        assert.deepEqual([...objects.keys()], ['a/b']);
        assert.ok(objects.get('a/b')?.equals(first));
      });
    }

    it('gives a key to one of those that want it at the same time', async () => {
      const bodies = Array.from({ length: 10 }, () => randomBytes(1_000));
      const outcomes = await Promise.all(bodies.map((body) => store.put('a', body, OPTIONS)));
      assert.deepEqual(outcomes.toSorted(), ['stored', ...Array<string>(9).fill('taken')]);
      assert.deepEqual(await place.objects(), new Map([['a', bodies[outcomes.indexOf('stored')]]]));
    });

    it('takes keys as they are', async () => {
      const keys = ['a%2Fb', 'a b+c&d', 'größe/温度', 'x=1/y=%20', '..a/b..', '.hidden', "it's (1)!~*"];
      for (const key of keys) await store.put(key, Buffer.from(key), OPTIONS);
      const objects = await place.objects();
      assert.deepEqual([...objects.keys()].sort(), [...keys].sort());
      for (const key of keys) assert.equal(objects.get(key)?.toString(), key);
    });

    it('stores many objects at once in folders that do not exist yet', async () => {
      const keys = Array.from({ length: 20 }, (_, index) => `new/${index % 3}/${index}`);
      await Promise.all(keys.map((key) => store.put(key, Buffer.from(key), OPTIONS)));
      assert.deepEqual([...(await place.objects()).keys()].sort(), [...keys].sort());
    });

    it('rejects a key that is none, or leaves its folder', async () => {
      const keys = [
        '',
        '/',
        '/a',
        'a/',
        'a//b',
        '.',
        '..',
        '../a',
        'a/../b',
        'a/..',
        'a/./b',
        'a\0b',
        'a\\..\\b',
        'a\n',
      ];
      const tooLong = `${'x'.repeat(200)}/`.repeat(6);
      for (const key of [...keys, `${tooLong}x`]) {
        await assert.rejects(
          store.put(key, Buffer.from('x'), OPTIONS),
          isProblem({ type: RejectedError, code: 'key', sentence: /^expected an object key .*, got / }),
          key,
        );
      }
      assert.deepEqual(await place.objects(), new Map());
    });

    it('says that it can be used', async () => {
      await store.check();
    });
  }
});

describe('an object store in a folder', () => {
  let server: Awaited<ReturnType<typeof startFolder>>;
  before(async () => {
    server = await startFolder();
  });
  after(() => server.stop());

  it('leaves nothing of an object that it could not store', async () => {
    const place = server.place();
    const store = openObjectStore(place.url);
    await store.put('in-the-way', Buffer.from('x'), OPTIONS);
    await mkdir(new URL(`${place.url}/folder`));
    const problem = {
      type: UnavailableError,
      code: 'not-a-folder',
      sentence: /got a file in the place of one/,
    } as const;
    await assert.rejects(store.put('in-the-way/a', Buffer.from('y'), OPTIONS), isProblem(problem));
    const folder = { type: UnavailableError, code: 'a-folder', sentence: /got a folder in its place/ } as const;
    await assert.rejects(store.put('folder', Buffer.from('y'), OPTIONS), isProblem(folder));
    assert.deepEqual([...(await place.objects()).keys()], ['in-the-way']);
  });

  it('rejects a name that is too long for the disk', async () => {
    const { url } = server.place();
    const problem = { type: RejectedError, code: 'key', sentence: /a name too long/ } as const;
    await assert.rejects(openObjectStore(url).put('x'.repeat(300), Buffer.from('x'), OPTIONS), isProblem(problem));
  });

  it('says what is in its place', async () => {
    const { url } = server.place();
    const path = fileURLToPath(url);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'a file');
    const problem = {
      type: UnavailableError,
      code: 'not-a-folder',
      sentence: /^expected folder \/.*, got a file/,
    } as const;
    await assert.rejects(openObjectStore(url).check(), isProblem(problem));
  });
});

describe('the URL of an object store', () => {
  it('names a bucket with its server', () => {
    assert.deepEqual(
      parseObjectStoreUrl(
        's3://my-bucket/raw/iot/?endpoint=https%3A%2F%2Fminio%3A9000&region=eu-west-1&pathStyle=false',
      ),
      {
        kind: 's3',
        bucket: 'my-bucket',
        prefix: 'raw/iot/',
        endpoint: 'https://minio:9000',
        region: 'eu-west-1',
        pathStyle: false,
      },
    );
  });

  it('puts the bucket into the path for an endpoint, and into the host for AWS', () => {
    const pathStyle = (url: string): unknown => (parseObjectStoreUrl(url) as { pathStyle?: boolean }).pathStyle;
    assert.equal(pathStyle('s3://bucket?endpoint=http://minio:9000'), true);
    assert.equal(pathStyle('s3://bucket'), false);
    assert.equal(pathStyle('s3://bucket?pathStyle=true'), true);
  });

  const wrong: [url: string, sentence: RegExp][] = [
    [`nothing ${SECRET}`, /^expected s3:.* or file:.*, got a text that is no URL$/],
    [
      `https://user:${SECRET}@host/bucket`,
      /^expected the access key and its secret in their own fields, got them in the URL$/,
    ],
    ['https://host/bucket', /^expected s3:\/\/ or file:\/\/\/, got https:\/\/$/],
    [`s3://key:${SECRET}@bucket`, /in their own fields, got them in the URL$/],
    [`s3://bucket?endpoint=http://key:${SECRET}@host`, /in their own fields, got them in the endpoint$/],
    [
      `s3://bucket?secretAccessKey=${SECRET}`,
      /no parameters but endpoint, region and pathStyle, got "secretAccessKey"$/,
    ],
    ['s3:///prefix', /the name of a bucket .*, got nothing$/],
    ['s3://Bucket_1', /the name of a bucket .*, got "Bucket_1"$/],
    ['s3://bucket/a//b', /^in the prefix: .*without empty folders/],
    ['s3://bucket/a%2F..%2Fb', /^in the prefix: .*without the folders/],
    ['s3://bucket/%ff', /percent-encoding/],
    ['s3://bucket?endpoint=minio:9000', /^expected an endpoint of http/],
    ['s3://bucket?endpoint=http://minio/bucket', /^expected an endpoint of http.*, got more than that$/],
    ['s3://bucket?region=eu west', /^expected a region/],
    ['s3://bucket?pathStyle=yes', /^expected pathStyle=true or false/],
    ['s3://bucket#a', /fragment/],
    ['file:data', /three slashes$/],
    ['file://data/objects', /three slashes$/],
    ['file:///data?mode=1', /without parameters/],
    ['file:///data%2f..', /encoded slashes/],
  ];
  for (const [url, sentence] of wrong) {
    it(`is not ${url.replace(SECRET, '…')}`, () => {
      assert.throws(() => openObjectStore(url), isProblem({ type: ConfigError, code: 'object-store-url', sentence }));
    });
  }
});

describe('the object-store node', () => {
  const nodeRed = useNodeRed();
  const flow = (url: string) => [
    { id: 'tab', type: 'tab' },
    { id: 'store', type: 'object-store', configVersion: 1, url },
  ];

  it('refuses a URL with a secret at the deploy, without repeating it', async () => {
    await nodeRed.load([objectStore], flow(`s3://key:${SECRET}@bucket`));
    const logged = nodeRed.logged().join('\n');
    assert.match(
      logged,
      /object-store "object-store" \/url: expected the access key and its secret in their own fields/,
    );
    assert.ok(!logged.includes(SECRET));
  });

  it('refuses half of the credentials', async () => {
    await nodeRed.load([objectStore], flow('s3://bucket'), { store: { secretAccessKey: SECRET } });
    const logged = nodeRed.logged().join('\n');
    assert.match(logged, /\/accessKeyId: expected an access key id and its secret, or neither, got only one/);
    assert.ok(!logged.includes(SECRET));
  });
});
