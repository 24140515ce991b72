import { createReadStream } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { ConfigError, messageOf, UnavailableError } from '../lib/errors.js';
import { parseObjectStoreUrl } from '../lib/object-store-url.js';
import { connectS3, type S3Address, type S3Connection } from './s3-client.js';
import { storeError } from './s3-errors.js';

export interface ObjectInfo {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
}

/** Reads back what a store holds. */
export interface ObjectReader {
  /** What a sentence calls it. Never a secret. */
  readonly place: string;
  /** All objects, but for those whose name begins with a dot: they are not whole. */
  list(): AsyncIterable<ObjectInfo>;
  read(key: string): Promise<Readable>;
  close(): void;
}

/** The reader of a URL as `openObjectStore` takes it; for S3 with the SDK's own chain of credentials. @throws ConfigError */
export function openObjectReader(url: string): ObjectReader {
  const address = parseObjectStoreUrl(url);
  return address.kind === 'folder' ? new FolderReader(address.url) : new BucketReader(address);
}

class FolderReader implements ObjectReader {
  readonly place: string;
  readonly #root: string;

  constructor(url: URL) {
    this.#root = resolve(fileURLToPath(url));
    this.place = `folder ${this.#root}`;
  }

  async *list(): AsyncIterable<ObjectInfo> {
    try {
      for await (const entry of await opendir(this.#root, { recursive: true })) {
        if (!entry.isFile() || entry.name.startsWith('.')) continue;
        const path = join(entry.parentPath, entry.name);
        const size = await sizeOf(path);
        if (size !== undefined) yield { key: relative(this.#root, path).replaceAll(sep, '/'), size };
      }
    } catch (error) {
      // A sink makes its folders with its first object.
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw new UnavailableError(`expected ${this.place} to be read, got ${messageOf(error)}`, {
        code: 'disk',
        cause: error,
      });
    }
  }

  read(key: string): Promise<Readable> {
    return Promise.resolve(createReadStream(join(this.#root, key)));
  }

  close(): void {
    // Nothing stays open between two objects.
  }
}

/** @returns undefined for a file that has been taken away meanwhile: the others are still there */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

class BucketReader implements ObjectReader {
  readonly place: string;
  readonly #address: S3Address;
  #connection: Promise<S3Connection> | undefined;

  constructor(address: S3Address) {
    this.#address = address;
    this.place = `bucket "${address.bucket}" at ${address.endpoint ?? 'AWS'}`;
  }

  async *list(): AsyncIterable<ObjectInfo> {
    const { bucket, prefix } = this.#address;
    let token: string | undefined;
    do {
      const page = await this.#run(({ client, sdk }) =>
        client.send(new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token })),
      );
      for (const { Key = '', Size = 0 } of page.Contents ?? []) {
        const key = Key.slice(prefix.length);
        if (key !== '' && !/(^|\/)\.[^/]*$/.test(key)) yield { key, size: Size };
      }
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }

  async read(key: string): Promise<Readable> {
    const { bucket, prefix } = this.#address;
    const { Body } = await this.#run(({ client, sdk }) =>
      client.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: prefix + key })),
    );
    return Body as Readable; // what it is in Node.js
  }

  close(): void {
    void this.#connection?.then(
      ({ client }) => client.destroy(),
      () => undefined, // it was told to who wanted it
    );
  }

  async #run<T>(request: (connection: S3Connection) => Promise<T>): Promise<T> {
    try {
      return await request(await (this.#connection ??= connectS3(this.#address, undefined)));
    } catch (error) {
      const problem = storeError(error, { bucket: this.#address.bucket, name: this.place });
      if (!(problem instanceof ConfigError && problem.code === 'access-denied')) throw problem;
      const rights = 'the right to list (s3:ListBucket) and to read (s3:GetObject)';
      throw new ConfigError(`expected ${rights} in ${this.place}, got none`, { code: 'access-denied', path: '/url' });
    }
  }
}
