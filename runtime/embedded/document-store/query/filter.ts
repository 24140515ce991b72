/**
 * MongoDB's query filters, compiled to functions. What is not here is refused when the filter is read, before any
 * document.
 */
import { BSONRegExp, MaxKey, MinKey } from 'bson';
import { compare, equal, keyOf } from '../bson/compare.js';
import { isNaN, toInteger } from '../bson/numbers.js';
import { display, isDoc, isNumeric, TYPE_CODES, typeOf, type Doc, type Value } from '../bson/values.js';
import { CommandError } from '../errors.js';
import { compileExpression, truthy } from './expression.js';
import { parsePath, someValue, type ValueTest } from './paths.js';
import { compileRegex } from './regex.js';

type Predicate = (doc: Doc) => boolean;

export interface Filter {
  readonly matches: Predicate;
  /** The top-level fields that it reads; `undefined` where it may read any. */
  readonly fields: ReadonlySet<string> | undefined;
  /** When only documents with one of these `_id`s can match. */
  readonly ids: readonly Value[] | undefined;
  /** It matches every document. */
  readonly empty: boolean;
}

/** A condition on a field: on what a path finds in a document, and, within `$elemMatch`, on one value. */
interface Condition {
  at(doc: Doc, path: readonly string[]): boolean;
  of: ValueTest;
}

/** From this many on, the values of `$in` are looked up by their keys. */
const IN_BY_KEY = 8;

export function compileFilter(spec: Doc): Filter {
  const predicates = compileClauses(spec);
  return {
    matches: (doc) => predicates.every((predicate) => predicate(doc)),
    fields: fieldsOf(spec),
    ids: idsOf(spec),
    empty: spec.size === 0,
  };
}

function compileClauses(spec: Doc): Predicate[] {
  return [...spec].map(([name, operand]) => {
    if (name.startsWith('$')) return compileTopLevel(name, operand);
    const path = parsePath(name);
    const conditions = conditionsOf(operand);
    return (doc) => conditions.every((condition) => condition.at(doc, path));
  });
}

function compileTopLevel(name: string, operand: Value): Predicate {
  switch (name) {
    case '$and': {
      const filters = compileList(name, operand);
      return (doc) => filters.every(({ matches }) => matches(doc));
    }
    case '$or': {
      const filters = compileList(name, operand);
      return (doc) => filters.some(({ matches }) => matches(doc));
    }
    case '$nor': {
      const filters = compileList(name, operand);
      return (doc) => !filters.some(({ matches }) => matches(doc));
    }
    case '$expr': {
      const expression = compileExpression(operand);
      return (doc) => truthy(expression(doc));
    }
    case '$comment':
      return () => true;
    default:
      throw new CommandError(
        'BadValue',
        `unknown top level operator: ${name}; the document store has $and, $or, $nor, $expr and $comment`,
      );
  }
}

function compileList(name: string, operand: Value): Filter[] {
  if (!Array.isArray(operand) || operand.length === 0) throw bad(`${name} must be a nonempty array`);
  return operand.map((clause) => {
    if (!isDoc(clause)) throw bad(`${name} entries need to be full objects`);
    return compileFilter(clause);
  });
}

/** A document of operators, as against a document to compare with; `{ $ref, $id }` is a reference, which is a value. */
export function isOperators(value: Value | undefined): value is Doc {
  if (!isDoc(value)) return false;
  const [first] = value.keys();
  return first !== undefined && first.startsWith('$') && first !== '$ref' && first !== '$id' && first !== '$db';
}

function conditionsOf(operand: Value): Condition[] {
  if (operand instanceof BSONRegExp) return [matchesRegex(operand)];
  if (!isOperators(operand)) return [equals(operand)];
  return [...operand].map(([operator, argument]) => conditionOf(operator, argument, operand));
}

function conditionOf(operator: string, argument: Value, siblings: Doc): Condition {
  switch (operator) {
    case '$eq':
      return equals(argument);
    case '$ne':
      if (argument instanceof BSONRegExp) throw bad("Can't have regex as arg to $ne.");
      return not([equals(argument)]);
    case '$gt':
      return ordered(operator, argument, (result) => result > 0, false);
    case '$gte':
      return ordered(operator, argument, (result) => result >= 0, true);
    case '$lt':
      return ordered(operator, argument, (result) => result < 0, false);
    case '$lte':
      return ordered(operator, argument, (result) => result <= 0, true);
    case '$in':
      return oneOf(operator, argument);
    case '$nin':
      return not([oneOf(operator, argument)]);
    case '$not':
      return not(negatedBy(argument));
    case '$exists':
      return truthy(argument) ? exists() : not([exists()]);
    case '$type':
      return hasType(argument);
    case '$regex':
      return regexOperator(argument, siblings.get('$options'));
    case '$options':
      if (!siblings.has('$regex')) throw bad('$options needs a $regex');
      return { at: () => true, of: () => true };
    case '$mod':
      return modulo(argument);
    case '$size':
      return hasSize(argument);
    case '$all':
      return hasAll(argument);
    case '$elemMatch':
      return elementMatches(argument);
    default:
      throw bad(
        `unknown operator: ${operator}; the document store has $eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $not, $exists, ` +
          '$type, $regex, $mod, $size, $all and $elemMatch',
      );
  }
}

