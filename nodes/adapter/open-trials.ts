import type { Message } from '../lib/message.js';
import type { Trial } from './trial.js';

/** The trials that have not ended, in the order in which they began. */
export class OpenTrials {
  readonly #all = new Set<Trial>();
  /** By the `_msgid` that the message entered with: a fan-out gives several the same. */
  readonly #byMessageId = new Map<string, Set<Trial>>();

  get size(): number {
    return this.#all.size;
  }

  [Symbol.iterator](): IterableIterator<Trial> {
    return this.#all.values();
  }

  add(trial: Trial): void {
    this.#all.add(trial);
    const id = trial.entry.message._msgid;
    if (id === undefined) return;
    const others = this.#byMessageId.get(id);
    if (others === undefined) this.#byMessageId.set(id, new Set([trial]));
    else others.add(trial);
  }

  delete(trial: Trial): void {
    this.#all.delete(trial);
    const id = trial.entry.message._msgid ?? '';
    const others = this.#byMessageId.get(id);
    others?.delete(trial);
    if (others?.size === 0) this.#byMessageId.delete(id);
  }

  /** @param here - of several with this id, the one that is meant, if it is among them; else it is the latest */
  byMessageId({ _msgid: id }: Message, here: Trial | undefined): Trial | undefined {
    const trials = id === undefined ? undefined : this.#byMessageId.get(id);
    if (trials === undefined || (here !== undefined && trials.has(here))) return trials && here;
    return [...trials].at(-1);
  }
}
