import type { EventEmitter } from 'node:events';
import { statusLook } from '@sluice/node-red/instance';
import type { WorkersNode } from './node-report.js';

/** Shows in the editor, under nodes that run on the workers, what those say of them. */
export class NodeStatuses {
  readonly #events: EventEmitter;
  readonly #shown = new Map<string, string>();

  /** @param events - Node-RED's, which the editor listens to */
  constructor(events: EventEmitter) {
    this.#events = events;
  }

  show(nodes: readonly WorkersNode[]): void {
    for (const { id, level, text } of nodes) {
      if (this.#shown.get(id) === `${level} ${text}`) continue;
      this.#shown.set(id, `${level} ${text}`);
      this.#events.emit('node-status', { id, status: { ...statusLook(level), text } });
    }
    const present = new Set(nodes.map(({ id }) => id));
    for (const id of this.#shown.keys()) {
      if (present.has(id)) continue;
      this.#shown.delete(id);
      this.#events.emit('node-status', { id, status: {} });
    }
  }
}
