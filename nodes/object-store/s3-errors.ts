import { ConfigError, messageOf, RejectedError, UnavailableError } from '../lib/errors.js';

/** Error codes by what is wrong (Amazon S3 API Reference, "Error responses"; XAdminUserNotFound is versitygw's). */
const WRONG_CREDENTIALS = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'XAdminUserNotFound',
  'InvalidToken',
  'ExpiredToken',
  'CredentialsProviderError',
]);
const WRONG_REGION = new Set([
  'AuthorizationHeaderMalformed',
  'PermanentRedirect',
  'IllegalLocationConstraintException',
]);
const WRONG_KEY = new Set(['KeyTooLongError', 'XMinioInvalidObjectName']);
/** What a connection that ends in the middle is called by Node.js. */
const CUT_OFF = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

interface Place {
  readonly bucket: string;
  /** What a sentence calls it. */
  readonly name: string;
}

/** What the SDK threw, as what the caller can do about it. */
export function storeError(error: unknown, { bucket, name: place }: Place): Error {
  const name = error instanceof Error ? error.name : '';
  const status = httpStatus(error);
  const cause = plain(error);
  const fix = (code: string, expected: string, path = '/url'): ConfigError =>
    new ConfigError(`expected ${expected}, got ${name}`, { code, path, cause });
  const away = (code: string, sentence: string): UnavailableError => new UnavailableError(sentence, { code, cause });

  if (WRONG_CREDENTIALS.has(name)) return fix('credentials', `a valid access key and secret for ${place}`);
  if (name === 'NoSuchBucket') return fix('no-bucket', place);
  if (WRONG_REGION.has(name) || messageOf(error) === 'Region is missing') {
    return fix('region', `the region of bucket "${bucket}" in the URL (region=) or in AWS_REGION`);
  }
  if (WRONG_KEY.has(name))
    return new RejectedError(`expected a key that ${place} takes, got ${name}`, { code: 'key', cause });
  if (name === 'InvalidStorageClass') return fix('storage-class', `a storage class that ${place} has`, '/storageClass');
  if (name === 'InvalidTag') return fix('tags', `tags that ${place} takes`, '/tags');
  if (name.startsWith('KMS.')) return fix('encryption', `a KMS key that ${place} can use`, '/kmsKeyId');
  if (name === 'NotImplemented') {
    const expected = `${place} to implement conditional writes and encryption, or "Never replace" and "Encryption" switched off`;
    return fix('not-implemented', expected, '/conditionalWrites');
  }
  if (name === 'RequestTimeTooSkewed') {
    return away('clock', `expected this machine's clock to agree with that of ${place}, got ${name}`);
  }
  if (status === 403) return fix('access-denied', `the right to write into ${place}`);
  if (status === undefined) {
    const got = messageOf(error) || name;
    return CUT_OFF.has((error as NodeJS.ErrnoException).code ?? '') || got === 'socket hang up'
      ? away('cut-off', `expected ${place} to take an object to its end, got a connection that broke off (${got})`)
      : away('unreachable', `expected an answer from ${place}, got ${got}`);
  }
  return away(
    status === 429 || status >= 500 ? 'unavailable' : 'refused',
    `expected ${place} to store an object, got ${name} (HTTP ${status})`,
  );
}

/** The status of the answer that an SDK's error came with; undefined where none came. */
export function httpStatus(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

/** Without what the SDK hangs on it: the refused request, whose headers may hold a session's token. Flows see causes. */
function plain(error: unknown): Error {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  return Object.assign(new Error(message), { name });
}
