/** MongoDB's date expressions, in UTC. */
import { CommandError, notImplemented } from '../errors.js';

const DAY_MS = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: DAY_MS,
};
const UNIT_MONTHS: Readonly<Record<string, number>> = { month: 1, quarter: 3, year: 12 };
/** `$dateTrunc` counts its bins from here, by its documentation. */
const REFERENCE = Date.UTC(2000, 0, 1);
/** 2000-01-01 was a Saturday. */
const REFERENCE_WEEKDAY = 6;
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

export const DATE_PARTS = {
  $year: (date: Date) => date.getUTCFullYear(),
  $month: (date: Date) => date.getUTCMonth() + 1,
  $dayOfMonth: (date: Date) => date.getUTCDate(),
  $dayOfYear: dayOfYear,
  $dayOfWeek: (date: Date) => date.getUTCDay() + 1,
  $isoDayOfWeek: (date: Date) => date.getUTCDay() || 7,
  $hour: (date: Date) => date.getUTCHours(),
  $minute: (date: Date) => date.getUTCMinutes(),
  $second: (date: Date) => date.getUTCSeconds(),
  $millisecond: (date: Date) => date.getUTCMilliseconds(),
} as const satisfies Readonly<Record<`$${string}`, (date: Date) => number>>;

export const DEFAULT_FORMAT = '%Y-%m-%dT%H:%M:%S.%LZ';

const SPECIFIERS: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => digits(date.getUTCFullYear(), 4),
  m: (date) => digits(date.getUTCMonth() + 1, 2),
  d: (date) => digits(date.getUTCDate(), 2),
  j: (date) => digits(dayOfYear(date), 3),
  u: (date) => String(date.getUTCDay() || 7),
  w: (date) => String(date.getUTCDay() + 1),
  H: (date) => digits(date.getUTCHours(), 2),
  M: (date) => digits(date.getUTCMinutes(), 2),
  S: (date) => digits(date.getUTCSeconds(), 2),
  L: (date) => digits(date.getUTCMilliseconds(), 3),
  z: () => '+0000',
  Z: () => '+000',
  '%': () => '%',
};

function dayOfYear(date: Date): number {
  return Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / DAY_MS) + 1;
}

function digits(value: number, width: number): string {
  if (value < 0) throw notImplemented('a date before the year 0');
  return String(value).padStart(width, '0');
}

export function formatDate(date: Date, format: string): string {
  return format.replace(/%(.?)/gs, (_, specifier: string) => {
    const write = SPECIFIERS[specifier];
    if (write === undefined) throw notImplemented(`the date format '%${specifier}'`);
    return write(date);
  });
}

/** The start of the bin that holds the date. */
export function truncateDate(date: Date, unit: string, size: number, startOfWeek: string): Date {
  if (!Number.isInteger(size) || size < 1)
    throw new CommandError(5439017, '$dateTrunc requires binSize to be 1 or more');
  const months = UNIT_MONTHS[unit];
  if (months !== undefined) {
    const since = (date.getUTCFullYear() - 2000) * 12 + date.getUTCMonth();
    const first = floorTo(since, months * size);
    const start = new Date(REFERENCE);
    start.setUTCMonth(first);
    return start;
  }
  if (unit === 'week') {
    if (size !== 1) throw notImplemented('$dateTrunc to more than one week');
    const weekday = WEEKDAYS.findIndex((name) => name === startOfWeek || name.slice(0, 3) === startOfWeek);
    if (weekday < 0) throw new CommandError(5439015, `$dateTrunc: '${startOfWeek}' is no day of the week`);
    const origin = REFERENCE + (weekday - REFERENCE_WEEKDAY) * DAY_MS;
    return new Date(origin + floorTo(date.getTime() - origin, 7 * DAY_MS));
  }
  const unitMs = UNIT_MS[unit];
  if (unitMs === undefined) throw new CommandError('FailedToParse', `unknown time unit value: ${unit}`);
  return new Date(REFERENCE + floorTo(date.getTime() - REFERENCE, unitMs * size));
}

function floorTo(value: number, step: number): number {
  return Math.floor(value / step) * step;
}
