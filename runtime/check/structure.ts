import { describeValue } from '@sluice/node-red/check';
import type { Report } from './finding.js';
import type { Entry } from './flow-file.js';
import { isObject, listIn, textIn, type Flow } from './flow.js';
import { isContainer, subflowOf, typeOf, type KnownTypes } from './known-types.js';

/** Where a node is, of what type, and to what it is wired. */
export function checkStructure(flow: Flow, entry: Entry, types: KnownTypes, report: Report): void {
  checkId(flow, entry, report);
  checkPlace(flow, entry, report);
  if (entry.type === 'subflow') checkSubflow(flow, entry, types, report);
  else if (entry.type === 'group') checkIds(flow, listIn(entry, 'nodes'), '/nodes', 'a node of this file', report);
  else if (!isContainer(entry.type)) checkNode(flow, entry, types, report);
}

function checkNode(flow: Flow, entry: Entry, types: KnownTypes, report: Report): void {
  const type = typeOf(types, entry.type);
  const subflow = subflowOf(entry.type);
  if (type === undefined) {
    report(
      '/type',
      `expected a type of Node-RED or of Sluice (--types and --user-dir name others), got ${describeValue(entry.type)}`,
    );
  }
  if (subflow !== undefined && flow.byId.get(subflow)?.type !== 'subflow') {
    report('/type', `expected a subflow of this file, got ${describeValue(subflow)}`);
  }
  if (type?.isConfig === false && subflow === undefined && !hasPlace(entry)) {
    report('/x', 'expected x and y, without which Node-RED takes a node for a config node, got none');
  }
  if (entry.type.startsWith('link ')) checkLinks(flow, entry, report);
  checkWires(flow, entry, types, report);
}

function checkId(flow: Flow, entry: Entry, report: Report): void {
  if (flow.byId.get(entry.id) !== entry) {
    report('/id', `expected an id that no other node has, got ${describeValue(entry.id)}`);
  }
}

function checkPlace(flow: Flow, entry: Entry, report: Report): void {
  for (const [field, expected] of [
    ['z', ['tab', 'subflow']],
    ['g', ['group']],
  ] as const) {
    const id = textIn(entry, field);
    if (id === '' || isOneOf(flow.byId.get(id)?.type, expected)) continue;
    report(`/${field}`, `expected a ${expected.join(' or ')} of this file, got ${describeValue(id)}`);
  }
}

function isOneOf(type: string | undefined, expected: readonly string[]): boolean {
  return type !== undefined && expected.includes(type);
}

function hasPlace(entry: Entry): boolean {
  return Object.hasOwn(entry, 'x') && Object.hasOwn(entry, 'y');
}

/** https://nodered.org/docs/developing-flows/ : a wire connects an output with the input of a node of the same tab. */
function checkWires(flow: Flow, entry: Entry, types: KnownTypes, report: Report): void {
  const wires = Object.hasOwn(entry, 'wires') ? entry['wires'] : [];
  if (!Array.isArray(wires) || !wires.every((output) => Array.isArray(output))) {
    report('/wires', `expected a list of ids for each output, got ${describeValue(wires)}`);
    return;
  }
  const outputs = outputsOf(flow, entry, types);
  for (const [output, targets] of (wires as unknown[][]).entries()) {
    if (outputs !== undefined && output >= outputs && targets.length > 0) {
      report(
        `/wires/${output}`,
        `expected wires of ${outputs} ${outputs === 1 ? 'output' : 'outputs'}, got some of one more`,
      );
    }
    for (const [index, target] of targets.entries()) {
      checkTarget(flow, target, textIn(entry, 'z'), types, (message) => report(`/wires/${output}/${index}`, message));
    }
  }
}

function checkTarget(flow: Flow, id: unknown, place: string, types: KnownTypes, say: (message: string) => void): void {
  const target = typeof id === 'string' ? flow.byId.get(id) : undefined;
  if (target === undefined) say(`expected a node of this file, got ${describeValue(id)}`);
  else if (textIn(target, 'z') !== place)
    say(`expected a node of the same tab or subflow, got ${nodeOf(target)}, which is elsewhere`);
  else if (!hasInput(flow, target, types)) say(`expected a node with an input, got ${nodeOf(target)}`);
}

function nodeOf({ id, type }: Entry): string {
  return `${describeValue(id)} (${type})`;
}

function hasInput(flow: Flow, entry: Entry, types: KnownTypes): boolean {
  if (isContainer(entry.type)) return false;
  const subflow = instanceOf(flow, entry);
  if (subflow !== undefined) return listIn(subflow, 'in').length > 0;
  const { isConfig, inputs } = typeOf(types, entry.type) ?? {};
  // Some nodes have as many as their settings say: `mqtt in` with a dynamic subscription.
  return isConfig !== true && (inputs !== 0 || (typeof entry['inputs'] === 'number' && entry['inputs'] > 0));
}

/** undefined where it is not known. */
function outputsOf(flow: Flow, entry: Entry, types: KnownTypes): number | undefined {
  const subflow = instanceOf(flow, entry);
  if (subflow !== undefined) return listIn(subflow, 'out').length + (isObject(subflow['status']) ? 1 : 0);
  // Some nodes have as many as their settings say, and say it there for the editor.
  return typeof entry['outputs'] === 'number' ? entry['outputs'] : typeOf(types, entry.type)?.outputs;
}

function instanceOf(flow: Flow, { type }: Entry): Entry | undefined {
  const subflow = flow.byId.get(subflowOf(type) ?? '');
  return subflow?.type === 'subflow' ? subflow : undefined;
}

/** What a subflow takes in and gives out is wired to its own nodes, or through it. */
function checkSubflow(flow: Flow, entry: Entry, types: KnownTypes, report: Report): void {
  for (const side of ['in', 'out'] as const) {
    for (const [index, port] of listIn(entry, side).entries()) {
      for (const [wire, end] of listIn(port, 'wires').entries()) {
        const id = isObject(end) ? end['id'] : undefined;
        const path = `/${side}/${index}/wires/${wire}/id`;
        if (id === entry.id && side === 'out') continue;
        if (side === 'in') checkTarget(flow, id, entry.id, types, (message) => report(path, message));
        else checkIds(flow, [id], path, 'a node of this file', (_path, message) => report(path, message));
      }
    }
  }
}

const OTHER_END: Readonly<Record<string, string | undefined>> = {
  'link in': 'link out',
  'link out': 'link in',
  'link call': 'link in',
};

function checkLinks(flow: Flow, entry: Entry, report: Report): void {
  const expected = OTHER_END[entry.type];
  for (const [index, id] of listIn(entry, 'links').entries()) {
    const other = typeof id === 'string' ? flow.byId.get(id) : undefined;
    if (other !== undefined && (other.type === expected || (entry.type === 'link in' && other.type === 'link call')))
      continue;
    report(
      `/links/${index}`,
      `expected a ${expected ?? 'link'} node of this file, got ${other === undefined ? describeValue(id) : nodeOf(other)}`,
    );
  }
}

function checkIds(flow: Flow, ids: readonly unknown[], path: string, expected: string, report: Report): void {
  for (const [index, id] of ids.entries()) {
    if (typeof id === 'string' && flow.byId.has(id)) continue;
    report(`${path}/${index}`, `expected ${expected}, got ${describeValue(id)}`);
  }
}
