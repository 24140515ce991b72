import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mock } from 'node:test';
import { ConfigError, RejectedError, UnavailableError } from '../../nodes/lib/errors.js';
import { openObjectStore, type ObjectStore, type StoreCredentials } from '../../nodes/object-store/store.js';
import { allow, startGatedBucket } from '../object-stores.js';
import { describeWithServer, freePort } from '../servers/server.js';
import { startOwnVersitygw } from '../servers/versitygw.js';
import { isProblem, SECRET, type Problem } from '../store-problems.js';

const OPTIONS = { contentType: 'application/x-ndjson' };

describeWithServer('an object store in a bucket says', startOwnVersitygw, (server) => {
  const problems: { title: string; url?: (url: URL) => void; credentials?: StoreCredentials; problem: Problem }[] = [
    {
      title: 'that the secret is wrong',
      credentials: { secretAccessKey: SECRET },
      problem: {
        type: ConfigError,
        code: 'credentials',
        sentence: /^expected a valid access key and secret for bucket "sluice" at http:\S+, got SignatureDoesNotMatch$/,
      },
    },
    {
      title: 'that nobody has such a key',
      credentials: { accessKeyId: 'nobody', secretAccessKey: SECRET },
      problem: {
        type: ConfigError,
        code: 'credentials',
        sentence: /^expected a valid access key and secret for bucket "sluice"/,
      },
    },
    {
      title: 'that there is no such bucket',
      url: (url) => (url.host = 'no-such-bucket'),
      problem: {
        type: ConfigError,
        code: 'no-bucket',
        sentence: /^expected bucket "no-such-bucket" at http:\S+, got NoSuchBucket$/,
      },
    },
    {
      title: 'that the region is another',
      url: (url) => url.searchParams.set('region', 'eu-central-1'),
      problem: { type: ConfigError, code: 'region', sentence: /^expected the region of bucket "sluice" in the URL/ },
    },
  ];
  for (const { title, url: change, credentials, problem } of problems) {
    it(title, async () => {
      const url = new URL(server().url);
      change?.(url);
      const store = openObjectStore(url.href, { ...server().credentials, ...credentials });
      await assert.rejects(store.check(), isProblem(problem));
      await assert.rejects(store.put('a', Buffer.from('a'), OPTIONS), isProblem(problem));
      store.close();
    });
  }

  it('that there is no right to write, and one to write is enough until a key is taken', async () => {
    const user = await server().addUser();
    const store = openObjectStore(server().url, user);
    await store.check(); // a right to list is not asked for
    const denied = /^expected the right to write into bucket "sluice" at http:\S+, got AccessDenied$/;
    const problem = { type: ConfigError, code: 'access-denied', sentence: denied } as const;
    await assert.rejects(store.put('rights', Buffer.from('a'), OPTIONS), isProblem(problem));
    await assert.rejects(store.put('rights', Buffer.alloc(9_000_000), OPTIONS), isProblem(problem));

    await allow(server(), user, 's3:PutObject');
    assert.equal(await store.put('rights', Buffer.from('a'), OPTIONS), 'stored');
    const unread =
      /^expected the right to read \(s3:GetObject\) in bucket "sluice" .* whether an object of this key is ours/;
    const cannotRead = { type: ConfigError, code: 'cannot-read', sentence: unread } as const;
    await assert.rejects(store.put('rights', Buffer.from('a'), OPTIONS), isProblem(cannotRead));
    await allow(server(), user, 's3:PutObject', 's3:GetObject');
    assert.equal(await store.put('rights', Buffer.from('a'), OPTIONS), 'found');
    store.close();
  });

  it("that this machine's clock is wrong, and goes by the server's from then on", async () => {
    const store = openObjectStore(server().url, server().credentials);
    mock.timers.enable({ apis: ['Date'], now: Date.now() + 3_600_000 });
    try {
      const skewed =
        /^expected this machine's clock to agree with that of bucket "sluice" .*, got RequestTimeTooSkewed$/;
      const problem = { type: UnavailableError, code: 'clock', sentence: skewed } as const;
      await assert.rejects(store.put('clock', Buffer.from('a'), OPTIONS), isProblem(problem));
      assert.equal(await store.put('clock', Buffer.from('a'), OPTIONS), 'stored');
    } finally {
      mock.timers.reset();
      store.close();
    }
  });

  it('that it does not take a tag', async () => {
    const store = openObjectStore(server().url, server().credentials);
    const sentence = /^expected tags that bucket "sluice" at http:\S+ takes, got InvalidTag$/;
    const put = store.put('tags', Buffer.from('a'), { ...OPTIONS, tags: { a: 'b&c' } });
    await assert.rejects(put, isProblem({ type: ConfigError, code: 'tags', sentence }));
    store.close();
  });

  it('nothing when it may replace what is there', async () => {
    const options = { conditionalWrites: false, encryption: 'default' } as const;
    const store = openObjectStore(server().url, server().credentials, options);
    for (const body of ['first', 'second']) {
      assert.equal(await store.put('replaced', Buffer.from(body), OPTIONS), 'stored');
    }
    store.close();
  });
});