function bad(message: string): CommandError {
  return new CommandError('BadValue', message);
}

/** @param whole see `someValue` */
function condition(test: ValueTest, whole = false): Condition {
  return { at: (doc, path) => someValue(doc, path, whole, test), of: test };
}

function not(conditions: readonly Condition[]): Condition {
  return {
    at: (doc, path) => !conditions.every((each) => each.at(doc, path)),
    of: (value) => !conditions.every((each) => each.of(value)),
  };
}

function equals(operand: Value): Condition {
  if (operand === null) return condition((value) => value === undefined || value === null);
  return condition((value) => value !== undefined && equal(value, operand));
}

/** Only values of the operand's own type are compared with it, except with MinKey and MaxKey. */
function ordered(operator: string, operand: Value, accept: (result: number) => boolean, orEqual: boolean): Condition {
  if (operand instanceof BSONRegExp) throw bad(`Can't have RegEx as arg to predicate over field with ${operator}.`);
  if (operand === null) return orEqual ? equals(null) : condition(() => false);
  if (isNumeric(operand) && isNaN(operand)) return orEqual ? equals(operand) : condition(() => false);
  if (operand instanceof MinKey || operand instanceof MaxKey) {
    return condition((value) => value !== undefined && accept(compare(value, operand)));
  }
  const { rank } = typeOf(operand);
  return condition((value) => {
    if (value === undefined || typeOf(value).rank !== rank || (isNumeric(value) && isNaN(value))) return false;
    return accept(compare(value, operand));
  });
}

function oneOf(operator: string, operand: Value): Condition {
  if (!Array.isArray(operand)) throw bad(`${operator} needs an array`);
  if (operand.some(isOperators)) throw bad(`cannot nest $ under ${operator}`);
  const expressions = operand.filter((value) => value instanceof BSONRegExp).map((value) => matchesRegex(value));
  const values = operand.filter((value) => !(value instanceof BSONRegExp));
  const tests = expressions.map(({ of }) => of);
  if (values.length < IN_BY_KEY) tests.push(...values.map((value) => equals(value).of));
  else tests.push(oneOfKeys(values));
  return condition((value) => tests.some((test) => test(value)));
}

function oneOfKeys(values: readonly Value[]): ValueTest {
  const keys = new Set(values.map((value) => keyOf(value).toString('latin1')));
  return (value) => keys.has(keyOf(value ?? null).toString('latin1'));
}

function negatedBy(operand: Value): Condition[] {
  if (operand instanceof BSONRegExp) return [matchesRegex(operand)];
  if (!isOperators(operand)) throw bad('$not needs a regex or a document of operators');
  return conditionsOf(operand);
}

function exists(): Condition {
  return condition((value) => value !== undefined);
}

function hasType(operand: Value): Condition {
  const wanted = Array.isArray(operand) ? operand : [operand];
  if (wanted.length === 0) throw bad('$type must match at least one type');
  const codes = new Set(wanted.flatMap(typeCodes));
  return condition((value) => value !== undefined && codes.has(typeOf(value).code));
}

function typeCodes(operand: Value): number[] {
  if (operand === 'number') return ['double', 'int', 'long', 'decimal'].flatMap(typeCodes);
  const code = isNumeric(operand)
    ? Number(toInteger(operand))
    : typeof operand === 'string'
      ? TYPE_CODES.get(operand)
      : undefined;
  if (code === undefined || ![...TYPE_CODES.values()].includes(code))
    throw bad(`Unknown type name alias: ${display(operand)}`);
  return [code];
}

function regexOperator(argument: Value, options: Value | undefined): Condition {
  if (options !== undefined && typeof options !== 'string') throw bad('$options has to be a string');
  if (typeof argument === 'string') return matchesRegex(new BSONRegExp(argument, ''), options);
  if (!(argument instanceof BSONRegExp)) throw bad('$regex has to be a string');
  if (options !== undefined && argument.options !== '')
    throw new CommandError(51075, 'options set in both $regex and $options');
  return matchesRegex(argument, options);
}

/** A string that it matches, or the same expression stored as a value. */
function matchesRegex(regex: BSONRegExp, options = regex.options): Condition {
  const compiled = compileRegex(regex.pattern, options);
  return condition((value) => {
    if (typeof value === 'string') return compiled.test(value);
    return value instanceof BSONRegExp && value.pattern === regex.pattern && value.options === options;
  });
}

