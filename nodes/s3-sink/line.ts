import { describeValue, messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { Config } from './config.js';

/**
 * A message as one line of JSON, without the line's end. Buffers are base64; the envelope says so of a payload that is
 * one, by `payloadEncoding`.
 *
 * @param receivedAt - milliseconds since 1970-01-01T00:00Z
 * @throws RejectedError `payload` when JSON cannot carry the payload (a BigInt, a cycle, nothing at all)
 */
export function lineOf(message: Message, receivedAt: number, form: Config['line']): string {
  let line: string | undefined;
  try {
    line = form === 'payload' ? payloadJson(message.payload) : envelopeJson(message, receivedAt);
  } catch (error) {
    throw notJson(messageOf(error).split('\n', 1)[0] ?? '', error);
  }
  if (line === undefined) throw notJson(describeValue(message.payload));
  return line;
}

function envelopeJson({ identity, topic, payload }: Message, receivedAt: number): string | undefined {
  const json = payloadJson(payload);
  if (json === undefined) return undefined;
  const encoding = payload instanceof Uint8Array ? ',"payloadEncoding":"base64"' : '';
  return `${JSON.stringify({ identity, topic, receivedAt }).slice(0, -1)},"payload":${json}${encoding}}`;
}

function payloadJson(payload: unknown): string | undefined {
  if (payload instanceof Uint8Array) return `"${base64(payload)}"`;
  const json = JSON.stringify(payload) as string | undefined;
  // A replacer makes it several times slower, so only where there may be a buffer inside.
  return json?.includes('"type":"Buffer"') === true ? JSON.stringify(payload, buffersAsBase64) : json;
}

/** A replacer sees a buffer only after its own `toJSON`; what it was is still in its holder. */
function buffersAsBase64(this: Record<string, unknown>, name: string, value: unknown): unknown {
  const held = this[name];
  return held instanceof Uint8Array ? base64(held) : value;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function notJson(got: string, cause?: unknown): RejectedError {
  return new RejectedError(`expected a payload that JSON can carry, got ${got}`, { code: 'payload', cause });
}