describeWithServer('an object in parts', startGatedBucket, (server) => {
  const body = randomBytes(40 * 1024 * 1024);
  let place: ReturnType<ReturnType<typeof server>['place']>;
  let store: ObjectStore;
  beforeEach(() => {
    place = server().place();
    store = openObjectStore(place.url, place.credentials);
  });
  afterEach(() => store.close());

  it('leaves none of them when the connection breaks off, once the server is there again', async () => {
    const broken = server().gate.carried(body.length / 2);
    const put = store.put('big', body, OPTIONS);
    const sentence =
      /^expected bucket "sluice" at \S+ to take an object to its end, got a connection that broke off \(.+\)$/;
    const failure = assert.rejects(put, isProblem({ type: UnavailableError, code: 'cut-off', sentence }));
    await broken;
    await server().gate.shut();
    await failure;
    assert.deepEqual([await place.openUploads(), await place.objects()], [['big'], new Map()]);

    const away = {
      type: UnavailableError,
      code: 'unreachable',
      sentence: /^expected an answer from .*ECONNREFUSED/,
    } as const;
    await assert.rejects(store.put('big', body, OPTIONS), isProblem(away));
    await server().gate.open();
    assert.equal(await store.put('big', body, OPTIONS), 'stored');
    assert.deepEqual(await place.openUploads(), []);
    assert.ok((await place.objects()).get('big')?.equals(body));
    const { ChecksumCRC32 } = await place.head('big');
    assert.match(ChecksumCRC32 ?? '', /-5$/, 'a checksum of the checksums of five parts');
  });

  for (const [moment, bytes] of [
    ['as it begins', 1],
    ['half way', body.length / 2],
  ] as const) {
    it(`leaves none of them when it is given up ${moment}`, async () => {
      const givenUp = new AbortController();
      const begun = server().gate.carried(bytes);
      const put = store.put('big', body, { ...OPTIONS, signal: givenUp.signal });
      const failure = assert.rejects(put, UnavailableError);
      await begun;
      givenUp.abort();
      await failure;
      assert.deepEqual([await place.openUploads(), await place.objects()], [[], new Map()]);
    });
  }

  it('leaves none of them when the key is taken', async () => {
    await store.put('big', Buffer.from('small'), OPTIONS);
    assert.equal(await store.put('big', body, OPTIONS), 'taken');
    assert.deepEqual(await place.openUploads(), []);
  });
});

