import { createHash } from 'node:crypto';
import type { PutObjectCommandInput, S3Client } from '@aws-sdk/client-s3';
import { ConfigError, UnavailableError } from '../lib/errors.js';
import { MultipartUploads, PART_BYTES } from './multipart.js';
import { connectS3, type S3Address, type S3Connection, type Sdk } from './s3-client.js';
import { httpStatus, storeError } from './s3-errors.js';
import {
  checkKey,
  type BucketOptions,
  type ObjectStore,
  type PutOptions,
  type PutOutcome,
  type StoreCredentials,
} from './store.js';

/** The user metadata by which a store knows an object of its own again. */
const DIGEST = 'sha256';

/** Objects in a bucket of S3 or of a server that speaks its protocol. */
export class S3Store implements ObjectStore {
  readonly place: string;
  readonly #address: S3Address;
  readonly #options: BucketOptions;
  readonly #credentials: Required<StoreCredentials> | undefined;
  readonly #multipart = new MultipartUploads();
  #connection: Promise<S3Connection> | undefined;

  constructor(address: S3Address, options: BucketOptions, credentials: Required<StoreCredentials> | undefined) {
    this.#address = address;
    this.#options = options;
    this.#credentials = credentials;
    this.place = `bucket "${address.bucket}" at ${address.endpoint ?? 'AWS'}`;
  }

  async put(key: string, body: Uint8Array, options: PutOptions): Promise<PutOutcome> {
    const whole = this.#address.prefix + key;
    checkKey(key);
    checkKey(whole);
    const { signal } = options;
    const digest = createHash('sha256').update(body).digest('hex');
    const input = this.#input(whole, body, digest, options);
    return this.#run(async (client, sdk) => {
      try {
        // A body that is a buffer goes whole, with its checksum in a header, and can be signed and sent as it is.
        if (body.length > PART_BYTES) await this.#multipart.upload(client, sdk, input, signal);
        else await client.send(new sdk.PutObjectCommand(input), during(signal));
        return 'stored';
      } catch (error) {
        if (!(this.#options.conditionalWrites && httpStatus(error) === 412)) throw error;
      }
      return (await this.#digestOf(client, sdk, whole, signal)) === digest ? 'found' : 'taken';
    });
  }

  async check(signal?: AbortSignal): Promise<void> {
    // HeadBucket answers without a body, so without the reason of a refusal.
    const input = { Bucket: this.#address.bucket, Prefix: this.#address.prefix, MaxKeys: 1 };
    try {
      await this.#run((client, { ListObjectsV2Command }) =>
        client.send(new ListObjectsV2Command(input), during(signal)),
      );
    } catch (error) {
      // Who may write need not be allowed to list.
      if (!(error instanceof ConfigError && error.code === 'access-denied')) throw error;
    }
  }

  close(): void {
    void this.#connection?.then(
      ({ client }) => client.destroy(),
      () => undefined, // it was told to who wanted it
    );
  }

  #input(key: string, body: Uint8Array, digest: string, options: PutOptions): PutObjectCommandInput {
    const { conditionalWrites, encryption, kmsKeyId } = this.#options;
    const { contentType, metadata = {}, storageClass, tags = {} } = options;
    const tagging = Object.entries(tags)
      .map((tag) => tag.map(encodeURIComponent).join('='))
      .join('&');
    return {
      Bucket: this.#address.bucket,
      Key: key,
      Body: body,
      ContentType: contentType,
      Metadata: { ...asAscii(metadata), [DIGEST]: digest },
      ...(conditionalWrites && { IfNoneMatch: '*' }),
      ...(storageClass !== undefined && { StorageClass: storageClass as PutObjectCommandInput['StorageClass'] }),
      ...(tagging !== '' && { Tagging: tagging }),
      ...(encryption !== 'default' && { ServerSideEncryption: encryption }),
      ...(encryption === 'aws:kms' && kmsKeyId !== undefined && { SSEKMSKeyId: kmsKeyId }),
    };
  }

  /** The digest of the object that has the key: the answer to a refused write does not say whose it is. */
  async #digestOf(client: S3Client, sdk: Sdk, key: string, signal?: AbortSignal): Promise<string | undefined> {
    try {
      const input = { Bucket: this.#address.bucket, Key: key };
      return (await client.send(new sdk.HeadObjectCommand(input), during(signal))).Metadata?.[DIGEST];
    } catch (error) {
      switch (httpStatus(error)) {
        case 403:
          throw new ConfigError(
            `expected the right to read (s3:GetObject) in ${this.place}, to see whether an object of this key is ours, got none`,
            { code: 'cannot-read', path: '/url' },
          );
        case 404:
          throw new UnavailableError(`expected ${this.place} to have the object for which it refused one, got none`, {
            code: 'conflict',
          });
        default:
          throw error;
      }
    }
  }

  async #run<T>(request: (client: S3Client, sdk: Sdk) => Promise<T>): Promise<T> {
    try {
      const { sdk, client } = await (this.#connection ??= connectS3(this.#address, this.#credentials));
      return await request(client, sdk);
    } catch (error) {
      if (error instanceof ConfigError || error instanceof UnavailableError) throw error;
      throw storeError(error, { bucket: this.#address.bucket, name: this.place });
    }
  }
}

function during(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

/** User metadata travels in headers: ASCII is as it is, but for the percent sign, all else is percent-encoded UTF-8. */
function asAscii(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, text]) => [
      name,
      text.toWellFormed().replace(/[^\x20-\x7e]+|%/g, (part) => encodeURIComponent(part)),
    ]),
  );
}
