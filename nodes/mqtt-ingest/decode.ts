import { RejectedError } from '../lib/errors.js';
import { parseJson } from '../lib/json.js';
import type { Config } from './config.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The payload of a PUBLISH as what the flow works with.
 *
 * @throws RejectedError `invalid-utf8`; for JSON as `parseJson` does
 */
export function decodePayload(payload: Buffer, decode: Config['decode'], strict: boolean): unknown {
  if (decode === 'buffer') return payload;
  let text: string;
  try {
    text = utf8.decode(payload);
  } catch (error) {
    throw new RejectedError(`expected UTF-8, got ${payload.length} bytes that are not`, {
      code: 'invalid-utf8',
      cause: error,
    });
  }
  if (decode === 'text') return text;
  return parseJson(text, strict);
}
