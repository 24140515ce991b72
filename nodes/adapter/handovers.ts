import type { RedNode, SendEvent } from './red.js';
import { Trial } from './trial.js';

/** What a node has made of several messages. */
export interface Handover {
  /** What the messages that it has sent belong to as yet. */
  readonly carrier: Trial;
  readonly sent: readonly SendEvent[];
  /** Of the messages that it has completed in the same call, and of which it has sent nothing. */
  readonly others: readonly Trial[];
}

interface Call {
  readonly completed: Set<Trial>;
  readonly sent: Map<Trial, SendEvent[]>;
}

/**
 * Nodes that make one message of several (join, batch): within one call such a node completes messages of which it sends
 * nothing, and sends one. What it sends then stands for them too.
 */
export class Handovers {
  readonly #found: (handover: Handover) => void;
  /** What has happened in the present call, by node. */
  readonly #calls = new Map<RedNode, Call>();

  /** @param found - called at the end of the call, before what was sent arrives */
  constructor(found: (handover: Handover) => void) {
    this.#found = found;
  }

  completed(node: RedNode, trial: Trial): void {
    this.#callOf(node).completed.add(trial);
  }

  sent(event: SendEvent, trial: Trial): void {
    const { sent } = this.#callOf(event.source.node);
    const events = sent.get(trial);
    if (events === undefined) sent.set(trial, [event]);
    else events.push(event);
  }

  #callOf(node: RedNode): Call {
    if (this.#calls.size === 0) queueMicrotask(() => this.#close());
    let call = this.#calls.get(node);
    if (call === undefined) this.#calls.set(node, (call = { completed: new Set(), sent: new Map() }));
    return call;
  }

  #close(): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { completed, sent } of calls) {
      if (sent.size === 0 || completed.size === 0) continue;
      const others = [...completed].filter((trial) => !sent.has(trial));
      if (others.length === 0) continue;
      for (const [carrier, events] of sent) this.#found({ carrier, sent: events, others });
    }
  }
}
