/** What `$group` makes of the values of a group. */
import { Double, Int32 } from 'bson';
import { compare, keyOf } from '../bson/compare.js';
import { Sum, toNumber, withoutDecimal } from '../bson/numbers.js';
import { isNumeric, type Value } from '../bson/values.js';

export interface Accumulator {
  add(value: Value | undefined): void;
  result(): Value | undefined;
  /** Whether it keeps what it is given, which then counts against the limit of memory. */
  readonly keeps: boolean;
}

export const ACCUMULATORS: ReadonlyMap<string, () => Accumulator> = new Map<string, () => Accumulator>([
  ['$sum', sum],
  ['$avg', average],
  ['$min', () => extreme((result) => result < 0)],
  ['$max', () => extreme((result) => result > 0)],
  ['$first', first],
  ['$last', last],
  ['$push', collect],
  ['$addToSet', collectDistinct],
  ['$count', count],
]);

/** What is not a number is passed over. */
function sum(): Accumulator {
  const total = new Sum();
  return {
    keeps: false,
    add: (value) => {
      if (isNumeric(value)) total.add(value);
    },
    result: () => total.value(),
  };
}

function average(): Accumulator {
  const total = new Sum();
  let summands = 0;
  return {
    keeps: false,
    add: (value) => {
      if (!isNumeric(value)) return;
      total.add(withoutDecimal(value));
      summands++;
    },
    result: () => (summands === 0 ? null : new Double(toNumber(total.value()) / summands)),
  };
}

/** Null and missing are passed over, unless there is nothing else. */
function extreme(isBetter: (result: number) => boolean): Accumulator {
  let best: Value | undefined;
  return {
    keeps: false,
    add: (value) => {
      if (value === undefined || value === null) return;
      if (best === undefined || isBetter(compare(value, best))) best = value;
    },
    result: () => best ?? null,
  };
}

function first(): Accumulator {
  let found: { value: Value } | undefined;
  return {
    keeps: false,
    add: (value) => (found ??= { value: value ?? null }),
    result: () => found?.value ?? null,
  };
}

function last(): Accumulator {
  let latest: Value = null;
  return {
    keeps: false,
    add: (value) => (latest = value ?? null),
    result: () => latest,
  };
}

function collect(): Accumulator {
  const values: Value[] = [];
  return {
    keeps: true,
    add: (value) => {
      if (value !== undefined) values.push(value);
    },
    result: () => values,
  };
}

function collectDistinct(): Accumulator {
  const values = new Map<string, Value>();
  return {
    keeps: true,
    add: (value) => {
      if (value === undefined) return;
      const key = keyOf(value).toString('latin1');
      if (!values.has(key)) values.set(key, value);
    },
    result: () => [...values.values()],
  };
}

function count(): Accumulator {
  let documents = 0;
  return { keeps: false, add: () => documents++, result: () => new Int32(documents) };
}