function modulo(operand: Value): Condition {
  if (!Array.isArray(operand) || operand.length !== 2) throw bad('malformed mod, it needs two numbers');
  const [divisor, remainder] = operand.map((part) => (isNumeric(part) ? toInteger(part) : undefined));
  if (divisor === undefined || remainder === undefined)
    throw bad('malformed mod, divisor and remainder must be numbers');
  if (divisor === 0n) throw bad('divisor cannot be 0');
  return condition((value) => {
    const dividend = isNumeric(value) ? toInteger(value) : undefined;
    return dividend !== undefined && dividend % divisor === remainder;
  });
}

function hasSize(operand: Value): Condition {
  const size = isNumeric(operand) ? toInteger(operand) : undefined;
  if (size === undefined || size < 0n || !equal(operand, size)) throw bad('$size must be a whole number, 0 or more');
  return condition((value) => Array.isArray(value) && BigInt(value.length) === size, true);
}

function hasAll(operand: Value): Condition {
  if (!Array.isArray(operand)) throw bad('$all needs an array');
  if (operand.length === 0) return condition(() => false);
  const conditions = operand.map((value) => {
    if (value instanceof BSONRegExp) return matchesRegex(value);
    if (!isOperators(value)) return equals(value);
    const elemMatch = value.get('$elemMatch');
    if (elemMatch === undefined || value.size !== 1) throw bad('no $ expressions in $all, except $elemMatch');
    return elementMatches(elemMatch);
  });
  return {
    at: (doc, path) => conditions.every((each) => each.at(doc, path)),
    of: (value) => conditions.every((each) => each.of(value)),
  };
}

function elementMatches(operand: Value): Condition {
  const test = elementTest(operand);
  return condition((value) => Array.isArray(value) && value.some(test), true);
}

/** What `$elemMatch` asks of one element, in filters and in projections. */
export function elementTest(operand: Value): ValueTest {
  if (!isDoc(operand)) throw bad('$elemMatch needs an Object');
  const [first] = operand.keys();
  if (isOperators(operand) && first !== '$and' && first !== '$or' && first !== '$nor') {
    const conditions = conditionsOf(operand);
    return (element) => conditions.every((each) => each.of(element));
  }
  const filter = compileFilter(operand);
  return (element) => {
    // The elements of an array within the array are its fields '0', '1', ….
    if (Array.isArray(element)) return filter.matches(new Map(element.map((value, index) => [String(index), value])));
    return isDoc(element) && filter.matches(element);
  };
}

function fieldsOf(spec: Doc): ReadonlySet<string> | undefined {
  const fields = new Set<string>();
  for (const [name, operand] of spec) {
    if (name === '$comment') continue;
    if (!name.startsWith('$')) {
      fields.add(name.split('.')[0] ?? name);
      continue;
    }
    if (!Array.isArray(operand)) return undefined;
    for (const clause of operand) {
      const inner = isDoc(clause) ? fieldsOf(clause) : undefined;
      if (inner === undefined) return undefined;
      inner.forEach((field) => fields.add(field));
    }
  }
  return fields;
}

function idsOf(spec: Doc): readonly Value[] | undefined {
  const operand = spec.get('_id');
  if (operand !== undefined) {
    if (!isOperators(operand)) return operand instanceof BSONRegExp ? undefined : [operand];
    const equalTo = operand.get('$eq');
    if (equalTo !== undefined) return [equalTo];
    const among = operand.get('$in');
    if (Array.isArray(among) && !among.some((value) => value instanceof BSONRegExp)) return among;
  }
  const clauses = spec.get('$and');
  if (!Array.isArray(clauses)) return undefined;
  for (const clause of clauses) {
    const ids = isDoc(clause) ? idsOf(clause) : undefined;
    if (ids !== undefined) return ids;
  }
  return undefined;
}

/**
 * The fields that an upsert takes from its filter: those that it requires to be equal to one value.
 * Throws NotSingleValueField where it requires two values of one field.
 */
export function requiredValues(spec: Doc, found = new Map<string, Value>()): Map<string, Value> {
  for (const [name, operand] of spec) {
    if (name === '$and' || (name === '$or' && Array.isArray(operand) && operand.length === 1)) {
      for (const clause of Array.isArray(operand) ? operand : []) if (isDoc(clause)) requiredValues(clause, found);
    } else if (!name.startsWith('$')) {
      const value = requiredValue(operand);
      if (value === undefined) continue;
      if (found.has(name)) {
        throw new CommandError(
          'NotSingleValueField',
          `cannot infer query fields to set, path '${name}' is matched twice`,
        );
      }
      found.set(name, value);
    }
  }
  return found;
}

function requiredValue(operand: Value): Value | undefined {
  if (operand instanceof BSONRegExp) return undefined;
  if (!isOperators(operand)) return operand;
  const equalTo = operand.get('$eq');
  if (equalTo !== undefined) return equalTo;
  const all = operand.get('$all');
  return Array.isArray(all) && all.length === 1 && !isOperators(all[0]) ? all[0] : undefined;
}
