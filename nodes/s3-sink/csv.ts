import { types } from 'node:util';
import { stringify } from '../bundled/csv-stringify.js';
import { messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { identityOf } from '../lib/identity.js';
import { templateScope, TopicLevels } from '../lib/scope.js';
import { compilePath } from '../lib/template.js';
import type { Config } from './config.js';
import type { RecordFormat } from './format.js';
import { base64, jsonOf } from './ndjson.js';

type Cell = string | number | bigint;

/** RFC 4180, with \n for the end of a line, as Unix tools write it and all readers take it. */
export class CsvFormat implements RecordFormat {
  readonly suffix = '.csv';
  readonly contentType = 'text/csv';
  readonly head: string | undefined;
  readonly #columns: readonly { readonly header: string; readonly read: (scope: unknown) => unknown }[];
  readonly #escapeFormulas: boolean;
  readonly #instance: string;

  constructor({ columns, header, escapeFormulas }: Config, instance: string) {
    this.#columns = columns.map(({ header, path }) => ({ header, read: compilePath(path) }));
    this.#escapeFormulas = escapeFormulas;
    this.#instance = instance;
    this.head = header ? this.#write(columns.map(({ header }) => header)) : undefined;
  }

  line(message: Message, receivedAt: number): string {
    const identity = identityOf(message);
    const scope = templateScope(message, { receivedAt, instance: this.#instance, identity });
    return this.#write(this.#columns.map(({ header, read }) => cell(read(scope), header)));
  }

  #write(cells: Cell[]): string {
    const line = stringify([cells], { eof: false, escape_formulas: this.#escapeFormulas });
    // Readers pass over an empty line: of one column, nothing is written as an empty text.
    return line === '' ? '""' : line;
  }
}

/** Numbers go as such: the guard of formulas leaves -5 as it is, and not the text "-5". */
function cell(value: unknown, column: string): Cell {
  switch (typeof value) {
    case 'string':
    case 'bigint':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : ''; // null in all JSON
    case 'boolean':
      return String(value);
    case 'object':
      if (value instanceof TopicLevels) return value.toString();
      if (types.isDate(value)) return Number.isNaN(value.getTime()) ? '' : value.toISOString();
      if (value instanceof Uint8Array) return base64(value);
      return value === null ? '' : json(value, column);
    default:
      return '';
  }
}

function json(value: object, column: string): string {
  try {
    return jsonOf(value) ?? '';
  } catch (error) {
    const got = messageOf(error).split('\n', 1)[0] ?? '';
    throw new RejectedError(`expected a value that JSON can carry in column ${JSON.stringify(column)}, got ${got}`, {
      code: 'payload',
      cause: error,
    });
  }
}
