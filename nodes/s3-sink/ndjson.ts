import { describeValue, messageOf, RejectedError } from '../lib/errors.js';
import { identityOf } from '../lib/identity.js';
import type { Message } from '../lib/message.js';
import type { Config } from './config.js';
import type { RecordFormat } from './format.js';

/**
 * A line of JSON for each message. Buffers are base64; the envelope says so of a payload that is one, by
 * `payloadEncoding`. No payload: a BigInt, a cycle, nothing at all.
 */
export class NdjsonFormat implements RecordFormat {
  readonly suffix = '.ndjson';
  readonly contentType = 'application/x-ndjson';
  readonly head = undefined;
  readonly #form: Config['line'];

  constructor(form: Config['line']) {
    this.#form = form;
  }

  line(message: Message, receivedAt: number): string {
    let line: string | undefined;
    try {
      line = this.#form === 'payload' ? jsonOf(message.payload) : envelopeJson(message, receivedAt);
    } catch (error) {
      throw notJson(messageOf(error).split('\n', 1)[0] ?? '', error);
    }
    if (line === undefined) throw notJson(describeValue(message.payload));
    return line;
  }
}

function envelopeJson(message: Message, receivedAt: number): string | undefined {
  const { topic, payload } = message;
  const json = jsonOf(payload);
  if (json === undefined) return undefined;
  const encoding = payload instanceof Uint8Array ? ',"payloadEncoding":"base64"' : '';
  return `${JSON.stringify({ identity: identityOf(message), topic, receivedAt }).slice(0, -1)},"payload":${json}${encoding}}`;
}

/** JSON with base64 for buffers. @returns undefined for what JSON has no text for */
export function jsonOf(value: unknown): string | undefined {
  if (value instanceof Uint8Array) return `"${base64(value)}"`;
  const json = JSON.stringify(value) as string | undefined;
  // A replacer makes it several times slower, so only where there may be a buffer inside.
  return json?.includes('"type":"Buffer"') === true ? JSON.stringify(value, buffersAsBase64) : json;
}

/** A replacer sees a buffer only after its own `toJSON`; what it was is still in its holder. */
function buffersAsBase64(this: Record<string, unknown>, name: string, value: unknown): unknown {
  const held = this[name];
  return held instanceof Uint8Array ? base64(held) : value;
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function notJson(got: string, cause?: unknown): RejectedError {
  return new RejectedError(`expected a payload that JSON can carry, got ${got}`, { code: 'payload', cause });
}
