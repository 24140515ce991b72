import type { AnyBulkWriteOperation, Collection, WriteError } from 'mongodb';
import { BSON, type MongoBulkWriteError } from 'mongodb';
import { within } from '../adapter/waiting.js';
import { messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import { isAnswered, isUnavailable, isUnavailableCode, rejectionCode, rootOf } from './driver-errors.js';

/** What became of an operation that was not carried out, by its index. */
export type WriteFailures = ReadonlyMap<number, RejectedError | UnavailableError>;

/** What bulk writes need of a collection. */
export type BulkCollection = Pick<Collection, 'bulkWrite' | 'find' | 'namespace'>;

export interface BulkWriteSettings {
  readonly ordered: boolean;
  /**
   * How long one attempt may take. Never without: the driver (7.9) waits for ever where the server closes a connection in the
   * very turn in which a write begins on it (`writeCommand` waits for `drain` of a socket that is destroyed), and its own
   * `timeoutMS` does nothing.
   */
  readonly timeoutMs: number;
  /** Applied to every sentence of the driver. */
  readonly redact: (text: string) => string;
}

/**
 * Writes operations in one go, and says of each one alone whether it was carried out.
 *
 * - Every operation that is not among the failures is durable under the collection's write concern. That includes one
 *   that failed with E11000: for a write that changed nothing the server waits for the write concern of its latest
 *   operation (LastOpFixer in mongo `src/mongo/db/ops/write_ops_exec.cpp`), so what it collided with is durable as well.
 * - One bad operation fails alone. Where the driver or the server refuses all of them for one (a key that BSON does not
 *   have, a document that is too large), halves are tried until it is alone.
 * - `ordered`: each is carried out only when no earlier one is open, so that the last write to a key is the last offered.
 *
 * @returns UnavailableError for what may succeed later, RejectedError (`duplicate-id` for E11000 on `_id`) for what will not
 */
export async function bulkWrite(
  collection: BulkCollection,
  operations: readonly AnyBulkWriteOperation[],
  settings: BulkWriteSettings,
): Promise<WriteFailures> {
  return new BulkWrite(collection, operations, settings).run();
}

class BulkWrite {
  readonly #collection: BulkCollection;
  readonly #operations: readonly AnyBulkWriteOperation[];
  readonly #settings: BulkWriteSettings;
  readonly #failures = new Map<number, RejectedError | UnavailableError>();

  constructor(collection: BulkCollection, operations: readonly AnyBulkWriteOperation[], settings: BulkWriteSettings) {
    this.#collection = collection;
    this.#operations = operations;
    this.#settings = settings;
  }

  async run(): Promise<WriteFailures> {
    await this.#write(0, this.#operations.length);
    if (this.#failures.size > 0) await this.#findStored();
    return this.#failures;
  }

  /** @returns undefined when each one of the range is settled, else what leaves some of them open */
  async #write(from: number, to: number): Promise<UnavailableError | undefined> {
    if (from >= to) return undefined;
    const { ordered, timeoutMs, redact } = this.#settings;
    const whole = from === 0 && to === this.#operations.length;
    try {
      const part = whole ? this.#operations : this.#operations.slice(from, to);
      await within(timeoutMs, this.#collection.bulkWrite(part, { ordered }));
      return undefined;
    } catch (error) {
      if (isAnswered(error)) return this.#answered(error, from, to);
      const root = rootOf(error);
      if (isUnavailable(root)) return this.#leaveOpen(from, to, unavailable(root, redact));
      if (to - from > 1) return this.#writeHalves(from, to);
      this.#failures.set(from, rejected(root, this.#collection.namespace, redact));
      return undefined;
    }
  }

  async #writeHalves(from: number, to: number): Promise<UnavailableError | undefined> {
    const middle = from + ((to - from) >> 1);
    const open = await this.#write(from, middle);
    if (open !== undefined && this.#settings.ordered) return this.#leaveOpen(middle, to, open);
    return (await this.#write(middle, to)) ?? open;
  }

  /** The server has answered for each operation; for an ordered write, up to the first that failed. */
  async #answered(error: MongoBulkWriteError, from: number, to: number): Promise<UnavailableError | undefined> {
    const { ordered, redact } = this.#settings;
    let open: UnavailableError | undefined;
    let next = to;
    for (const writeError of error.result.getWriteErrors()) {
      const failure = ofServer(writeError, this.#collection.namespace, redact);
      if (failure instanceof UnavailableError) open = failure;
      this.#failures.set(from + writeError.index, failure);
      if (ordered) next = from + writeError.index + 1;
    }
    const concern = error.result.getWriteConcernError();
    if (concern !== undefined) open = this.#leaveOpen(from, next, unavailable(concern, redact));
    if (next === to) return open;
    return open === undefined ? this.#write(next, to) : this.#leaveOpen(next, to, open);
  }

  #leaveOpen(from: number, to: number, error: UnavailableError): UnavailableError {
    for (let index = from; index < to; index++) {
      const failure = this.#failures.get(index);
      // What a duplicate collided with is not known to be durable either.
      if (!(failure instanceof RejectedError) || isDuplicate(failure)) this.#failures.set(index, error);
    }
    return error;
  }

  /**
   * Not every server says which index E11000 is about (FerretDB and Cosmos DB do not), and where a document breaks two,
   * which one it says is the server's choice. A document whose `_id` is there has been stored, whatever else it breaks.
   */
  async #findStored(): Promise<void> {
    const unclear = new Map<string, number[]>();
    const ids: unknown[] = [];
    for (const [index, failure] of this.#failures) {
      const operation = this.#operations[index];
      if (failure.code !== 'duplicate-key' || operation === undefined || !('insertOne' in operation)) continue;
      const id: unknown = operation.insertOne.document._id;
      ids.push(id);
      unclear.set(idKey(id), [...(unclear.get(idKey(id)) ?? []), index]);
    }
    if (ids.length === 0) return;
    const { timeoutMs, redact } = this.#settings;
    try {
      const query = this.#collection.find(
        { _id: { $in: ids as never[] } },
        { projection: { _id: 1 }, readPreference: 'primary' },
      );
      for (const { _id } of await within(timeoutMs, query.toArray())) {
        for (const index of unclear.get(idKey(_id)) ?? []) {
          this.#failures.set(index, duplicateId(this.#failures.get(index)));
        }
      }
    } catch (error) {
      const failure = unavailable(error, redact);
      for (const index of [...unclear.values()].flat()) this.#failures.set(index, failure);
    }
  }
}

