import type { PaletteEntry } from '../../adapter/palette.js';
import type { FieldSchema } from '../node-folder.js';
import { fieldCheck } from './check.js';
import { fillRows, slotsOf } from '../../lib/slots.js';
import { completeNodes } from './complete.js';
import { defaultOf, drawChoice, drawComplex, isChoice, typed, type FieldReader } from './fields.js';
import { correctUsers, releaseSlots, slotsFor, type Slots } from './node-choice.js';
import { isShown } from './when.js';

interface Descriptor {
  readonly type: string;
  readonly config: FieldSchema;
  readonly credentials?: FieldSchema;
  readonly palette: PaletteEntry;
}

/** What a node's own `editor.ts` may add (`export const extension: Extension`). */
export interface Extension {
  /** Merged into the definition that Node-RED gets. */
  readonly definition?: Readonly<Record<string, unknown>>;
  /** After the form is drawn. */
  prepare?(node: EditorNode, form: OpenForm): void;
  /** After all but texts and config nodes was taken over into the node; Node-RED takes over those next. */
  save?(node: EditorNode, form: SavedForm): void;
}

export interface OpenForm {
  /** What a field holds now, as the node gets it; not of plain texts and config nodes. */
  readonly read: (field: string) => unknown;
  /** Calls back after each change in the form. */
  readonly onChange: (listener: () => void) => void;
}

interface SavedForm {
  /** Where each row of a list stood when the form was opened; undefined for a new one. */
  readonly origins: (field: string) => (number | undefined)[];
  /** What a field was when the form was opened. */
  readonly before: (field: string) => unknown;
}

const COLOR = '#9bd0c7';

/** What `RED.nodes.registerType` takes, made of a node's schema. */
export function definition({ type, config, credentials, palette }: Descriptor, extension: Extension): object {
  const fields = config.properties ?? {};
  completeNodes(type, fields);
  const prefix = palette.category === 'config' ? 'node-config-input-' : 'node-input-';
  let readers: Record<string, FieldReader> = {};
  let editors: { name: string; editor: CodeEditor }[] = [];
  let slots: Slots | undefined;

  return {
    category: palette.category,
    color: palette.color ?? COLOR,
    ...(palette.icon !== undefined && { icon: palette.icon }),
    inputs: palette.inputs,
    outputs: palette.outputs.length,
    defaults: {
      ...Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, defaultEntry(name, field)])),
      ...Object.fromEntries(
        Object.values(fields)
          .flatMap(slotsOf)
          .map(({ name, node }) => [name, { type: node, required: false }]),
      ),
    },
    ...(credentials !== undefined && {
      credentials: Object.fromEntries(
        Object.entries(credentials.properties ?? {}).map(([name, field]) => [
          name,
          { type: field.ui?.secret === false ? 'text' : 'password' },
        ]),
      ),
    }),
    paletteLabel: palette.label,
    label(this: EditorNode): string {
      if (this.name !== undefined && this.name !== '') return this.name;
      const text =
        palette.labelField === undefined ? '' : labelOf(this[palette.labelField], fields[palette.labelField]);
      return text === '' ? palette.label : text;
    },
    labelStyle(this: EditorNode): string {
      return this.name !== undefined && this.name !== '' ? 'node_label_italic' : '';
    },
    outputLabels: [...palette.outputs],
    ...(palette.button !== undefined && { button: button(palette.button.action) }),
    oneditprepare(this: EditorNode): void {
      readers = {};
      editors = [];
      slots = slotsFor(this, fields);
      for (const [name, field] of Object.entries(fields)) drawField(slots, name, field);
      drawConditions(fields, prefix);
      drawWarnings(fields, prefix);
      extension.prepare?.(this, {
        read: (name) => readers[name]?.() ?? editors.find((one) => one.name === name)?.editor.getValue(),
        onChange: (listener) => {
          $('.sluice-form').on('input change', listener);
          for (const { editor } of editors) editor.getSession().on('change', listener);
        },
      });
    },
    oneditsave(this: EditorNode): void {
      const before: Record<string, unknown> = {};
      for (const [name, read] of Object.entries(readers)) {
        before[name] = this[name];
        this[name] = read();
        // Node-RED would take over the text of the input: `"true"` for true, and the node counts as changed.
        $(`#${prefix}${name}`).removeAttr('id');
      }
      if (slots !== undefined && slots.all.length > 0) takeOverSlots(slots);
      for (const { name, editor } of editors) $(`#${prefix}${name}`).val(editor.getValue());
      release();
      extension.save?.(this, {
        origins: (field) => readers[field]?.origins?.() ?? [],
        before: (field) => before[field],
      });
    },
    oneditcancel: release,
    ...extension.definition,
  };

  function defaultEntry(name: string, field: FieldSchema): object {
    const required = config.required?.includes(name) === true;
    if (field.ui?.control === 'node') return nodeEntry(field, required);
    const check = fieldCheck(field, required);
    return {
      value: defaultOf(field),
      // Node-RED takes a sentence only from a function of two parameters.
      validate(this: EditorNode, value: unknown, _options: unknown): true | string {
        return check(Array.isArray(value) ? fillRows(field, value, this) : value) ?? true;
      },
    };
  }

  /** A reference to a config node; one that is needed only while another field has some value says so itself. */
  function nodeEntry({ ui }: FieldSchema, required: boolean): object {
    const [when, type] = [ui?.when, ui?.node ?? ''];
    if (when === undefined) return { value: '', type, required };
    return {
      value: '',
      type,
      validate(this: EditorNode, value: unknown, _options: unknown): true | string {
        const other = this[when.field];
        if (typeof other !== 'string' || !isShown(when, other)) return true;
        const node = typeof value === 'string' ? RED.nodes.node(value) : undefined;
        if (node === undefined || node === null) return `expected a node of type ${type}, got none`;
        return node.valid !== false || `expected a ${type} whose settings are right, got one whose settings are not`;
      },
    };
  }

  function takeOverSlots(open: Slots): void {
    const rows = Object.keys(fields).flatMap((name) =>
      Array.isArray(open.node[name]) ? (open.node[name] as unknown[]) : [],
    );
    releaseSlots(open, rows);
    const saved = (node: EditorNode): void => {
      if (node.id !== open.node.id) return;
      RED.events.off('editor:save', saved);
      correctUsers(open);
    };
    RED.events.on('editor:save', saved);
  }

  function drawField(open: Slots, name: string, field: FieldSchema): void {
    const { node } = open;
    if (field.type === 'array' || field.type === 'object') {
      readers[name] = drawComplex($(`#${prefix}${name}-rows`), field, node[name], open);
    } else if (field.ui?.control === 'json' || field.ui?.control === 'multiline') {
      const mode = field.ui.control === 'json' ? 'ace/mode/json' : 'ace/mode/text';
      const value = typeof node[name] === 'string' ? node[name] : '';
      editors.push({ name, editor: RED.editor.createEditor({ id: `${prefix}${name}-editor`, mode, value }) });
    } else if (field.ui?.control !== 'node') {
      const input = $(`#${prefix}${name}`);
      // Node-RED gives a new config node no defaults that are false or 0, and fills a text field with '' for those.
      const value = node[name] ?? field.default;
      if (value === false || value === 0) input.val(String(value));
      if (field.ui?.control === 'hidden') return;
      if (isChoice(field)) drawChoice(input, field);
      if (field.type !== 'string') readers[name] = () => typed(field, input.val());
    }
  }

  function release(): void {
    for (const { editor } of editors) editor.destroy();
    editors = [];
  }
}

