import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { parseTime } from '../../nodes/lib/time.js';

describe('parseTime', () => {
  const iso = (value: unknown): string | undefined => parseTime(value)?.toISOString();

  for (const [value, expected] of [
    ['2026-02-28', '2026-02-28T00:00:00.000Z'],
    ['2026-02-28T12:30:45Z', '2026-02-28T12:30:45.000Z'],
    ['2026-02-28T12:30:45.1234567Z', '2026-02-28T12:30:45.123Z'],
    ['2026-02-28T12:30', '2026-02-28T12:30:00.000Z'],
    ['2026-02-28 12:30:45', '2026-02-28T12:30:45.000Z'],
    ['2026-03-01T00:30:00+01:00', '2026-02-28T23:30:00.000Z'],
    ['2026-02-28T20:30:00-0330', '2026-03-01T00:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
    ['0001-01-01', '0001-01-01T00:00:00.000Z'],
    [0, '1970-01-01T00:00:00.000Z'],
    [new Date(1), '1970-01-01T00:00:00.001Z'],
  ] as const) {
    it(`reads ${JSON.stringify(value)}`, () => assert.equal(iso(value), expected));
  }

  for (const value of [
    '2026-02-30',
    '2025-02-29',
    '2026-13-01',
    '2026-00-10',
    '2026-01-01T24:00:00Z',
    '2026-01-01T10:61:00Z',
    '28.02.2026',
    'Feb 28 2026',
    '1700000000000',
    '',
    NaN,
    1e20,
    new Date(NaN),
    true,
    null,
    {},
  ]) {
    it(`gives nothing for ${inspect(value)}`, () => assert.equal(parseTime(value), undefined));
  }
});
