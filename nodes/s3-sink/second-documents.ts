import { hash } from 'node:crypto';
import { tagOf } from '../lib/delivery/carried.js';
import { RejectedError } from '../lib/errors.js';
import { identityOf } from '../lib/identity.js';
import type { Message } from '../lib/message.js';

/** Parts of one message arrive within a turn or two of the event loop; what came between them is far less. */
const REMEMBERED = 10_000;
/** A line that is not longer is kept as it is: to digest it costs more than anything else that is done with it. */
const SHORT = 1_000;

interface First {
  readonly attempt: string;
  readonly digest: string;
}

/**
 * Tells a second document from the same one that comes again. Both have an identity that the spool has seen: of a
 * redelivery the other is nobody's loss, and counts as a duplicate; but two documents that one message was split into
 * (a function node that sends twice, two rules into one sink) would lose the second of them. Those are of the same
 * delivery and differ; what is attempted again within a delivery is the same.
 */
export class SecondDocuments {
  /** By identity. When these are enough they become the earlier ones, in one go: to take out one for each that comes is slow. */
  #first = new Map<string, First>();
  #earlier = new Map<string, First>();

  /**
   * @param line - made of the message alone, without the time at which this node got it
   * @throws RejectedError `same-identity`
   */
  check(identity: string, message: Message, line: string): void {
    const tag = tagOf(message);
    // What nothing waits for is of the same message by Node-RED's own id, which copies keep.
    const attempt = tag === undefined ? message._msgid : `${tag.source}:${tag.number}`;
    if (attempt === undefined) return;
    const digest = line.length <= SHORT ? line : hash('sha256', line, 'base64');
    const first = this.#first.get(identity) ?? this.#earlier.get(identity);
    if (first?.attempt === attempt && first.digest !== digest) {
      throw new RejectedError(
        `expected one record for each identity, got a second one with the identity ${JSON.stringify(identityOf(message))} ` +
          'from the same message: give its parts identities of their own',
        { code: 'same-identity' },
      );
    }
    this.#first.set(identity, { attempt, digest });
    if (this.#first.size < REMEMBERED) return;
    this.#earlier = this.#first;
    this.#first = new Map();
  }
}
