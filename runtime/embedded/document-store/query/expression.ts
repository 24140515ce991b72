/** Aggregation expressions: field paths, literals, documents and arrays of them, and a small set of operators. */
import { Double, Int32 } from 'bson';
import { compare, equal } from '../bson/compare.js';
import {
  add,
  compareNumbers,
  integer,
  multiply,
  native,
  round,
  subtract,
  toNumber,
  wholeNumber,
  withoutDecimal,
} from '../bson/numbers.js';
import { display, isDoc, isNumeric, typeOf, type Doc, type Numeric, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import { DATE_PARTS, DEFAULT_FORMAT, formatDate, truncateDate } from './dates.js';
import { parsePath } from './paths.js';

/** `undefined` is a missing value, which a document leaves out. */
export type Expression = (doc: Doc) => Value | undefined;

type Operands = readonly (Value | undefined)[];

interface Operator {
  /** How many operands; the second number is the most. */
  arity: readonly [number, number];
  apply(operands: Operands): Value | undefined;
}

/** Decimal places that `$round` takes: MongoDB's own limit is 100, and 20 negative. */
const MAX_PLACES = 100;

export function compileExpression(spec: Value): Expression {
  if (typeof spec === 'string' && spec.startsWith('$')) return compileReference(spec);
  if (Array.isArray(spec)) {
    const elements = spec.map(compileExpression);
    return (doc) => elements.map((element) => element(doc) ?? null);
  }
  if (!isDoc(spec)) return () => spec;
  const [first] = spec;
  if (first?.[0].startsWith('$')) {
    if (spec.size !== 1)
      throw new CommandError(15983, `an expression must have exactly one operator, not ${spec.size}`);
    return compileOperator(...first);
  }
  const fields = [...spec].map(([name, value]) => {
    if (name.includes('.') || name.startsWith('$')) {
      throw new CommandError(16412, `FieldPath field names may not contain '.' or start with '$': ${name}`);
    }
    return [name, compileExpression(value)] as const;
  });
  return (doc) => {
    const result: Doc = new Map();
    for (const [name, expression] of fields) {
      const value = expression(doc);
      if (value !== undefined) result.set(name, value);
    }
    return result;
  };
}

export function truthy(value: Value | undefined): boolean {
  if (value === undefined || value === null || value === false) return false;
  return !isNumeric(value) || compareNumbers(value, new Int32(0)) !== 0;
}

function compileReference(reference: string): Expression {
  if (!reference.startsWith('$$')) return fieldPath(parsePath(reference.slice(1)));
  const [variable, ...path] = parsePath(reference.slice(2));
  const rest = path.length === 0 ? (doc: Doc) => doc : fieldPath(path);
  if (variable === 'ROOT' || variable === 'CURRENT') return rest;
  if (path.length === 0 && variable === 'REMOVE') return () => undefined;
  if (path.length === 0 && variable === 'NOW') {
    const now = new Date();
    return () => now;
  }
  throw new CommandError(
    17276,
    `Use of undefined variable: ${variable ?? ''}; the document store has ROOT, CURRENT, NOW and REMOVE`,
  );
}

/** Unlike in a filter, a number is a field name here and no position, and an array gives an array. */
export function fieldPath(path: readonly string[]): Expression {
  return (doc) => follow(doc, path, 0);
}

function follow(value: Value | undefined, path: readonly string[], at: number): Value | undefined {
  const part = path[at];
  if (part === undefined) return value;
  if (isDoc(value)) return follow(value.get(part), path, at + 1);
  if (!Array.isArray(value)) return undefined;
  return value.map((element) => follow(element, path, at)).filter((element) => element !== undefined);
}

function compileOperator(name: string, argument: Value): Expression {
  switch (name) {
    case '$literal':
      return () => argument;
    case '$and': {
      const operands = compileOperands(argument);
      return (doc) => operands.every((operand) => truthy(operand(doc)));
    }
    case '$or': {
      const operands = compileOperands(argument);
      return (doc) => operands.some((operand) => truthy(operand(doc)));
    }
    case '$cond':
      return compileCondition(argument);
    case '$ifNull': {
      const operands = compileOperands(argument);
      if (operands.length < 2) throw wrongArity(name, operands.length);
      return (doc) => {
        for (const operand of operands.slice(0, -1)) {
          const value = operand(doc);
          if (value !== undefined && value !== null) return value;
        }
        return operands.at(-1)?.(doc);
      };
    }
    case '$dateToString':
      return compileDateToString(argument);
    case '$dateTrunc':
      return compileDateTrunc(argument);
    default:
      return compilePlain(name, argument);
  }
}

function compilePlain(name: string, argument: Value): Expression {
  const operator = OPERATORS.get(name);
  if (operator === undefined) {
    throw new CommandError(
      168,
      `Unrecognized expression '${name}'; the document store has ${[...OPERATORS.keys()].join(', ')}, $literal, $and, $or, ` +
        '$cond, $ifNull, $dateToString and $dateTrunc',
    );
  }
  const operands = compileOperands(argument);
  const [least, most] = operator.arity;
  if (operands.length < least || operands.length > most) throw wrongArity(name, operands.length);
  return (doc) => operator.apply(operands.map((operand) => operand(doc)));
}

/** One operand need not stand in an array. */
function compileOperands(argument: Value): Expression[] {
  return (Array.isArray(argument) ? argument : [argument]).map(compileExpression);
}

function wrongArity(name: string, count: number): CommandError {
  return new CommandError(16020, `Expression ${name} does not take ${count} arguments`);
}

function compileCondition(argument: Value): Expression {
  const parts = isDoc(argument) ? ['if', 'then', 'else'].map((name) => argument.get(name)) : argument;
  if (!Array.isArray(parts) || parts.length !== 3 || (isDoc(argument) && argument.size !== 3))
    throw wrongArity('$cond', 0);
  const [test, yes, no] = parts.map((part) => {
    if (part === undefined) throw new CommandError(17080, "$cond needs 'if', 'then' and 'else'");
    return compileExpression(part);
  });
  return (doc) => (truthy(test?.(doc)) ? yes?.(doc) : no?.(doc));
}

function compileDateToString(argument: Value): Expression {
  const { date, format, timezone, onNull } = namedOperands('$dateToString', argument, [
    'date',
    'format',
    'timezone',
    'onNull',
  ]);
  return (doc) => {
    onlyUtc(timezone?.(doc));
    const time = date?.(doc);
    if (time === undefined || time === null) return onNull === undefined ? null : onNull(doc);
    return formatDate(dateOf('$dateToString', time), text('$dateToString', format?.(doc) ?? DEFAULT_FORMAT));
  };
}

function compileDateTrunc(argument: Value): Expression {
  const names = ['date', 'unit', 'binSize', 'timezone', 'startOfWeek'] as const;
  const { date, unit, binSize, timezone, startOfWeek } = namedOperands('$dateTrunc', argument, names);
  return (doc) => {
    onlyUtc(timezone?.(doc));
    const time = date?.(doc);
    if (time === undefined || time === null) return null;
    const size = wholeNumber(binSize?.(doc) ?? new Int32(1)) ?? 0;
    const weekday = text('$dateTrunc', startOfWeek?.(doc) ?? 'sunday').toLowerCase();
    return truncateDate(dateOf('$dateTrunc', time), text('$dateTrunc', unit?.(doc)), size, weekday);
  };
}

function namedOperands<Name extends string>(
  operator: string,
  argument: Value,
  names: readonly Name[],
): Partial<Record<Name, Expression>> {
  if (!isDoc(argument)) throw new CommandError(18629, `${operator} only supports an object as its argument`);
  const operands: Partial<Record<Name, Expression>> = {};
  for (const [name, value] of argument) {
    const known = names.find((candidate) => candidate === name);
    if (known === undefined) throw new CommandError(18534, `Unrecognized argument to ${operator}: ${name}`);
    operands[known] = compileExpression(value);
  }
  return operands;
}

function onlyUtc(timezone: Value | undefined): void {
  if (timezone === undefined || (typeof timezone === 'string' && /^(UTC|GMT|Z|[+-]00:?(00)?)$/.test(timezone))) return;
  throw notImplemented(`the time zone ${display(timezone)} (only UTC)`);
}

function dateOf(operator: string, value: Value): Date {
  if (value instanceof Date) return value;
  throw new CommandError(16006, `${operator} needs a date, got ${typeOf(value).alias}`);
}

function text(operator: string, value: Value | undefined): string {
  if (typeof value === 'string') return value;
  throw new CommandError(16702, `${operator} only supports strings, not ${typeOf(value).alias}`);
}

function isNothing(value: Value | undefined): value is null | undefined {
  return value === undefined || value === null;
}

/** Null when an operand is null or missing, as MongoDB's arithmetic and text operators all have it. */
function unlessNull(
  apply: (operands: readonly Value[]) => Value | undefined,
): (operands: Operands) => Value | undefined {
  return (operands) => {
    const values = operands.filter((operand) => !isNothing(operand));
    return values.length < operands.length ? null : apply(values);
  };
}

function comparison(accept: (result: number) => boolean): Operator {
  return { arity: [2, 2], apply: ([a, b]) => accept(compare(a, b)) };
}

function unary(name: string, apply: (value: Numeric) => Numeric): [string, Operator] {
  return [name, { arity: [1, 1], apply: unlessNull(([value]) => apply(numberOf(name, value))) }];
}

function numberOf(operator: string, value: Value | undefined): Numeric {
  if (isNumeric(value)) return value;
  throw new CommandError('TypeMismatch', `${operator} only supports numeric types, not ${typeOf(value).alias}`);
}

function fits(operator: string, value: Numeric | undefined): Numeric {
  if (value === undefined) throw new CommandError('BadValue', `long overflow in ${operator}`);
  return value;
}

/** Applied to the value of a double; integers are whole as they are. */
function wholeDouble(apply: (value: number) => number): (value: Numeric) => Numeric {
  return (value) => {
    const number = withoutDecimal(value);
    return number instanceof Double ? new Double(apply(number.value)) : number;
  };
}

function addAll(operands: readonly Value[]): Value {
  const date = operands.find((operand) => operand instanceof Date);
  if (operands.filter((operand) => operand instanceof Date).length > 1) {
    throw new CommandError(16612, 'only one date allowed in an $add expression');
  }
  let sum: Numeric = new Int32(0);
  for (const operand of operands)
    if (!(operand instanceof Date)) sum = fits('$add', add(sum, numberOf('$add', operand)));
  return date === undefined ? sum : shifted(date, toNumber(sum));
}

function subtractTwo([a, b]: readonly Value[]): Value {
  if (a instanceof Date && b instanceof Date) return BigInt(a.getTime() - b.getTime());
  if (a instanceof Date) return shifted(a, -toNumber(withoutDecimal(numberOf('$subtract', b))));
  return fits('$subtract', subtract(numberOf('$subtract', a), numberOf('$subtract', b)));
}

function shifted(date: Date, ms: number): Date {
  const result = new Date(date.getTime() + Math.round(ms));
  if (Number.isNaN(result.getTime())) throw new CommandError('BadValue', 'date overflow');
  return result;
}

function divide([a, b]: readonly Value[]): Value {
  const dividend = withoutDecimal(numberOf('$divide', a));
  const divisor = withoutDecimal(numberOf('$divide', b));
  if (toNumber(divisor) === 0) throw new CommandError('BadValue', "can't $divide by zero");
  return new Double(toNumber(dividend) / toNumber(divisor));
}

function remainder([a, b]: readonly Value[]): Value {
  const dividend = withoutDecimal(numberOf('$mod', a));
  const divisor = withoutDecimal(numberOf('$mod', b));
  if (toNumber(divisor) === 0) throw new CommandError(16610, "can't $mod by zero");
  if (dividend instanceof Double || divisor instanceof Double)
    return new Double(toNumber(dividend) % toNumber(divisor));
  const narrow = dividend instanceof Int32 && divisor instanceof Int32;
  return fits('$mod', integer(BigInt(native(dividend)) % BigInt(native(divisor)), narrow));
}

function absolute(value: Numeric): Numeric {
  const number = withoutDecimal(value);
  if (number instanceof Double) return new Double(Math.abs(number.value));
  return toNumber(number) < 0 ? fits('$abs', subtract(new Int32(0), number)) : number;
}

function roundTo([value, places]: readonly Value[]): Value {
  const digits = places === undefined ? 0 : wholeNumber(places);
  if (digits === undefined || digits < 0 || digits > MAX_PLACES) {
    throw notImplemented(`$round to ${display(places)} places (only 0 to ${MAX_PLACES})`);
  }
  return round(numberOf('$round', value), digits);
}

/** Beyond ASCII, MongoDB leaves case as it is. */
function asciiCase(name: string, convert: (letters: string) => string): [string, Operator] {
  return [
    name,
    { arity: [1, 1], apply: ([value]) => (isNothing(value) ? '' : text(name, value).replace(/[A-Za-z]+/g, convert)) },
  ];
}

function elementAt([array, index]: readonly Value[]): Value | undefined {
  const at = wholeNumber(index);
  if (!Array.isArray(array)) throw new CommandError(28689, "$arrayElemAt's first argument must be an array");
  if (at === undefined) throw new CommandError(28690, "$arrayElemAt's second argument must be a whole number");
  return array.at(at);
}

function datePart(name: keyof typeof DATE_PARTS): [string, Operator] {
  return [
    name,
    { arity: [1, 1], apply: unlessNull(([value]) => new Int32(DATE_PARTS[name](dateOf(name, value ?? null)))) },
  ];
}

const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['$eq', comparison((result) => result === 0)],
  ['$ne', comparison((result) => result !== 0)],
  ['$gt', comparison((result) => result > 0)],
  ['$gte', comparison((result) => result >= 0)],
  ['$lt', comparison((result) => result < 0)],
  ['$lte', comparison((result) => result <= 0)],
  ['$cmp', { arity: [2, 2], apply: ([a, b]) => new Int32(Math.sign(compare(a, b))) }],
  ['$not', { arity: [1, 1], apply: ([value]) => !truthy(value) }],
  ['$add', { arity: [0, Infinity], apply: unlessNull(addAll) }],
  ['$subtract', { arity: [2, 2], apply: unlessNull(subtractTwo) }],
  [
    '$multiply',
    {
      arity: [0, Infinity],
      apply: unlessNull((operands) =>
        operands.reduce<Numeric>(
          (product, operand) => fits('$multiply', multiply(product, numberOf('$multiply', operand))),
          new Int32(1),
        ),
      ),
    },
  ],
  ['$divide', { arity: [2, 2], apply: unlessNull(divide) }],
  ['$mod', { arity: [2, 2], apply: unlessNull(remainder) }],
  unary('$abs', absolute),
  unary('$ceil', wholeDouble(Math.ceil)),
  unary('$floor', wholeDouble(Math.floor)),
  unary('$trunc', wholeDouble(Math.trunc)),
  ['$round', { arity: [1, 2], apply: unlessNull(roundTo) }],
  [
    '$concat',
    { arity: [0, Infinity], apply: unlessNull((operands) => operands.map((part) => text('$concat', part)).join('')) },
  ],
  asciiCase('$toLower', (letters) => letters.toLowerCase()),
  asciiCase('$toUpper', (letters) => letters.toUpperCase()),
  ['$type', { arity: [1, 1], apply: ([value]) => typeOf(value).alias }],
  ['$isArray', { arity: [1, 1], apply: ([value]) => Array.isArray(value) }],
  [
    '$size',
    {
      arity: [1, 1],
      apply: ([value]) => {
        if (Array.isArray(value)) return new Int32(value.length);
        throw new CommandError(
          17124,
          `The argument to $size must be an array, but was of type: ${typeOf(value).alias}`,
        );
      },
    },
  ],
  [
    '$in',
    {
      arity: [2, 2],
      apply: ([value, array]) => {
        if (Array.isArray(array)) return array.some((element) => equal(element, value));
        throw new CommandError(40081, `$in requires an array as a second argument, found: ${typeOf(array).alias}`);
      },
    },
  ],
  ['$arrayElemAt', { arity: [2, 2], apply: unlessNull(elementAt) }],
  ...(Object.keys(DATE_PARTS) as (keyof typeof DATE_PARTS)[]).map(datePart),
]);
