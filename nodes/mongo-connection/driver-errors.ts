/** What the driver's and the server's errors mean for who wrote: try again, or never. */
import {
  BSON,
  MongoBulkWriteError,
  MongoError,
  MongoInvalidArgumentError,
  MongoServerError,
  MongoWriteConcernError,
} from 'mongodb';

/**
 * Codes of the server (mongo `src/mongo/base/error_codes.yml`) that say nothing about the document: the same write may
 * succeed later, once the server, its disk or the settings of the user are in order again.
 */
const SERVER_SIDE = new Set([
  6, // HostUnreachable
  7, // HostNotFound
  11, // UserNotFound
  13, // Unauthorized
  18, // AuthenticationFailed
  24, // LockTimeout
  46, // LockBusy
  50, // MaxTimeMSExpired
  63, // StaleShardVersion
  64, // WriteConcernTimeout
  79, // UnknownReplWriteConcern
  89, // NetworkTimeout
  91, // ShutdownInProgress
  100, // UnsatisfiableWriteConcern
  107, // LockFailed
  112, // WriteConflict
  133, // FailedToSatisfyReadPreference
  146, // ExceededMemoryLimit
  150, // StaleEpoch
  189, // PrimarySteppedDown
  202, // NetworkInterfaceExceededTimeLimit
  262, // ExceededTimeLimit
  317, // ConnectionPoolExpired
  391, // ReauthenticationRequired
  462, // IngressRequestRateLimitExceeded
  8000, // AtlasError: a quota, or a user without the right
  9001, // SocketException
  10_058, // LegacyNotPrimary
  10_107, // NotWritablePrimary
  11_600, // InterruptedAtShutdown
  11_602, // InterruptedDueToReplStateChange
  13_388, // StaleConfig
  13_435, // NotPrimaryNoSecondaryOk
  13_436, // NotPrimaryOrSecondary
  14_031, // OutOfDiskSpace
]);

const RETRY_LABELS = ['RetryableWriteError', 'TransientTransactionError', 'RetryableError', 'SystemOverloadedError'];

const DUPLICATE_KEY = 11_000;

export function isUnavailableCode(code: unknown): boolean {
  return typeof code === 'number' && SERVER_SIDE.has(code);
}

/**
 * Whether the same write may succeed later. What the driver or the server refuses because of what was written may not;
 * everything else that can go wrong is between here and there.
 */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof MongoWriteConcernError) return true;
  if (error instanceof MongoServerError) {
    return isUnavailableCode(error.code) || RETRY_LABELS.some((label) => error.hasErrorLabel(label));
  }
  if (error instanceof MongoError) return !(error instanceof MongoInvalidArgumentError);
  // What cannot be written as BSON at all; TypeErrors and RangeErrors come from there too (a key with U+0000, a circle).
  return !(BSON.BSONError.isBSONError(error) || error instanceof TypeError || error instanceof RangeError);
}

/**
 * Whether a bulk write ended with the server's answer for each operation, or in the middle. The driver throws the same
 * class for both: with `writeErrors`, or a write concern error in its result, where there are answers; and else with the
 * properties of what it came across, even when an earlier part of the same bulk was answered.
 */
export function isAnswered(error: unknown): error is MongoBulkWriteError {
  if (!(error instanceof MongoBulkWriteError)) return false;
  return [error.writeErrors].flat().length > 0 || error.result.getWriteConcernError() !== undefined;
}

/** What ended a bulk write in the middle: the driver wraps what is no answer of the server. */
export function rootOf(error: unknown): unknown {
  const inner: unknown = error instanceof MongoBulkWriteError ? error.errorResponse : undefined;
  return inner instanceof Error ? inner : error;
}

/**
 * The stable name for why the server, or the driver in its place, refused a document.
 *
 * @param namespace - `database.collection`
 */
export function rejectionCode(code: unknown, sentence: string, namespace: string): string {
  switch (code) {
    case DUPLICATE_KEY:
      return isAboutId(sentence, namespace) ? 'duplicate-id' : 'duplicate-key';
    case 121: // DocumentValidationFailure
      return 'document-validation';
    case 10_334: // BSONObjectTooLarge
    case 17_419: // the document as an update would make it
    case 17_420: // the document to insert
      return 'document-too-large';
    case 73: // InvalidNamespace
      return 'collection-name';
    case undefined: // the driver's own
      return sentence.includes('larger than the maximum size') ? 'document-too-large' : 'not-a-document';
    default:
      return 'refused';
  }
}

/**
 * Whether E11000 is about `_id`. The driver keeps only the sentence (its WriteError has no `keyPattern`), which goes on
 * after the namespace with the index: ` index: _id_ dup key: { _id: … }`, before 3.2 `.$_id_ dup key: …`. A clustered
 * collection has no index to name. Read from the namespace on, so that neither its name nor a value can pose as an index.
 */
function isAboutId(sentence: string, namespace: string): boolean {
  const start = sentence.indexOf(namespace);
  return start !== -1 && /^(?: index: _id_|\.\$_id_| dup key: \{ _id:)/.test(sentence.slice(start + namespace.length));
}
