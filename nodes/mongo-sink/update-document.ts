import { ConfigError, describeValue, messageOf, RejectedError } from '../lib/errors.js';
import { compilePath } from '../lib/template.js';
import type { Config, OperatorRow } from './config.js';
import { isDocument, type Document } from './document.js';
import { compileValue } from './value.js';

/** Operators with what each does to which field: `{ $inc: { count: 1 } }`. */
export type UpdateDocument = Record<string, Document>;

/** Makes the update document of a message: a new one, that the caller may add to. */
export type UpdateOf = (scope: () => object) => UpdateDocument;

/**
 * @param kept - paths that no operator may change: by them the document is found, and newer is told from older
 * @throws ConfigError for rows that cannot be; what it returns throws RejectedError `update-document`, `conversion`
 */
export function compileUpdateDocument(
  config: Pick<Config, 'operation' | 'operators' | 'updatePath'>,
  kept: readonly string[],
): UpdateOf {
  return config.operation === 'update'
    ? compileRows(config.operators, kept)
    : compileFromMessage(config.updatePath, kept);
}

function compileRows(rows: readonly OperatorRow[], kept: readonly string[]): UpdateOf {
  if (rows.length === 0) throw setting('/operators', 'expected at least one operator, got none');
  const fields: string[] = [...kept];
  const compiled = rows.map((row, index) => {
    const { operator, field } = row;
    const other = conflicting(field, fields);
    if (other !== undefined) {
      throw setting(
        `/operators/${index}/field`,
        `expected each field in one operator, and none of the key or newer-only field, got ${JSON.stringify(field)} beside ${JSON.stringify(other)}`,
      );
    }
    fields.push(field);
    return { operator, field, read: compileOperand(row, `/operators/${index}/value`) };
  });
  return (scope) => {
    const update: UpdateDocument = {};
    for (const { operator, field, read } of compiled) {
      const value = read(scope());
      if (value === undefined) continue;
      (update[operator] ??= {})[field] = value;
    }
    if (Object.keys(update).length > 0) return update;
    throw rejected('a message with a value for at least one of the operators', 'one without');
  };
}

function compileOperand(row: OperatorRow, path: string): (scope: object) => unknown {
  if (row.operator === '$unset') return () => '';
  if (row.operator === '$currentDate') return () => true;
  const read = compileValue(row, path);
  const guard = GUARDS[row.operator];
  if (guard === undefined) return read;
  return (scope) => {
    const value = read(scope);
    return isDocument(value) ? guard(value) : value;
  };
}

/** What a device sends is a value, also where the server would read it as modifiers (`$slice`) or as a condition. */
const GUARDS: Readonly<Partial<Record<OperatorRow['operator'], (value: Document) => Document>>> = {
  $push: (value) => ({ $each: [value] }),
  $addToSet: (value) => ({ $each: [value] }),
  $pull: (value) => ({ $eq: value }),
};

function compileFromMessage(path: string, kept: readonly string[]): UpdateOf {
  const read = readerOf(path);
  return (scope) => {
    const found = read(scope());
    if (!isDocument(found)) throw rejected(`an update document at ${path}`, describeValue(found));
    const update: UpdateDocument = {};
    for (const [operator, fields] of Object.entries(found)) {
      if (!operator.startsWith('$') || !isDocument(fields)) {
        throw rejected(
          `an update document at ${path}: operators ($set, $inc, …) with their fields`,
          `${JSON.stringify(operator)} with ${describeValue(fields)}`,
        );
      }
      // $rename changes what its values name, too.
      const changed = operator === '$rename' ? Object.entries(fields).flat() : Object.keys(fields);
      for (const field of changed) {
        if (typeof field === 'string' && conflicting(field, kept) !== undefined)
          throw rejected(
            'an update that leaves the key and the newer-only field to the sink',
            `${operator} of ${JSON.stringify(field)}`,
          );
      }
      update[operator] = { ...fields };
    }
    if (Object.keys(update).length === 0) throw rejected(`an update document at ${path}`, 'one without operators');
    return update;
  };
}

function readerOf(path: string): (scope: unknown) => unknown {
  try {
    return compilePath(path);
  } catch (error) {
    throw setting('/updatePath', messageOf(error));
  }
}

/** The first of the paths that is the same place as a field, above it or within it. */
export function conflicting(field: string, paths: readonly string[]): string | undefined {
  return paths.find((path) => path === field || path.startsWith(`${field}.`) || field.startsWith(`${path}.`));
}

function setting(path: string, sentence: string): ConfigError {
  return new ConfigError(`${path}: ${sentence}`, { code: 'setting', path });
}

function rejected(expected: string, got: string): RejectedError {
  return new RejectedError(`expected ${expected}, got ${got}`, { code: 'update-document' });
}
