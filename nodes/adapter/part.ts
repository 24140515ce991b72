import type { Behaviour } from './define-node.js';
import type { RedNode } from './red.js';

/** What a node of ours carries for the others, keyed so that no flow reaches it. */
const PART = Symbol.for('sluice.part');

export interface Part {
  readonly behaviour: Behaviour | undefined;
  /** Resolves when each user has closed. */
  readonly users: Set<Promise<void>>;
}

type WithPart = RedNode & { [PART]?: Part };

export function partOf(node: RedNode | null | undefined): Part | undefined {
  return (node as WithPart | null | undefined)?.[PART];
}

export function setPart(node: RedNode, part: Part): void {
  Object.defineProperty(node, PART, { value: part, enumerable: false });
}

/** Whether a node was made by `defineNode`. */
export function isOurs(node: RedNode): boolean {
  return (node as WithPart)[PART] !== undefined;
}
