/** MongoDB's four number types as one ordered field, compared by exact value, and what arithmetic there is on them. */
import { Decimal128, Double, Int32 } from 'bson';
import { notImplemented } from '../errors.js';
import { isNumeric, type Numeric, type Value } from './values.js';

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);
const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);

/** Numerator and denominator; the denominator is positive. */
type Rational = readonly [bigint, bigint];

/** An int32, int64 or double as the JavaScript number or bigint of exactly that value. */
export function native(value: Int32 | Double | bigint): number | bigint {
  return typeof value === 'bigint' ? value : value.value;
}

/** NaN is equal to itself and below every other number. */
export function compareNumbers(a: Numeric, b: Numeric): number {
  if (a instanceof Decimal128 || b instanceof Decimal128) return compareDecimals(a, b);
  const left = native(a);
  const right = native(b);
  // ECMA-262 compares a number with a bigint by their mathematical values.
  if (left < right) return -1;
  if (left > right) return 1;
  return Number(Number.isNaN(right)) - Number(Number.isNaN(left));
}

function compareDecimals(a: Numeric, b: Numeric): number {
  const special = compareNumbers(specialOf(a), specialOf(b));
  if (special !== 0 || !isFinite(a) || !isFinite(b)) return special;
  const [aTop, aBottom] = rational(a);
  const [bTop, bBottom] = rational(b);
  const difference = aTop * bBottom - bTop * aBottom;
  return difference < 0n ? -1 : Number(difference > 0n);
}

/** A finite number as 0, so that those which are not are set apart. */
function specialOf(value: Numeric): Double {
  return new Double(isFinite(value) ? 0 : toNumber(value));
}

function isFinite(value: Numeric): boolean {
  return Number.isFinite(toNumber(value)) || (value instanceof Decimal128 && !/NaN|Infinity/.test(value.toString()));
}

export function isNaN(value: Numeric): boolean {
  return Number.isNaN(toNumber(value));
}

/** The nearest double. */
export function toNumber(value: Numeric): number {
  if (value instanceof Decimal128) return Number(value.toString());
  return Number(native(value));
}

function rational(value: Numeric): Rational {
  if (typeof value === 'bigint') return [value, 1n];
  return value instanceof Decimal128 ? rationalOfDecimal(value) : rationalOfDouble(value.value);
}

/** IEEE 754: 52 bits of fraction; scaled by two until nothing of it is left. */
function rationalOfDouble(value: number): Rational {
  let bottom = 1n;
  let top = value;
  while (!Number.isInteger(top)) {
    top *= 2;
    bottom *= 2n;
  }
  return [BigInt(top), bottom];
}

function rationalOfDecimal(value: Decimal128): Rational {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/i.exec(value.toString());
  if (match === null) throw new Error(`not a finite decimal: ${value.toString()}`);
  const [, sign, whole = '0', fraction = '', exponent = '0'] = match;
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  const scale = Number(exponent) - fraction.length;
  return scale >= 0 ? [digits * 10n ** BigInt(scale), 1n] : [digits, 10n ** BigInt(-scale)];
}

/**
 * A text that two numbers share exactly when they are equal, of whatever types: what makes 1, 1.0 and Long(1) one
 * `_id`.
 */
export function numberKey(value: Numeric): string {
  if (value instanceof Int32) return value.value.toString();
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Double) return doubleKey(value.value);
  if (!isFinite(value)) return String(toNumber(value));
  const [top, bottom] = rationalOfDecimal(value);
  if (top % bottom === 0n) return (top / bottom).toString();
  const nearest = new Double(toNumber(value));
  if (compareNumbers(nearest, value) === 0) return doubleKey(nearest.value);
  const divisor = gcd(top < 0n ? -top : top, bottom);
  return `${(top / divisor).toString()}/${(bottom / divisor).toString()}`;
}

