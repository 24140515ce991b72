import type { FieldSchema } from '../node-folder.js';
import { fieldCheck } from './check.js';
import { drawNodeChoice, type Slots } from './node-choice.js';
import { isShown } from './when.js';

const VARIABLE = /^\$\{[^{}\s]+\}$/;

/** A field that has been drawn: reads what it holds now. */
export interface FieldReader {
  (): unknown;
  /** For a list: where each row stood when the form was opened; undefined for a new one. */
  readonly origins?: () => (number | undefined)[];
  /** For a field of one value: what it is typed in. */
  readonly input?: Query;
}

/** Draws a list or a group, and reads it back. Each change of it triggers `change` on what it is drawn in. */
export function drawComplex(parent: Query, schema: FieldSchema, value: unknown, slots: Slots): FieldReader {
  return schema.type === 'array' ? drawList(parent, schema, value, slots) : drawGroup(parent, schema, value, slots);
}

interface ListRow {
  readonly value: unknown;
  readonly origin: number | undefined;
}

function drawList(parent: Query, schema: FieldSchema, value: unknown, slots: Slots): FieldReader {
  const item = schema.items ?? {};
  const list = $('<ol>').appendTo(parent);
  const changed = (): void => void list.trigger('change');
  list.editableList({
    removable: true,
    sortable: true,
    height: 'auto',
    addItem(row, _index, given: Partial<ListRow>) {
      const read = drawItem(row, item, 'value' in given ? given.value : defaultOf(item), slots);
      row.data('sluice-reader', read);
      row.data('sluice-origin', given.origin);
      if (item.properties === undefined) return;
      $(
        '<button type="button" class="red-ui-button red-ui-button-small sluice-copy" title="copy"><i class="fa fa-copy"></i></button>',
      )
        .appendTo(row)
        .on('click', () => {
          const at = row.closest('li').index() + 1;
          const names = rows<FieldReader>('sluice-reader').map((other) => nameOf(other()));
          list.editableList('insertItemAt', { value: copied(read(), names) }, at);
          changed();
        });
    },
    removeItem: changed,
    sortItems: changed,
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

function nameOf(row: unknown): unknown {
  return (row as { name?: unknown } | null)?.name;
}

/** A row like another one, with a name of its own where rows have names. */
function copied(row: unknown, names: readonly unknown[]): unknown {
  const name = nameOf(row);
  if (typeof name !== 'string') return row;
  const stem = name.replace(/ \d+$/, '');
  let number = 2;
  while (names.includes(`${stem} ${number}`)) number++;
  return { ...(row as object), name: `${stem} ${number}` };
}

function drawItem(row: Query, schema: FieldSchema, value: unknown, slots: Slots): FieldReader {
  if (schema.properties !== undefined) return drawGroup(row, schema, value, slots);
  return drawScalar(row, schema, value, true);
}

function drawGroup(parent: Query, schema: FieldSchema, value: unknown, slots: Slots): FieldReader {
  const source = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const group = $('<div class="sluice-group">').appendTo(parent);
  const cells = Object.entries(schema.properties ?? {}).map(([name, field]) => {
    const complex = field.type === 'array' || field.type === 'object';
    const cell = $('<div class="sluice-cell">')
      .addClass(`sluice-cell-${widthOf(field)}`)
      .attr('title', (field.description ?? '').replaceAll('`', ''))
      .appendTo(group);
    $('<label>')
      .text(field.title ?? name)
      .appendTo(cell);
    const current = source[name] ?? defaultOf(field);
    const required = schema.required?.includes(name) === true;
    const read = complex
      ? drawComplex(cell, field, current, slots)
      : field.ui?.control === 'node'
        ? drawNodeChoice(cell, name, field.ui.node ?? '', current, slots)
        : drawScalar(cell, field, current, required);
    return { name, field, cell, read };
  });
  for (const { field, cell } of cells) {
    const when = field.ui?.when;
    const input = cells.find(({ name }) => name === when?.field)?.read.input;
    if (when === undefined || input === undefined) continue;
    const show = (): void => void cell.toggle(isShown(when, input.val()));
    input.on('change', show);
    show();
  }
  return () => {
    const out: Record<string, unknown> = {};
    for (const { name, read } of cells) {
      const now = read();
      if (now !== '' && now !== undefined) out[name] = now;
    }
    return out;
  };
}

function widthOf({ type, ui }: FieldSchema): 'wide' | 'node' | 'short' {
  if (type === 'array' || type === 'object' || ui?.control === 'jsonata') return 'wide';
  return ui?.control === 'node' ? 'node' : 'short';
}

function drawScalar(parent: Query, schema: FieldSchema, value: unknown, required: boolean): FieldReader {
  const input = $('<input type="text">')
    .attr('placeholder', schema.ui?.placeholder ?? '')
    .val(textOf(value))
    .appendTo(parent);
  if (isChoice(schema)) drawChoice(input, schema);
  const isExpression = schema.ui?.control === 'jsonata';
  if (isExpression) input.typedInput({ types: ['jsonata'], default: 'jsonata' });
  // A typed input hands on what is typed only when it is left.
  const text = (): string => (isExpression ? input.typedInput('value') : input.val());
  const check = fieldCheck(schema, required);
  const mark = (): void => {
    const problem = check(text());
    input.toggleClass('input-error', problem !== undefined).attr('title', problem ?? '');
  };
  input.on('change', mark).on('input', mark);
  mark();
  return Object.assign(() => typed(schema, text()), { input });
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
export function typed(schema: FieldSchema, text: string): unknown {
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
