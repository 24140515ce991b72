import { messageOf, RejectedError } from '../lib/errors.js';

export type Decoding = 'json' | 'text' | 'buffer';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The payload of a PUBLISH as what the flow works with.
 *
 * @throws RejectedError `invalid-utf8`, `invalid-json`
 */
export function decodePayload(payload: Buffer, decoding: Decoding): unknown {
  if (decoding === 'buffer') return payload;
  let text: string;
  try {
    text = utf8.decode(payload);
  } catch (error) {
    throw new RejectedError(`expected UTF-8, got ${payload.length} bytes that are not`, {
      code: 'invalid-utf8',
      cause: error,
    });
  }
  if (decoding === 'text') return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new RejectedError(`expected JSON, got ${payload.length} bytes that are not: ${messageOf(error)}`, {
      code: 'invalid-json',
      cause: error,
    });
  }
}
