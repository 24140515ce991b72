import { ConfigError, RejectedError } from '../lib/errors.js';
import { objectKeyProblem } from '../lib/object-key.js';
import { parseObjectStoreUrl } from '../lib/object-store-url.js';
import { FolderStore } from './folder-store.js';
import { S3Store } from './s3-store.js';

/** What S3 keeps with an object. A folder has no place for any of it. */
export interface PutOptions {
  /** A media type. */
  readonly contentType: string;
  /** Any text by names of `a-z0-9-`; what is not ASCII is percent-encoded on its way. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The bucket's own where there is none. */
  readonly storageClass?: string | undefined;
  /** By name; each is one of S3's own, by which lifecycle rules and rights go. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Gives the attempt up: it may then have happened or not. */
  readonly signal?: AbortSignal;
}

/**
 * What became of an object: `stored`; `found`, an object of this key with the very same bytes was there, as after an
 * attempt of which the answer was lost; `taken`, another object has the key, and was left as it is.
 */
export type PutOutcome = 'stored' | 'found' | 'taken';

/** How a bucket is written to. */
export interface BucketOptions {
  /** Whether each write asks that no object of its key exists (`If-None-Match: *`). Without it, it replaces one. */
  readonly conditionalWrites: boolean;
  /** Of objects at rest; `default` leaves it to the bucket. */
  readonly encryption: 'default' | 'AES256' | 'aws:kms';
  /** For `aws:kms`; without it, the account's own key for S3. */
  readonly kmsKeyId?: string | undefined;
}

const BUCKET_DEFAULTS: BucketOptions = { conditionalWrites: true, encryption: 'default' };

/** Where objects are kept. Every implementation passes the contract in `test/nodes/object-store.test.ts`. */
export interface ObjectStore {
  /** What a sentence calls it: the bucket and its server, or the folder. Never a secret. */
  readonly place: string;
  /**
   * Stores one object whole, or not at all, and never in the place of another. Resolves when it is durable.
   *
   * @throws RejectedError `key` when the key is none, or leaves the folder
   * @throws UnavailableError when the store cannot be reached, or has no room, at the moment
   * @throws ConfigError when the store refuses: wrong credentials, no such bucket, no right to write
   */
  put(key: string, body: Uint8Array, options: PutOptions): Promise<PutOutcome>;
  /**
   * Finds out whether objects can be stored, as far as that shows without storing one. A right to list is not asked for.
   *
   * @throws UnavailableError, ConfigError as `put` does
   */
  check(signal?: AbortSignal): Promise<void>;
  /** Lets go of its connections. */
  close(): void;
}

export interface StoreCredentials {
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
}

/**
 * The store of a URL, not yet connected.
 *
 * @param credentials - for S3: without them, the SDK's own chain
 * @param options - for S3
 * @throws ConfigError when the URL is none of an object store, or only half of the credentials is given
 */
export function openObjectStore(
  url: string,
  credentials: StoreCredentials = {},
  options: BucketOptions = BUCKET_DEFAULTS,
): ObjectStore {
  const address = parseObjectStoreUrl(url);
  if (address.kind === 'folder') return new FolderStore(address.url);
  const { accessKeyId, secretAccessKey } = credentials;
  if (accessKeyId === undefined && secretAccessKey === undefined) return new S3Store(address, options, undefined);
  if (accessKeyId !== undefined && secretAccessKey !== undefined) {
    return new S3Store(address, options, { accessKeyId, secretAccessKey });
  }
  const missing = accessKeyId === undefined ? 'accessKeyId' : 'secretAccessKey';
  throw new ConfigError(`/${missing}: expected an access key id and its secret, or neither, got only one`, {
    code: 'half-credentials',
    path: `/${missing}`,
  });
}

/** @throws RejectedError `key` */
export function checkKey(key: string): void {
  const problem = objectKeyProblem(key);
  if (problem !== undefined) throw new RejectedError(problem, { code: 'key', details: { key } });
}
