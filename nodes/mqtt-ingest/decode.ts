import { RejectedError } from '../lib/errors.js';
import { parseJson } from '../lib/json.js';
import type { Config } from './config.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Makes of the payload of a PUBLISH what the flow works with.
 *
 * @returns a function that throws RejectedError `invalid-utf8`; for JSON as `parseJson` does
 */
export function decoder({ decode, strict }: Pick<Config, 'decode' | 'strict'>): (payload: Buffer) => unknown {
  switch (decode) {
    case 'buffer':
      return (payload) => payload;
    case 'text':
      return textOf;
    case 'json':
      return (payload) => parseJson(textOf(payload), strict);
  }
}

function textOf(payload: Buffer): string {
  try {
    return utf8.decode(payload);
  } catch (error) {
    throw new RejectedError(`expected UTF-8, got ${payload.length} bytes that are not`, {
      code: 'invalid-utf8',
      cause: error,
    });
  }
}
