import { types } from 'node:util';

/** The forms of ISO 8601 that RFC 3339 and the JSON of most languages use: a date, or a date with a time, with or without an offset. */
const ISO_8601 =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:[Zz]|([+-])(\d{2}):?(\d{2}))?)?$/;

/**
 * The point of time that a value stands for: a Date, a number of milliseconds since 1970-01-01T00:00Z, or a text in
 * ISO 8601. A text without an offset is UTC. Fractions of a millisecond are cut off.
 *
 * @returns undefined for anything else, and for a date that does not exist (`2026-02-30`)
 */
export function parseTime(value: unknown): Date | undefined {
  if (types.isDate(value)) return valid(new Date(value.getTime()));
  if (typeof value === 'number') return valid(new Date(value));
  if (typeof value !== 'string') return undefined;
  const match = ISO_8601.exec(value);
  if (match === null) return undefined;
  const number = (group: number): number => Number(match[group] ?? 0);
  const [year, month, day] = [number(1), number(2), number(3)];
  const [hour, minute, second] = [number(4), number(5), number(6)];
  // A Date would silently carry 30 February over into March. A leap second is carried over: it has no Date of its own.
  if (month < 1 || month > 12 || day < 1 || day > new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate())
    return undefined;
  if (hour > 23 || minute > 59 || second > 60 || number(9) > 23 || number(10) > 59) return undefined;
  const milliseconds = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const offsetMinutes = (match[8] === '-' ? -1 : 1) * (number(9) * 60 + number(10));
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute - offsetMinutes, second, milliseconds);
  return valid(date);
}

function valid(date: Date): Date | undefined {
  return Number.isNaN(date.getTime()) ? undefined : date;
}
