import { describeValue, RejectedError } from '../lib/errors.js';

export interface OpenEntry {
  readonly collection: string;
  /** `_id` of an insert, where it is the same when the message comes again. */
  readonly id: string | number | undefined;
  readonly messageId: string | undefined;
}

/** What has no answer yet, and which `_id`s are among it. */
export class OpenEntries<E extends OpenEntry> {
  readonly #entries = new Set<E>();
  readonly #byId = new Map<string | number, E>();

  get size(): number {
    return this.#entries.size;
  }

  [Symbol.iterator](): Iterator<E> {
    return this.#entries.values();
  }

  has(entry: E): boolean {
    return this.#entries.has(entry);
  }

  /** @throws RejectedError `same-identity` for a second document with the `_id` of the first, from the same message */
  add(entry: E): void {
    this.#checkIdentity(entry);
    this.#entries.add(entry);
    if (entry.id !== undefined && !this.#byId.has(entry.id)) this.#byId.set(entry.id, entry);
  }

  delete(entry: E): void {
    this.#entries.delete(entry);
    if (entry.id !== undefined && this.#byId.get(entry.id) === entry) this.#byId.delete(entry.id);
  }

  /**
   * E11000 on `_id` says that the document is there, which is what a redelivery should hear, also when it shares a batch
   * with the first delivery: the server then stores the first and refuses the second. But two documents that one
   * message was split into (a function node that sends twice, parts without identities of their own) carry the same
   * `_id` as well, and the second would be lost under the name of a duplicate. They are told apart by `_msgid`: copies
   * of one message keep it, a redelivery is given a new one. Seen only while the first is open, which is where parts
   * of one message meet: they arrive within a turn of the event loop, and a write takes longer. Once the first has been
   * answered, the same `_msgid` may be the source's next attempt at the whole message, and counts as one.
   */
  #checkIdentity({ id, messageId, collection }: E): void {
    if (id === undefined || messageId === undefined) return;
    const other = this.#byId.get(id);
    if (other?.messageId !== messageId || other.collection !== collection) return;
    throw new RejectedError(
      `expected one document for each identity, got a second one with the _id ${describeValue(id)} from the same ` +
        'message: give its parts identities of their own',
      { code: 'same-identity' },
    );
  }
}
