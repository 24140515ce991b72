/**
 * What Sluice reads of Node-RED (5.0) that its documentation does not name, all of it here and pinned by
 * test/delivery/node-internals.test.ts.
 */
import type { RedNode } from './red.js';

interface Internals {
  /** How many of its input handlers take `done` as a third parameter. */
  readonly _expectedDoneCount?: number;
  /** The one input handler, or none. */
  readonly _inputCallback?: unknown;
  /** The input handlers, where there are several. */
  readonly _inputCallbacks?: unknown;
}

/** Whether a node never says when it has done with a message: its input handler has no `done`. */
export function completesOnReturn(node: RedNode): boolean {
  return (node as Internals)._expectedDoneCount === 0;
}

/** Whether a node takes messages: one that a deploy has closed does not. */
export function listens(node: RedNode): boolean {
  const { _inputCallback: one, _inputCallbacks: several } = node as Internals;
  return (one !== null && one !== undefined) || (several !== null && several !== undefined);
}
