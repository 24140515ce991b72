import type { Refusal } from './member.js';

/** What was not taken: each with a line in the log, and counted by its reason. */
export class Refusals {
  readonly #counts: Partial<Record<Refusal, number>> = {};
  readonly #warn: (sentence: string) => void;

  constructor(warn: (sentence: string) => void) {
    this.#warn = warn;
  }

  add(reason: Refusal, sentence: string): void {
    this.#counts[reason] = (this.#counts[reason] ?? 0) + 1;
    this.#warn(sentence);
  }

  counts(): Readonly<Partial<Record<Refusal, number>>> {
    return { ...this.#counts };
  }
}
