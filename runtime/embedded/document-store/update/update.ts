/** Updates: what `update` and `findAndModify` make of a document, or of nothing in an upsert. */
import { ObjectId } from 'bson';
import { equal } from '../bson/compare.js';
import { display, isDoc, typeOf, type Doc, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import { requiredValues } from '../query/filter.js';
import { checkId } from '../storage/identity.js';
import { OPERATORS, type Change } from './operators.js';
import { parseUpdatePath, slotFor } from './paths.js';

export interface Update {
  /** A document, rather than operators. */
  readonly replaces: boolean;
  /** The document after it; the one given may be changed. Throws ImmutableField when `_id` would change. */
  apply(doc: Doc): Doc;
  /** The document that an upsert inserts, `_id` first. */
  insert(filter: Doc): Doc;
}

interface Step {
  readonly path: string;
  readonly change: Change;
  readonly onInsertOnly: boolean;
}

export function compileUpdate(spec: Value | undefined): Update {
  if (Array.isArray(spec)) throw notImplemented('an update by an aggregation pipeline');
  if (!isDoc(spec)) throw new CommandError('FailedToParse', 'Update argument must be either an object or an array');
  const [first] = spec.keys();
  return first?.startsWith('$') === true ? modification(spec) : replacement(spec);
}

function replacement(spec: Doc): Update {
  for (const name of spec.keys()) {
    if (name.startsWith('$')) {
      throw new CommandError(
        'DollarPrefixedFieldName',
        `The dollar ($) prefixed field '${name}' is not allowed in a replacement document`,
      );
    }
  }
  return {
    replaces: true,
    apply: (doc) => {
      const id = doc.get('_id') ?? null;
      const given = spec.get('_id');
      if (given !== undefined && !equal(given, id)) {
        throw new CommandError(
          'ImmutableField',
          `After applying the update, the (immutable) field '_id' was found to have been altered to _id: ${display(given)}`,
        );
      }
      return idFirst(spec, id);
    },
    insert: (filter) => idFirst(spec, checkId(spec.get('_id') ?? requiredValues(filter).get('_id') ?? new ObjectId())),
  };
}

function idFirst(doc: Doc, id: Value): Doc {
  return new Map([['_id', id], ...[...doc].filter(([name]) => name !== '_id')]);
}

function modification(spec: Doc): Update {
  const steps = [...spec].flatMap(([operator, fields]) => compileSteps(operator, fields));
  rejectConflicts(steps.map(({ path }) => path));
  // MongoDB adds new fields in the order of their names.
  steps.sort((a, b) => comparePaths(a.path, b.path));
  const always = steps.filter(({ onInsertOnly }) => !onInsertOnly);
  return {
    replaces: false,
    apply: (doc) => {
      const id = doc.get('_id') ?? null;
      for (const { change } of always) change(doc);
      if (!equal(doc.get('_id'), id)) throw immutableId();
      return doc;
    },
    insert: (filter) => {
      const doc: Doc = new Map();
      for (const [path, value] of requiredValues(filter)) slotFor(doc, parseUpdatePath(path)).set(value);
      const id = doc.get('_id');
      for (const { change } of steps) change(doc);
      if (id !== undefined && !equal(doc.get('_id'), id)) throw immutableId();
      return idFirst(doc, checkId(doc.get('_id') ?? new ObjectId()));
    },
  };
}

function immutableId(): CommandError {
  return new CommandError(
    'ImmutableField',
    "Performing an update on the path '_id' would modify the immutable field '_id'",
  );
}

function compileSteps(operator: string, fields: Value): Step[] {
  const compile = OPERATORS.get(operator);
  if (compile === undefined) {
    throw new CommandError(
      'FailedToParse',
      `Unknown modifier: ${operator}. Expected a valid update modifier; the document store has ${[...OPERATORS.keys()].join(', ')}`,
    );
  }
  if (!isDoc(fields)) {
    throw new CommandError(
      'FailedToParse',
      `Modifiers operate on fields but we found type ${typeOf(fields).alias} instead. For example: {$mod: {<field>: ...}} ` +
        `not {${operator}: ${display(fields)}}`,
    );
  }
  const onInsertOnly = operator === '$setOnInsert';
  return [...fields].flatMap(([path, operand]) => {
    const step = { path, change: compile(path, operand), onInsertOnly };
    // The target of a rename is written too, and takes part in the check for conflicts.
    return operator === '$rename' && typeof operand === 'string'
      ? [step, { path: operand, change: () => undefined, onInsertOnly }]
      : [step];
  });
}

function rejectConflicts(paths: readonly string[]): void {
  const sorted = [...paths].sort();
  const seen = new Set<string>();
  for (const path of sorted) {
    const parts = path.split('.');
    const above = parts.map((_, index) => parts.slice(0, index + 1).join('.')).find((prefix) => seen.has(prefix));
    if (above !== undefined) {
      throw new CommandError(
        'ConflictingUpdateOperators',
        `Updating the path '${path}' would create a conflict at '${above}'`,
      );
    }
    seen.add(path);
  }
}

/** By part: numbers by value, names by text. */
function comparePaths(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (const [index, part] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (part !== other) {
      const difference = Number(part) - Number(other);
      return Number.isNaN(difference) ? (part < other ? -1 : 1) : difference;
    }
  }
  return left.length - right.length;
}
