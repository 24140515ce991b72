import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import type { ObjectStoreAddress } from '../lib/object-store-url.js';
import type { StoreCredentials } from './store.js';

export type S3Address = Extract<ObjectStoreAddress, { kind: 's3' }>;
export type Sdk = typeof import('@aws-sdk/client-s3');

export interface S3Connection {
  readonly sdk: Sdk;
  readonly client: S3Client;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A connection on which nothing moves. There is no limit on the whole: a slow line may need minutes for one object. */
const IDLE_TIMEOUT_MS = 30_000;
/** S3-compatible servers take any; the signature needs one. */
const REGION_OF_AN_ENDPOINT = 'us-east-1';

/**
 * The SDK takes 37 MB and 150 ms: only who uses a bucket pays for it.
 *
 * @param credentials - undefined: the SDK's own chain
 */
export async function connectS3(
  address: S3Address,
  credentials: Required<StoreCredentials> | undefined,
): Promise<S3Connection> {
  const sdk = await import('@aws-sdk/client-s3');
  const { endpoint, pathStyle } = address;
  const region = address.region ?? (endpoint === undefined ? undefined : REGION_OF_AN_ENDPOINT);
  const config: S3ClientConfig = {
    forcePathStyle: pathStyle,
    maxAttempts: 1, // who calls tries again, and counts it
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(credentials !== undefined && { credentials }),
  };
  return { sdk, client: new sdk.S3Client(config) };
}