/** What a field says of its node on the canvas; of a config node its name, for its id says nothing. */
function labelOf(value: unknown, field: FieldSchema | undefined): string {
  if (Array.isArray(value)) return value.join(', ');
  if (typeof value !== 'string') return '';
  return field?.ui?.control === 'node' ? (RED.nodes.node(value)?.name ?? '') : value;
}

/** Rows that are shown only while another field has a certain value. */
function drawConditions(fields: Readonly<Record<string, FieldSchema>>, prefix: string): void {
  for (const [name, field] of Object.entries(fields)) {
    const when = field.ui?.when;
    if (when === undefined) continue;
    const other = $(`#${prefix}${when.field}`);
    const show = (): void => {
      $(`[data-sluice-field="${name}"]`).toggle(isShown(when, other.val()));
    };
    other.on('change', show);
    show();
  }
}

/** Rows that are red while their field has a value that is allowed and dangerous. */
function drawWarnings(fields: Readonly<Record<string, FieldSchema>>, prefix: string): void {
  for (const [name, field] of Object.entries(fields)) {
    const dangerous = field.ui?.warnWhen;
    if (dangerous === undefined) continue;
    const input = $(`#${prefix}${name}`);
    const mark = (): void => {
      const value = input.val();
      $(`[data-sluice-field="${name}"]`).toggleClass(
        'sluice-danger',
        dangerous.some((one) => String(one) === value),
      );
    };
    input.on('change', mark);
    mark();
  }
}

function button(action: string): object {
  return {
    onclick(this: EditorNode): void {
      const say = (text: string, type: string): void => RED.notify(text, { type, timeout: 3_000 });
      $.ajax({
        url: `sluice/node/${this.id}/${action}`,
        type: 'POST',
        contentType: 'application/json',
        data: '{}',
        success: ({ message }) => say(message ?? action, 'success'),
        error: ({ responseJSON, statusText }) => say(responseJSON?.message ?? statusText, 'error'),
      });
    },
  };
}
