import type { EncodedValue, LetterFilter } from '../lib/dead-letter.js';
import { ConfigError, describeValue } from '../lib/errors.js';

const LISTED = 20;
const MOST_LISTED = 1_000;

/** What `GET /sluice/dead-letters` is asked for. @throws ConfigError that names the parameter */
export function letterQuery(query: Readonly<Record<string, unknown>>): { filter: LetterFilter; count: number } {
  const { count = LISTED, reason, node, schema, since, until, replayed, id } = query;
  const number = Number(count);
  if (!Number.isInteger(number) || number < 1 || number > MOST_LISTED) {
    throw wrong('count', `a whole number from 1 to ${MOST_LISTED}`, count);
  }
  return {
    count: number,
    filter: {
      ...(id !== undefined && { ids: [text('id', id)] }),
      ...(reason !== undefined && { reason: text('reason', reason) }),
      ...(node !== undefined && { node: text('node', node) }),
      ...(schema !== undefined && { schema: text('schema', schema) }),
      ...(since !== undefined && { since: time('since', since) }),
      ...(until !== undefined && { until: time('until', until) }),
      ...(replayed !== undefined && { replayed: text('replayed', replayed) === 'true' }),
    },
  };
}

/** What `POST /sluice/dead-letters/replay` is sent. @throws ConfigError that names the place */
export function replayRequest(body: unknown): {
  ids: readonly string[];
  payloads: Readonly<Record<string, EncodedValue>>;
} {
  const { ids, payloads = {} } = (body ?? {}) as { ids?: unknown; payloads?: unknown };
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string')) throw wrong('ids', 'an array of ids', ids);
  if (typeof payloads !== 'object' || payloads === null) throw wrong('payloads', 'an object by id', payloads);
  for (const [id, payload] of Object.entries(payloads)) {
    const { encoding, data } = (payload ?? {}) as Partial<EncodedValue>;
    // `v8` is for what this process has written itself.
    const known = encoding === 'text' || encoding === 'json' || encoding === 'base64';
    if (!known || typeof data !== 'string') {
      throw wrong(`payloads/${id}`, '{ encoding: text, json or base64, data: a string }', payload);
    }
  }
  return { ids, payloads: payloads as Record<string, EncodedValue> };
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrong(name, 'one text', value);
  return value;
}

/** As the letters have it: ISO 8601 in UTC, with milliseconds. */
function time(name: string, value: unknown): string {
  const ms = Date.parse(text(name, value));
  if (Number.isNaN(ms)) throw wrong(name, 'a time such as 2026-01-31T12:00:00Z', value);
  return new Date(ms).toISOString();
}

function wrong(name: string, expected: string, got: unknown): ConfigError {
  return new ConfigError(`${name}: expected ${expected}, got ${describeValue(got)}`, { code: 'request', path: name });
}
