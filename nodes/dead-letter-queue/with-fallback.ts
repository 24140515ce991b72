import type { DeadLetter, LetterFilter } from '../lib/dead-letter.js';
import { RejectedError } from '../lib/errors.js';
import { newest, type LetterStore } from './store.js';

/** What one store refuses (MongoDB: a letter over 16 MB) goes to another. */
export class WithFallback implements LetterStore {
  readonly place: string;
  readonly #first: LetterStore;
  readonly #second: LetterStore;

  constructor(first: LetterStore, second: LetterStore) {
    this.place = first.place;
    this.#first = first;
    this.#second = second;
  }

  async append(letters: readonly DeadLetter[]): ReturnType<LetterStore['append']> {
    const failures = new Map(await this.#first.append(letters));
    const refused = [...failures].filter(([, failure]) => failure instanceof RejectedError).map(([index]) => index);
    if (refused.length === 0) return failures;
    const again = await this.#second.append(letters.filter((_letter, index) => refused.includes(index)));
    for (const [place, index] of refused.entries()) {
      const failure = again.get(place);
      if (failure === undefined) failures.delete(index);
      else failures.set(index, failure);
    }
    return failures;
  }

  async last(count: number, maxBytes: number): Promise<DeadLetter[]> {
    const both = await Promise.all([this.#first.last(count, maxBytes), this.#second.last(count, maxBytes)]);
    return newest(both.flat(), count, maxBytes);
  }

  async find(filter: LetterFilter, count: number, maxBytes: number): Promise<DeadLetter[]> {
    const both = [this.#first.find(filter, count, maxBytes), this.#second.find(filter, count, maxBytes)];
    return newest((await Promise.all(both)).flat(), count, maxBytes);
  }

  async markReplayed(ids: readonly string[]): Promise<void> {
    await Promise.all([this.#first.markReplayed(ids), this.#second.markReplayed(ids)]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#first.close(), this.#second.close()]);
  }
}