/** An `_id` as a text, the same for what was sent and what comes back. */
function idKey(id: unknown): string {
  return BSON.EJSON.stringify([id]);
}

function duplicateId(failure: RejectedError | UnavailableError | undefined): RejectedError {
  return new RejectedError(failure?.message ?? '', { code: 'duplicate-id', cause: failure?.cause });
}

/** Whether a failure says that the document with this `_id` is stored already. */
export function isDuplicateId(failure: RejectedError | UnavailableError | undefined): boolean {
  return failure?.code === 'duplicate-id';
}

/** Whether a failure is E11000, on any index. */
export function isDuplicate(failure: RejectedError): boolean {
  return failure.code === 'duplicate-id' || failure.code === 'duplicate-key';
}

/** What stands between a caller and the server, without secrets. */
export function unavailable(error: unknown, redact: (text: string) => string): UnavailableError {
  const sentence = redact(sentenceOf(error));
  return new UnavailableError(`expected the server to take writes, got: ${sentence}`, {
    code: 'server',
    cause: redactedCause(error, sentence),
  });
}

function ofServer(
  error: WriteError,
  namespace: string,
  redact: (text: string) => string,
): RejectedError | UnavailableError {
  return isUnavailableCode(error.code) ? unavailable(error, redact) : rejected(error, namespace, redact);
}

function rejected(error: unknown, namespace: string, redact: (text: string) => string): RejectedError {
  const { code, errInfo } = error as { code?: unknown; errInfo?: unknown };
  const sentence = redact(sentenceOf(error));
  const serverCode = typeof code === 'number' ? code : undefined;
  return new RejectedError(`expected a document that ${namespace} takes, got: ${sentence}`, {
    code: rejectionCode(serverCode, sentence, namespace),
    cause: redactedCause(error, sentence),
    details: {
      ...(serverCode === undefined ? {} : { serverCode }),
      ...(errInfo === undefined ? {} : { serverDetails: errInfo }),
    },
  });
}

/** The server's WriteError and WriteConcernError are no Errors. */
function sentenceOf(error: unknown): string {
  const { errmsg } = error as { errmsg?: unknown };
  return typeof errmsg === 'string' && errmsg !== '' ? errmsg : messageOf(error);
}

/** The driver's errors carry options and addresses with them, and Node-RED shows a cause: this is what may be shown. */
function redactedCause(error: unknown, sentence: string): Error {
  const cause = new Error(sentence);
  if (error instanceof Error) cause.name = error.name;
  return cause;
}