/** A double that is an integer is written in full; of the others JavaScript's text is one for each. */
function doubleKey(value: number): string {
  return Number.isInteger(value) ? BigInt(value).toString() : String(value);
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** The integer that a number is, when it is one that a double or an int64 holds; `$mod`, limits and sizes need it. */
export function toInteger(value: Numeric): bigint | undefined {
  if (!isFinite(value)) return undefined;
  const [top, bottom] = rational(value);
  const integer = top / bottom;
  return integer >= INT64_MIN && integer <= INT64_MAX ? integer : undefined;
}

/** As `toInteger`, for what must be whole to begin with: a limit, a size; `undefined` for anything else. */
export function wholeNumber(value: Value | undefined): number | undefined {
  if (!isNumeric(value)) return undefined;
  const whole = toInteger(value);
  if (whole === undefined || compareNumbers(value, whole) !== 0 || !Number.isSafeInteger(Number(whole)))
    return undefined;
  return Number(whole);
}

/** To that many decimal places, ties to the even digit, of the exact value of a double. */
export function round(value: Numeric, places: number): Numeric {
  const number = withoutDecimal(value);
  if (!(number instanceof Double) || !isFinite(number)) return number;
  const scale = 10n ** BigInt(places);
  const [top, bottom] = rationalOfDouble(number.value);
  const scaled = top * scale;
  const floor = scaled / bottom - (scaled % bottom < 0n ? 1n : 0n);
  const twice = (scaled - floor * bottom) * 2n;
  const up = twice > bottom || (twice === bottom && floor % 2n !== 0n);
  return new Double(Number(`${(floor + (up ? 1n : 0n)).toString()}e-${places}`));
}

/** The type that MongoDB gives a sum or a product: the wider of the two, and the next one when it does not fit. */
export function add(a: Numeric, b: Numeric): Numeric | undefined {
  return arithmetic(
    a,
    b,
    (x, y) => x + y,
    (x, y) => x + y,
  );
}

export function subtract(a: Numeric, b: Numeric): Numeric | undefined {
  return arithmetic(
    a,
    b,
    (x, y) => x - y,
    (x, y) => x - y,
  );
}

export function multiply(a: Numeric, b: Numeric): Numeric | undefined {
  return arithmetic(
    a,
    b,
    (x, y) => x * y,
    (x, y) => x * y,
  );
}

/** `undefined` when the result is beyond an int64: MongoDB refuses that in an update. */
function arithmetic(
  a: Numeric,
  b: Numeric,
  doubles: (x: number, y: number) => number,
  integers: (x: bigint, y: bigint) => bigint,
): Numeric | undefined {
  const left = withoutDecimal(a);
  const right = withoutDecimal(b);
  if (left instanceof Double || right instanceof Double) {
    return new Double(doubles(Number(native(left)), Number(native(right))));
  }
  return integer(
    integers(BigInt(native(left)), BigInt(native(right))),
    left instanceof Int32 && right instanceof Int32,
  );
}

/** An int32 where it may be one and fits, else an int64 where it fits. */
export function integer(value: bigint, narrow: boolean): Int32 | bigint | undefined {
  if (narrow && value >= INT32_MIN && value <= INT32_MAX) return new Int32(Number(value));
  return value >= INT64_MIN && value <= INT64_MAX ? value : undefined;
}

/** Arithmetic of 34 decimal digits is left out: it is refused, never done in doubles. */
export function withoutDecimal(value: Numeric): Int32 | Double | bigint {
  if (value instanceof Decimal128) throw notImplemented('arithmetic with Decimal128');
  return value;
}

/**
 * A sum as MongoDB makes it: integers exactly, doubles with twice the precision (Knuth's 2Sum), so that ten times 0.1
 * is 1. Source: src/mongo/util/summation.h of the server.
 */
export class Sum {
  #integers = 0n;
  #narrow = true;
  #doubles = false;
  #sum = 0;
  #rest = 0;
  /** A plain sum beside it: the compensated one turns infinities into NaN. */
  #plain = 0;

  add(value: Numeric): void {
    const summand = withoutDecimal(value);
    if (summand instanceof Double) {
      this.#doubles = true;
      this.#addDouble(summand.value);
    } else {
      if (typeof summand === 'bigint') this.#narrow = false;
      this.#integers += BigInt(native(summand));
    }
  }

  value(): Numeric {
    const whole = this.#doubles ? undefined : integer(this.#integers, this.#narrow);
    return whole ?? new Double(this.toNumber());
  }

  toNumber(): number {
    if (!Number.isFinite(this.#plain)) return this.#plain;
    const total = new Sum();
    total.#sum = this.#sum;
    total.#rest = this.#rest;
    const high = Number(this.#integers);
    total.#addDouble(high);
    total.#addDouble(Number(this.#integers - BigInt(high)));
    return total.#sum + total.#rest;
  }

  #addDouble(value: number): void {
    this.#plain += value;
    const sum = this.#sum + value;
    const back = sum - this.#sum;
    this.#rest += this.#sum - (sum - back) + (value - back);
    this.#sum = sum;
  }
}
