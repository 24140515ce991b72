import type { Branches } from '../lib/delivery/branches.js';
import type { RedNode } from './red.js';
import { Trial } from './trial.js';

interface Call {
  readonly completed: Set<Trial>;
  readonly sent: Set<Trial>;
}

/**
 * Nodes that make one message of several (join, batch): within one call such a node completes messages of which it sends
 * nothing, and sends one. What it sends then stands for them too: they wait for it.
 */
export class Handovers {
  /** What has happened in the present call, by node. */
  readonly #calls = new Map<RedNode, Call>();

  completed(node: RedNode, trial: Trial): void {
    this.#callOf(node).completed.add(trial);
  }

  sent(node: RedNode, branches: Branches): void {
    if (branches instanceof Trial) this.#callOf(node).sent.add(branches);
  }

  #callOf(node: RedNode): Call {
    if (this.#calls.size === 0) queueMicrotask(() => this.#close());
    let call = this.#calls.get(node);
    if (call === undefined) this.#calls.set(node, (call = { completed: new Set(), sent: new Set() }));
    return call;
  }

  #close(): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { completed, sent } of calls) {
      if (sent.size === 0) continue;
      for (const trial of completed) {
        if (sent.has(trial)) continue;
        for (const taker of sent) if (trial.add()) taker.followers.push(trial);
      }
    }
  }
}
