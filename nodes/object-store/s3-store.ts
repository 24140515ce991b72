import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { ConfigError, messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import type { ObjectStoreAddress } from '../lib/object-store-url.js';
import { checkKey, type ObjectStore, type PutOptions, type StoreCredentials } from './store.js';

type Address = Extract<ObjectStoreAddress, { kind: 's3' }>;
type Sdk = typeof import('@aws-sdk/client-s3');

const CONNECT_TIMEOUT_MS = 5_000;
/** A connection on which nothing moves. There is no limit on the whole: a slow line may need minutes for one object. */
const IDLE_TIMEOUT_MS = 30_000;
/** S3-compatible servers take any; the signature needs one. */
const REGION_OF_AN_ENDPOINT = 'us-east-1';

/** Error codes by what is wrong (Amazon S3 API Reference, "Error responses"; XAdminUserNotFound is versitygw's). */
const WRONG_CREDENTIALS = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'XAdminUserNotFound',
  'InvalidToken',
  'CredentialsProviderError',
]);
const WRONG_REGION = new Set([
  'AuthorizationHeaderMalformed',
  'PermanentRedirect',
  'IllegalLocationConstraintException',
]);
const WRONG_KEY = new Set(['KeyTooLongError', 'XMinioInvalidObjectName']);

/** Objects in a bucket of S3 or of a server that speaks its protocol. */
export class S3Store implements ObjectStore {
  readonly place: string;
  readonly #address: Address;
  readonly #credentials: Required<StoreCredentials> | undefined;
  #connection: Promise<{ sdk: Sdk; client: S3Client }> | undefined;

  constructor(address: Address, credentials: Required<StoreCredentials> | undefined) {
    this.#address = address;
    this.#credentials = credentials;
    this.place = `bucket "${address.bucket}" at ${address.endpoint ?? 'AWS'}`;
  }

  async put(key: string, body: Uint8Array, { contentType, signal }: PutOptions): Promise<void> {
    const whole = this.#address.prefix + key;
    checkKey(key);
    checkKey(whole);
    // A body that is a buffer goes whole, with its checksum in a header, and can be signed and sent as it is.
    const input = { Bucket: this.#address.bucket, Key: whole, Body: body, ContentType: contentType };
    await this.#run((client, { PutObjectCommand }) => client.send(new PutObjectCommand(input), during(signal)));
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

  async #run(request: (client: S3Client, sdk: Sdk) => Promise<unknown>): Promise<void> {
    try {
      const { sdk, client } = await (this.#connection ??= this.#connect());
      await request(client, sdk);
    } catch (error) {
      throw storeError(error, this.#address, this.place);
    }
  }

  /** The SDK takes 37 MB and 150 ms: only who uses a bucket pays for it. */
  async #connect(): Promise<{ sdk: Sdk; client: S3Client }> {
    const sdk = await import('@aws-sdk/client-s3');
    const { endpoint, pathStyle } = this.#address;
    const region = this.#address.region ?? (endpoint === undefined ? undefined : REGION_OF_AN_ENDPOINT);
    const config: S3ClientConfig = {
      forcePathStyle: pathStyle,
      maxAttempts: 1, // who calls tries again, and counts it
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
      ...(this.#credentials !== undefined && { credentials: this.#credentials }),
    };
    return { sdk, client: new sdk.S3Client(config) };
  }
}

function during(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

/** What the SDK threw, as what the caller can do about it. */
function storeError(error: unknown, { bucket }: Address, place: string): Error {
  const name = error instanceof Error ? error.name : '';
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  const cause = plain(error);
  const fix = (code: string, expected: string): ConfigError =>
    new ConfigError(`expected ${expected}, got ${name}`, { code, path: '/url', cause });

  if (WRONG_CREDENTIALS.has(name)) return fix('credentials', `a valid access key and secret for ${place}`);
  if (name === 'NoSuchBucket') return fix('no-bucket', place);
  if (WRONG_REGION.has(name) || messageOf(error) === 'Region is missing') {
    return fix('region', `the region of bucket "${bucket}" in the URL (region=) or in AWS_REGION`);
  }
  if (WRONG_KEY.has(name))
    return new RejectedError(`expected a key that ${place} takes, got ${name}`, { code: 'key', cause });
  if (status === 403 && name !== 'RequestTimeTooSkewed')
    return fix('access-denied', `the right to write into ${place}`);
  if (status === undefined) {
    return new UnavailableError(`expected an answer from ${place}, got ${messageOf(error) || name}`, {
      code: 'unreachable',
      cause,
    });
  }
  return new UnavailableError(`expected ${place} to store an object, got ${name} (HTTP ${status})`, {
    code: status === 429 || status >= 500 ? 'unavailable' : 'refused',
    cause,
  });
}

/** Without what the SDK hangs on it: the refused request, whose headers may hold a session's token. Flows see causes. */
function plain(error: unknown): Error {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return Object.assign(new Error(message), { name });
}
