import type { FieldSchema } from '../node-folder.js';
import { fieldCheck } from './check.js';

const VARIABLE = /^\$\{[^{}\s]+\}$/;

/** A field that has been drawn: reads what it holds now. */
export interface FieldReader {
  (): unknown;
  /** For a list: where each row stood when the form was opened; undefined for a new one. */
  readonly origins?: () => (number | undefined)[];
}

/** Draws a list or a group, and reads it back. */
export function drawComplex(parent: Query, schema: FieldSchema, value: unknown): FieldReader {
  return schema.type === 'array' ? drawList(parent, schema, value) : drawGroup(parent, schema, value);
}

interface ListRow {
  readonly value: unknown;
  readonly origin: number | undefined;
}

function drawList(parent: Query, schema: FieldSchema, value: unknown): FieldReader {
  const item = schema.items ?? {};
  const list = $('<ol>').appendTo(parent);
  list.editableList({
    removable: true,
    sortable: true,
    height: 'auto',
    addItem(row, _index, given: Partial<ListRow>) {
      row.data('sluice-reader', drawItem(row, item, 'value' in given ? given.value : defaultOf(item)));
      row.data('sluice-origin', given.origin);
    },
  });
  const entries = Array.isArray(value) ? (value as unknown[]) : [];
  for (const [origin, entry] of entries.entries()) list.editableList('addItem', { value: entry, origin });
  const rows = <T>(key: string): T[] => {
    const out: T[] = [];
    list.editableList('items').each((_index, element) => {
      // A row that was removed is there until it has faded out.
      const row = $(element);
      if (row.closest('.red-ui-editableList-item-deleting').length === 0) out.push(row.data(key) as T);
    });
    return out;
  };
  return Object.assign(() => rows<FieldReader>('sluice-reader').map((read) => read()), {
    origins: () => rows<number | undefined>('sluice-origin'),
  });
}

function drawItem(row: Query, schema: FieldSchema, value: unknown): FieldReader {
  if (schema.properties !== undefined) return drawGroup(row, schema, value);
  return drawScalar(row, schema, value, true);
}

function drawGroup(parent: Query, schema: FieldSchema, value: unknown): FieldReader {
  const source = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const group = $('<div class="sluice-group">').appendTo(parent);
  const readers = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const cell = $('<div class="sluice-cell">')
      .addClass(field.type === 'array' || field.type === 'object' ? 'sluice-cell-wide' : 'sluice-cell-short')
      .attr('title', (field.description ?? '').replaceAll('`', ''))
      .appendTo(group);
    $('<label>')
      .text(field.title ?? name)
      .appendTo(cell);
    const current = source[name] ?? defaultOf(field);
    const required = schema.required?.includes(name) === true;
    const complex = field.type === 'array' || field.type === 'object';
    return [name, complex ? drawComplex(cell, field, current) : drawScalar(cell, field, current, required)] as const;
  });
  return () => {
    const out: Record<string, unknown> = {};
    for (const [name, read] of readers) {
      const now = read();
      if (now !== '' && now !== undefined) out[name] = now;
    }
    return out;
  };
}

function drawScalar(parent: Query, schema: FieldSchema, value: unknown, required: boolean): FieldReader {
  const input = $('<input type="text">')
    .attr('placeholder', schema.ui?.placeholder ?? '')
    .val(textOf(value))
    .appendTo(parent);
  if (isChoice(schema)) drawChoice(input, schema);
  const check = fieldCheck(schema, required);
  const mark = (): void => {
    const problem = check(input.val());
    input.toggleClass('input-error', problem !== undefined).attr('title', problem ?? '');
  };
  input.on('change', mark).on('input', mark);
  mark();
  return () => typed(schema, input.val());
}

/** A choice of constants, or a variable that will hold one of them. */
export function drawChoice(input: Query, schema: FieldSchema): void {
  const options =
    schema.type === 'boolean'
      ? [
          { value: 'true', label: 'yes' },
          { value: 'false', label: 'no' },
        ]
      : (schema.anyOf ?? []).map((member) => ({
          value: String(member.const),
          label: member.title ?? String(member.const),
        }));
  const current = input.val();
  input.typedInput({
    types: [
      { value: 'choice', label: '', options },
      { value: 'variable', label: '${ }', hasValue: true, validate: (text) => VARIABLE.test(text) },
    ],
    default: VARIABLE.test(current) ? 'variable' : 'choice',
  });
  input.typedInput('type', VARIABLE.test(current) ? 'variable' : 'choice');
  input.typedInput('value', current);
}

export function isChoice(schema: FieldSchema): boolean {
  return schema.type === 'boolean' || schema.anyOf?.every((member) => 'const' in member) === true;
}

/** What was typed, as the type of the field where it is one: flows are easier to read with `5` than with `"5"`. */
function typed(schema: FieldSchema, text: string): unknown {
  if (schema.type === 'number' || schema.type === 'integer') {
    return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
  }
  if (schema.type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  const constant = schema.anyOf?.map((member) => member.const).find((value) => String(value) === text);
  return constant ?? text;
}

export function defaultOf(schema: FieldSchema): unknown {
  if (schema.default !== undefined) return structuredClone(schema.default);
  if (schema.type === 'array') return [];
  if (schema.properties === undefined) return '';
  return Object.fromEntries(Object.entries(schema.properties).map(([name, field]) => [name, defaultOf(field)]));
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
