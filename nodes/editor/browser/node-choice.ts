import { slotsOf } from '../../lib/slots.js';
import type { FieldSchema } from '../node-folder.js';
import type { FieldReader } from './fields.js';

const NONE = '_ADD_'; // what Node-RED's own choice of config nodes has for none

/** The slots of one node's form: where the ids of the config nodes are that its rows name (lib/slots.ts). */
export interface Slots {
  readonly node: EditorNode;
  /** All of them, with the type of config node. */
  readonly all: readonly { readonly name: string; readonly node: string }[];
  /** Those that rows had when the form was opened. */
  readonly named: ReadonlySet<string>;
}

export function slotsFor(node: EditorNode, fields: Readonly<Record<string, FieldSchema>>): Slots {
  const all = Object.values(fields).flatMap(slotsOf);
  const rows = Object.keys(fields).flatMap((name) => (Array.isArray(node[name]) ? (node[name] as unknown[]) : []));
  return { node, all, named: namesIn(rows) };
}

/** A choice of config nodes in a row, as Node-RED draws it for a field. What is read is the name of the slot. */
export function drawNodeChoice(parent: Query, field: string, type: string, value: unknown, slots: Slots): FieldReader {
  const given = typeof value === 'string' ? value : '';
  const isSlot = slots.all.some(({ name }) => name === given);
  const slot = isSlot && !isDrawn(given) ? given : freeSlot(field, slots);
  if (slot === undefined) {
    $('<span class="sluice-problem">').text(`at most ${slots.all.length} rows`).appendTo(parent);
    return () => '';
  }
  // What the slot holds; for a copy of a row, what that of the other row holds; or an id, as written by hand.
  const id = slot === given ? slots.node[slot] : isSlot ? inputOf(given).val() : given;
  $(`<input type="text" id="node-input-${slot}" style="width: 100%">`).appendTo(parent);
  RED.editor.prepareConfigNodeSelect(slots.node, slot, type, 'node-input');
  inputOf(slot).val(typeof id === 'string' && id !== '' ? id : NONE);
  return () => slot;
}

function freeSlot(field: string, { all, named }: Slots): string | undefined {
  const free = all.filter(({ name }) => name.replace(/\d+$/, '') === field && !isDrawn(name));
  return (free.find(({ name }) => !named.has(name)) ?? free[0])?.name;
}

function isDrawn(slot: string): boolean {
  return inputOf(slot).length > 0;
}

function inputOf(slot: string): Query {
  return $(`#node-input-${slot}`);
}

function namesIn(rows: readonly unknown[]): ReadonlySet<string> {
  const values = rows.flatMap((row): unknown[] => (typeof row === 'object' && row !== null ? Object.values(row) : []));
  return new Set(values.filter((value) => typeof value === 'string'));
}

/** Empties the slots that no row names any more. Node-RED takes over the others from their inputs. */
export function releaseSlots({ node, all }: Slots, rows: readonly unknown[]): void {
  const used = namesIn(rows);
  for (const { name } of all) {
    if (!used.has(name) && node[name] !== undefined) node[name] = '';
  }
}

/**
 * Once the form is saved: Node-RED counts a node that refers to one config node in two of its properties twice, and then
 * forgets it with the first.
 */
export function correctUsers({ node, all }: Slots): void {
  const types = new Set(all.map((slot) => slot.node));
  RED.nodes.eachConfig((config) => {
    if (types.has(config.type)) config.users = config.users?.filter((user) => user !== node) ?? [];
  });
  RED.nodes.updateConfigNodeUsers(node, { action: 'add' });
  RED.nodes.eachConfig((config) => {
    if (types.has(config.type)) RED.events.emit('nodes:change', config);
  });
}
