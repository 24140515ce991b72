import { createHash, randomBytes } from 'node:crypto';
import type { Message } from './message.js';

/** The MQTT 5 user property that carries a message's identity. */
export const MESSAGE_ID = 'message-id';

/** `msg.parts` of Node-RED's split node: https://nodered.org/docs/user-guide/messages#message-sequences */
interface Parts {
  /** Of what was split. Batch nodes number messages too, without one: each of those is whole. */
  readonly type?: unknown;
  readonly index?: unknown;
  /** Where what was split is itself a part. */
  readonly parts?: Parts;
}

/** The identity of a message; of a part it is that of the whole with `#` and its index, from the outermost in. */
export function identityOf({ identity, parts }: Message): string | undefined {
  if (typeof identity !== 'string' || identity === '') return undefined;
  return `${identity}${indexOf(parts as Parts | undefined)}`;
}

function indexOf(parts: Parts | undefined): string {
  if (parts?.type === undefined || typeof parts.index !== 'number') return '';
  return `${indexOf(parts.parts)}#${parts.index}`;
}

/**
 * A UUIDv7: 48 bits of Unix time in milliseconds, then random bits (RFC 9562, section 5.7).
 *
 * @param counter - from 0 to 4,095: takes the place of the first random bits, to order those of one millisecond (section 6.2)
 */
export function uuidv7(nowMs: number, counter?: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  if (counter !== undefined) bytes.writeUInt16BE(counter, 6);
  return format(bytes, 7);
}

/** UUIDv7s each of which is greater than the one before, also where the clock goes back. */
export class OrderedIds {
  #ms = 0;
  #counter = 0;

  next(nowMs: number): string {
    if (nowMs > this.#ms) {
      this.#ms = nowMs;
      this.#counter = 0;
    } else if (++this.#counter > 0xfff) {
      this.#ms++;
      this.#counter = 0;
    }
    return uuidv7(this.#ms, this.#counter);
  }
}

/** Ids for `_msgid`, of the form and the length of Node-RED's own, which are drawn digit by digit. */
export class MessageIds {
  readonly #prefix = randomBytes(4).toString('hex');
  #count = 0;

  next(): string {
    this.#count = (this.#count + 1) % 2 ** 32;
    return this.#prefix + this.#count.toString(16).padStart(8, '0');
  }
}

/** A UUIDv5: the same for the same namespace and name (RFC 9562, section 5.5). */
export function uuidv5(namespace: Buffer, name: string): string {
  return format(createHash('sha1').update(namespace).update(name).digest().subarray(0, 16), 5);
}

function format(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
