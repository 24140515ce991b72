/** The update operators, each a function of a document and of one path in it. */
import { BSONRegExp, Int32 } from 'bson';
import { compare, equal } from '../bson/compare.js';
import { add, multiply, wholeNumber } from '../bson/numbers.js';
import { display, isDoc, isNumeric, typeOf, type Doc, type Numeric, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import { elementTest, isOperators } from '../query/filter.js';
import type { ValueTest } from '../query/paths.js';
import { compileSort } from '../query/sort.js';
import { arrayAt, existingSlot, parseUpdatePath, slotFor } from './paths.js';

/** Changes the document in place. */
export type Change = (doc: Doc) => void;

/** Throws when the operand is none for the operator. */
export type CompileOperator = (path: string, operand: Value) => Change;

export const OPERATORS: ReadonlyMap<string, CompileOperator> = new Map<string, CompileOperator>([
  ['$set', assign],
  // Whether it applies is for who knows whether the document is new.
  ['$setOnInsert', assign],
  ['$unset', unset],
  ['$inc', (path, operand) => calculate('$inc', path, operand, add, (amount) => amount)],
  ['$mul', (path, operand) => calculate('$mul', path, operand, multiply, (factor) => multiply(factor, new Int32(0)))],
  ['$min', (path, operand) => replaceIf(path, operand, (result) => result < 0)],
  ['$max', (path, operand) => replaceIf(path, operand, (result) => result > 0)],
  ['$rename', rename],
  ['$currentDate', currentDate],
  ['$push', push],
  ['$addToSet', addToSet],
  ['$pop', pop],
  ['$pull', pull],
  ['$pullAll', pullAll],
]);

function assign(path: string, operand: Value): Change {
  const parts = parseUpdatePath(path);
  return (doc) => slotFor(doc, parts).set(structuredCopy(operand));
}

/** One operand goes into many documents, and later operators may change what is in one. */
function structuredCopy(value: Value): Value {
  if (Array.isArray(value)) return value.map(structuredCopy);
  if (isDoc(value)) return new Map([...value].map(([name, field]) => [name, structuredCopy(field)]));
  return value;
}

function unset(path: string): Change {
  const parts = parseUpdatePath(path);
  return (doc) => existingSlot(doc, parts)?.remove();
}

function calculate(
  operator: string,
  path: string,
  operand: Value,
  apply: (a: Numeric, b: Numeric) => Numeric | undefined,
  initial: (operand: Numeric) => Numeric | undefined,
): Change {
  const parts = parseUpdatePath(path);
  const verb = operator === '$inc' ? 'increment' : 'multiply';
  if (!isNumeric(operand)) {
    throw new CommandError('TypeMismatch', `Cannot ${verb} with non-numeric argument: {${path}: ${display(operand)}}`);
  }
  return (doc) => {
    const slot = slotFor(doc, parts);
    const current = slot.get();
    if (current !== undefined && !isNumeric(current)) {
      throw new CommandError(
        'TypeMismatch',
        `Cannot apply ${operator} to a value of non-numeric type. {_id: ${display(doc.get('_id'))}} has the field ` +
          `'${parts.at(-1) ?? ''}' of non-numeric type ${typeOf(current).alias}`,
      );
    }
    const result = current === undefined ? initial(operand) : apply(current, operand);
    if (result === undefined) {
      throw new CommandError(
        'BadValue',
        `Failed to apply ${operator} to current value (${display(current)}): beyond 64 bits`,
      );
    }
    slot.set(result);
  };
}

function replaceIf(path: string, operand: Value, accept: (result: number) => boolean): Change {
  const parts = parseUpdatePath(path);
  return (doc) => {
    const slot = slotFor(doc, parts);
    const current = slot.get();
    if (current === undefined || accept(compare(operand, current))) slot.set(structuredCopy(operand));
  };
}

function rename(path: string, operand: Value): Change {
  if (typeof operand !== 'string') {
    throw new CommandError('BadValue', `The 'to' field for $rename must be a string: ${path}: ${display(operand)}`);
  }
  const from = parseUpdatePath(path);
  const to = parseUpdatePath(operand);
  return (doc) => {
    throughNoArray(doc, from);
    throughNoArray(doc, to);
    const source = existingSlot(doc, from);
    const value = source?.get();
    if (source === undefined || value === undefined) return;
    source.remove();
    slotFor(doc, to).set(value);
  };
}

function throughNoArray(doc: Doc, path: readonly string[]): void {
  for (let length = 1; length < path.length; length++) {
    if (Array.isArray(existingSlot(doc, path.slice(0, length))?.get())) {
      throw new CommandError('BadValue', `The path '${path.join('.')}' of $rename goes through an array`);
    }
  }
}

function currentDate(path: string, operand: Value): Change {
  const type = isDoc(operand) ? operand.get('$type') : operand;
  if (type === 'timestamp') throw notImplemented("$currentDate with { $type: 'timestamp' }");
  if (typeof type !== 'boolean' && type !== 'date') {
    throw new CommandError('BadValue', `${typeOf(operand).alias} is not valid type for $currentDate.`);
  }
  const parts = parseUpdatePath(path);
  return (doc) => slotFor(doc, parts).set(new Date());
}

const PUSH_MODIFIERS = new Set(['$each', '$position', '$slice', '$sort']);

function push(path: string, operand: Value): Change {
  const parts = parseUpdatePath(path);
  const modifiers = isDoc(operand) && operand.has('$each') ? operand : new Map<string, Value>([['$each', [operand]]]);
  const added = eachOf('$push', modifiers);
  for (const name of modifiers.keys()) {
    if (!PUSH_MODIFIERS.has(name)) throw new CommandError('BadValue', `Unrecognized clause in $push: ${name}`);
  }
  const position = optionalWhole('$position', modifiers);
  const slice = optionalWhole('$slice', modifiers);
  const order = elementOrder(modifiers.get('$sort'));
  return (doc) => {
    const slot = slotFor(doc, parts);
    const array = arrayAt(doc, slot, path) ?? [];
    array.splice(position ?? array.length, 0, ...added.map(structuredCopy));
    if (order !== undefined) array.sort(order);
    slot.set(slice === undefined ? array : slice < 0 ? array.slice(slice) : array.slice(0, slice));
  };
}

function eachOf(operator: string, modifiers: Doc): Value[] {
  const each = modifiers.get('$each');
  if (Array.isArray(each)) return each;
  throw new CommandError(
    'BadValue',
    `The argument to $each in ${operator} must be an array but it was of type ${typeOf(each).alias}`,
  );
}

function optionalWhole(name: string, modifiers: Doc): number | undefined {
  const value = modifiers.get(name);
  const whole = wholeNumber(value);
  if (value !== undefined && whole === undefined)
    throw new CommandError('BadValue', `The value for ${name} must be an integer`);
  return whole;
}

function elementOrder(spec: Value | undefined): ((a: Value, b: Value) => number) | undefined {
  if (spec === undefined) return undefined;
  const direction = wholeNumber(spec);
  if (direction === 1 || direction === -1) return (a, b) => compare(a, b) * direction;
  const sort = isDoc(spec) ? compileSort(spec) : undefined;
  if (sort === undefined)
    throw new CommandError('BadValue', 'The $sort is invalid: use 1 or -1, or a sort specification');
  const key = (element: Value) => sort.key(isDoc(element) ? element : new Map<string, Value>());
  return (a, b) => sort.compare(key(a), key(b));
}

function addToSet(path: string, operand: Value): Change {
  const parts = parseUpdatePath(path);
  const each = isDoc(operand) && operand.has('$each') ? eachOf('$addToSet', operand) : [operand];
  return (doc) => {
    const slot = slotFor(doc, parts);
    const array = arrayAt(doc, slot, path) ?? [];
    for (const value of each) if (!array.some((element) => equal(element, value))) array.push(structuredCopy(value));
    slot.set(array);
  };
}

function pop(path: string, operand: Value): Change {
  const parts = parseUpdatePath(path);
  const end = wholeNumber(operand);
  if (end !== 1 && end !== -1)
    throw new CommandError('FailedToParse', `$pop expects 1 or -1, found: ${display(operand)}`);
  return (doc) => {
    const slot = existingSlot(doc, parts);
    const array = arrayAt(doc, slot, path);
    if (end === 1) array?.pop();
    else array?.shift();
  };
}

function pull(path: string, operand: Value): Change {
  return removeElements(path, pullTest(operand));
}

function pullTest(operand: Value): ValueTest {
  if (operand instanceof BSONRegExp) return elementTest(new Map([['$regex', operand]]));
  if (!isDoc(operand)) return (element) => equal(element, operand);
  const test = elementTest(operand);
  return isOperators(operand) ? test : (element) => isDoc(element) && test(element);
}

function pullAll(path: string, operand: Value): Change {
  if (!Array.isArray(operand)) throw new CommandError('BadValue', '$pullAll requires an array argument');
  return removeElements(path, (element) => operand.some((value) => equal(element, value)));
}

function removeElements(path: string, test: ValueTest): Change {
  const parts = parseUpdatePath(path);
  return (doc) => {
    const slot = existingSlot(doc, parts);
    const array = arrayAt(doc, slot, path);
    if (array !== undefined) slot?.set(array.filter((element) => !test(element)));
  };
}
