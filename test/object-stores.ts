/** Both kinds of object store for suites that run over each, read back by other means than the code under test. */
import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  S3Client,
  type HeadObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { StoreCredentials } from '../nodes/object-store/store.js';
import {
  startOwnVersitygw,
  startVersitygw,
  type OwnVersitygw,
  type S3Credentials,
  type Versitygw,
} from './servers/versitygw.js';
import { startTcpGate, type TcpGate } from './tcp-gate.js';

/** An empty prefix of a bucket, or an empty folder. */
export interface TestPlace {
  readonly url: string;
  readonly credentials: StoreCredentials & Record<string, string>;
  /** What is there now, by key. */
  objects(): Promise<Map<string, Buffer>>;
}

export interface TestStore {
  place(): TestPlace;
  stop(): Promise<void>;
}

/** One that a test may make unusable for a while. What it holds stays. */
export interface FragileTestStore extends TestStore {
  interrupt(): Promise<void>;
  resume(): Promise<void>;
}

export async function startFolder(): Promise<FragileTestStore & { readonly directory: string }> {
  const parent = await mkdtemp(join(tmpdir(), 'sluice-objects-'));
  const directory = join(parent, 'store');
  await mkdir(directory);
  return {
    directory,
    place: () => {
      const folder = join(directory, randomUUID());
      return { url: pathToFileURL(folder).href, credentials: {}, objects: () => filesBelow(folder) };
    },
    // Rights would not do: the tests may run as root, whom none stop.
    interrupt: async () => {
      await rename(directory, `${directory}-away`);
      await writeFile(directory, 'a file in its place');
    },
    resume: async () => {
      await rm(directory);
      await rename(`${directory}-away`, directory);
    },
    stop: () => rm(parent, { recursive: true, force: true }),
  };
}

export interface BucketPlace extends TestPlace {
  /** What the server says of an object without its contents. */
  head(key: string): Promise<HeadObjectCommandOutput>;
  tags(key: string): Promise<Record<string, string>>;
  /** The keys of uploads in parts that have neither been completed nor aborted. */
  openUploads(): Promise<string[]>;
}

export interface BucketTestStore extends TestStore {
  place(): BucketPlace;
  /** A bucket that does not exist before it is made. */
  missingBucket(): BucketPlace & { create(): Promise<void> };
}

export async function startBucket(): Promise<BucketTestStore> {
  return bucketOf(await startVersitygw());
}

export async function startFragileBucket(): Promise<BucketTestStore & FragileTestStore> {
  const server = await startOwnVersitygw();
  return { ...bucketOf(server), interrupt: () => server.kill(), resume: () => server.restart() };
}

/** Lets an account do so much with the objects of the bucket, and no more. */
export async function allow(server: Versitygw, { accessKeyId }: S3Credentials, ...actions: string[]): Promise<void> {
  const Bucket = new URL(server.url).host;
  const Resource = [`arn:aws:s3:::${Bucket}/*`];
  const Statement = [{ Effect: 'Allow', Principal: { AWS: [accessKeyId] }, Action: actions, Resource }];
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement });
  await withClient(server, (client) => client.send(new PutBucketPolicyCommand({ Bucket, Policy })));
}

/** A bucket behind a port that a test can shut in the middle of what is sent. */
export async function startGatedBucket(): Promise<
  BucketTestStore & { readonly gate: TcpGate; readonly server: OwnVersitygw }
> {
  const server = await startOwnVersitygw();
  const gate = await startTcpGate(server.port);
  const bucket = bucketOf(server);
  return {
    ...bucket,
    gate,
    server,
    place: () => {
      const place = bucket.place();
      const url = new URL(place.url);
      url.searchParams.set('endpoint', `http://127.0.0.1:${gate.port}`);
      return { ...place, url: url.href };
    },
    stop: async () => {
      await gate.stop();
      await server.stop();
    },
  };
}

function bucketOf(server: Versitygw): BucketTestStore {
  const at = (url: URL): BucketPlace => ({
    url: url.href,
    credentials: { ...server.credentials },
    objects: () => withClient(server, (client) => objectsBelow(client, url)),
    head: (key) =>
      withClient(server, (client) =>
        client.send(
          new HeadObjectCommand({ Bucket: url.host, Key: url.pathname.slice(1) + key, ChecksumMode: 'ENABLED' }),
        ),
      ),
    tags: (key) =>
      withClient(server, async (client) => {
        const input = { Bucket: url.host, Key: url.pathname.slice(1) + key };
        const { TagSet = [] } = await client.send(new GetObjectTaggingCommand(input));
        return Object.fromEntries(TagSet.map(({ Key = '', Value = '' }) => [Key, Value]));
      }),
    openUploads: () =>
      withClient(server, async (client) => {
        const input = { Bucket: url.host, Prefix: url.pathname.slice(1) };
        const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(input));
        return Uploads.map(({ Key = '' }) => Key.slice(input.Prefix.length));
      }),
  });
  return {
    place: () => {
      const url = new URL(server.url);
      url.pathname = `${url.pathname.replace(/\/?$/, '/')}${randomUUID()}/`;
      return at(url);
    },
    missingBucket: () => {
      const url = new URL(server.url);
      url.host = randomUUID();
      url.pathname = '/';
      const create = async (client: S3Client): Promise<void> => {
        await client.send(new CreateBucketCommand({ Bucket: url.host }));
      };
      return { ...at(url), create: () => withClient(server, create) };
    },
    stop: () => server.stop(),
  };
}

async function filesBelow(folder: string): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    objects.set(relative(folder, path), await readFile(path));
  }
  return objects;
}

async function withClient<T>({ url, credentials }: Versitygw, use: (client: S3Client) => Promise<T>): Promise<T> {
  const { searchParams } = new URL(url);
  const client = new S3Client({
    endpoint: searchParams.get('endpoint') ?? '',
    region: searchParams.get('region') ?? 'us-east-1',
    forcePathStyle: true,
    credentials,
  });
  return use(client).finally(() => client.destroy());
}

async function objectsBelow(client: S3Client, url: URL): Promise<Map<string, Buffer>> {
  const prefix = url.pathname.slice(1);
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: url.host, Prefix: prefix }));
  const objects = new Map<string, Buffer>();
  for (const { Key = '' } of Contents) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: url.host, Key }));
    objects.set(Key.slice(prefix.length), Buffer.from((await Body?.transformToByteArray()) ?? []));
  }
  return objects;
}
