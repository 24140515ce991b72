import { readPalette, type PaletteNode } from '@sluice/node-red/check';
import { coreTypes, installedTypes, type NodeType, type NodeTypes } from './node-types.js';

/** All types that a flow may have. */
export interface KnownTypes {
  readonly ours: ReadonlyMap<string, PaletteNode>;
  readonly others: NodeTypes;
}

/** What stands in a flow beside its nodes. */
const CONTAINERS = new Set(['tab', 'subflow', 'group']);
const NO_CREDENTIALS: ReadonlySet<string> = new Set();
const JUNCTION: NodeType = { isConfig: false, inputs: 1, outputs: 1, credentials: NO_CREDENTIALS };
/** One that is named only: nothing is said about it. */
const NAMED = { isConfig: undefined, inputs: undefined, outputs: undefined, credentials: NO_CREDENTIALS };

/** @param named - types of nodes that are installed elsewhere */
export async function knownTypes(named: readonly string[], userDir: string | undefined): Promise<KnownTypes> {
  return {
    ours: await readPalette(),
    others: new Map([
      ...named.map((type): [string, NodeType] => [type, NAMED]),
      ...(userDir === undefined ? [] : installedTypes(userDir)),
      ...coreTypes(),
      ['junction', JUNCTION],
    ]),
  };
}

export function isContainer(type: string): boolean {
  return CONTAINERS.has(type);
}

/** undefined for a type that is not known. A subflow is one, whether it is there or not. */
export function typeOf({ ours, others }: KnownTypes, type: string): NodeType | undefined {
  const node = ours.get(type);
  if (node === undefined) return others.get(type) ?? (subflowOf(type) === undefined ? undefined : NAMED);
  const { palette, credentials, fields } = node;
  const isConfig = palette.category === 'config';
  return {
    isConfig,
    inputs: palette.inputs,
    outputs: fields.has('outputs') ? undefined : palette.outputs.length,
    credentials,
  };
}

/** The id of the subflow that a node is an instance of. */
export function subflowOf(type: string): string | undefined {
  return type.startsWith('subflow:') ? type.slice('subflow:'.length) : undefined;
}