/** A stand-in: what no healthy server says on demand. */
describe('an object store in a bucket takes', () => {
  let server: Server;
  let answer: { status: number; code: string };
  let answerToHead = 200;
  const heard: { method: string; headers: IncomingHttpHeaders }[] = [];
  before(async () => {
    server = createServer((request, response) => {
      heard.push({ method: `${request.method} ${request.url}`, headers: request.headers });
      request.resume().once('end', () => {
        response.writeHead(request.method === 'HEAD' ? answerToHead : answer.status, {
          'content-type': 'application/xml',
        });
        // AWS tells who sent a wrong signature what it read, a session's token among it.
        response.end(
          `<Error><Code>${answer.code}</Code><Message>no</Message><CanonicalRequest>x-amz-security-token:${SECRET}</CanonicalRequest></Error>`,
        );
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => server.close());

  const open = (port: number): ObjectStore =>
    openObjectStore(`s3://bucket?endpoint=http://127.0.0.1:${port}`, { accessKeyId: 'id', secretAccessKey: SECRET });
  const put = async (port: number): Promise<void> => {
    const store = open(port);
    await store.put('a', Buffer.from('a'), OPTIONS).finally(() => store.close());
  };

  const answers: [status: number, code: string, Problem][] = [
    [503, 'SlowDown', { type: UnavailableError, code: 'unavailable', sentence: /got SlowDown \(HTTP 503\)$/ }],
    [500, 'InternalError', { type: UnavailableError, code: 'unavailable', sentence: /got InternalError/ }],
    [429, 'TooManyRequests', { type: UnavailableError, code: 'unavailable', sentence: /HTTP 429/ }],
    [409, 'ConditionalRequestConflict', { type: UnavailableError, code: 'refused', sentence: /Conflict \(HTTP 409\)/ }],
    [507, 'XMinioStorageFull', { type: UnavailableError, code: 'unavailable', sentence: /got XMinioStorageFull/ }],
    [403, 'InvalidAccessKeyId', { type: ConfigError, code: 'credentials', sentence: /got InvalidAccessKeyId$/ }],
    [
      501,
      'NotImplemented',
      {
        type: ConfigError,
        code: 'not-implemented',
        sentence:
          /to implement conditional writes and encryption, or "Never replace" and "Encryption" switched off, got/,
      },
    ],
    [
      400,
      'InvalidStorageClass',
      {
        type: ConfigError,
        code: 'storage-class',
        sentence: /^expected a storage class that bucket "bucket" .* has, got/,
      },
    ],
    [
      400,
      'KMS.NotFoundException',
      {
        type: ConfigError,
        code: 'encryption',
        sentence: /^expected a KMS key that bucket "bucket" .* can use, got KMS/,
      },
    ],
    [400, 'RequestTimeout', { type: UnavailableError, code: 'refused', sentence: /RequestTimeout/ }],
    [403, 'SignatureDoesNotMatch', { type: ConfigError, code: 'credentials', sentence: /SignatureDoesNotMatch/ }],
    [301, 'PermanentRedirect', { type: ConfigError, code: 'region', sentence: /the region of bucket "bucket"/ }],
    [400, 'KeyTooLongError', { type: RejectedError, code: 'key', sentence: /^expected a key that bucket "bucket"/ }],
  ];
  for (const [status, code, problem] of answers) {
    it(`${status} ${code} for a ${problem.type.name}`, async () => {
      answer = { status, code };
      await assert.rejects(put((server.address() as AddressInfo).port), isProblem(problem));
    });
  }

  it('no object where it refused one for a reason to try again', async () => {
    // As when the other object is removed between the two requests.
    const sentence = /^expected bucket "bucket" .* to have the object for which it refused one, got none$/;
    answer = { status: 412, code: 'PreconditionFailed' };
    answerToHead = 404;
    const problem = { type: UnavailableError, code: 'conflict', sentence } as const;
    await assert.rejects(put((server.address() as AddressInfo).port), isProblem(problem));
  });

  it('what it asks of a bucket, for an object whole and in parts', async () => {
    answer = { status: 503, code: 'SlowDown' };
    const { port } = server.address() as AddressInfo;
    const url = `s3://bucket?endpoint=http://127.0.0.1:${port}`;
    const options = { conditionalWrites: true, encryption: 'aws:kms', kmsKeyId: 'key-1' } as const;
    const store = openObjectStore(url, { accessKeyId: 'id', secretAccessKey: SECRET }, options);
    for (const bytes of [10, 9_000_000]) {
      heard.length = 0;
      const asked = { ...OPTIONS, storageClass: 'STANDARD_IA', metadata: { 'flow-name': 'Öfen 100 %\n' } };
      await assert.rejects(store.put('a', Buffer.alloc(bytes), asked), UnavailableError);
      const [{ method, headers } = { method: '', headers: {} }] = heard;
      assert.equal(method, bytes === 10 ? 'PUT /bucket/a?x-id=PutObject' : 'POST /bucket/a?uploads=');
      assert.equal(headers['x-amz-storage-class'], 'STANDARD_IA');
      assert.equal(headers['x-amz-server-side-encryption'], 'aws:kms');
      assert.equal(headers['x-amz-server-side-encryption-aws-kms-key-id'], 'key-1');
      assert.equal(headers['x-amz-meta-flow-name'], '%C3%96fen 100 %25%0A');
      assert.equal(headers['content-type'], OPTIONS.contentType);
      assert.equal(headers['x-amz-sdk-checksum-algorithm'] ?? headers['x-amz-checksum-algorithm'], 'CRC32');
      if (bytes === 10) assert.equal(headers['if-none-match'], '*');
    }
    store.close();
  });

  it('no right to list as no news', async () => {
    answer = { status: 403, code: 'AccessDenied' };
    const store = open((server.address() as AddressInfo).port);
    await store.check();
    store.close();
  });

  it('a server that is not there for an UnavailableError', async () => {
    const sentence = /^expected an answer from bucket "bucket" at http:\/\/127\.0\.0\.1:\d+, got .*ECONNREFUSED/;
    await assert.rejects(put(await freePort()), isProblem({ type: UnavailableError, code: 'unreachable', sentence }));
  });
});

/** A stand-in: a server that is still busy with a part when the upload is aborted. */
describe('an abort of an upload in parts', () => {
  it('is asked for again while it fails and while a part is there', async () => {
    const heard: string[] = [];
    const answers: Record<string, number[]> = { PUT: [503, 503], DELETE: [500, 204], GET: [200, 404] };
    const server = createServer((request, response) => {
      const { method = '' } = request;
      request.resume().once('end', () => {
        heard.push(method);
        response.writeHead(answers[method]?.shift() ?? 200, { 'content-type': 'application/xml' });
        response.end(method === 'POST' ? '<r><UploadId>1</UploadId></r>' : method === 'GET' ? '<r/>' : undefined);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const url = `s3://bucket?endpoint=http://127.0.0.1:${port}`;
    const store = openObjectStore(url, { accessKeyId: 'id', secretAccessKey: SECRET });
    await assert.rejects(store.put('a', Buffer.alloc(9_000_000), OPTIONS), UnavailableError);
    store.close();
    server.close();
    assert.deepEqual(heard, ['POST', 'PUT', 'PUT', 'DELETE', 'GET', 'DELETE', 'GET']);
  });
});
