import { backoffDelay } from '../lib/backoff.js';
import { ConfigError, RejectedError, UnavailableError } from '../lib/errors.js';
import type { Clock } from './clock.js';

/** A store that is away comes back by itself. */
const AWAY = { initialMs: 500, maximumMs: 30_000 };
/** Wrong credentials or a missing bucket wait for somebody. */
const REFUSED = { initialMs: 5_000, maximumMs: 60_000 };
const HURRIED = { initialMs: 250, maximumMs: 1_000 };

type Operation<T> = (signal: AbortSignal) => Promise<T>;
type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Tries operations until they succeed, a few at a time. One that waits for its next attempt keeps no other from its turn. */
export class Persistent {
  readonly #clock: Clock;
  readonly #parallel: number;
  readonly #givenUp = new AbortController();
  readonly #pauses = new Set<() => void>();
  readonly #queue: (() => void)[] = [];
  #running = 0;
  #hurried = false;

  /** @param parallel - attempts under way at the same time */
  constructor(clock: Clock, parallel: number) {
    this.#clock = clock;
    this.#parallel = parallel;
  }

  /**
   * What the operation gives in the end.
   *
   * @param onFailure - told of each attempt that failed, and of the milliseconds until the next
   * @throws RejectedError as the operation does; UnavailableError `closed` once all is given up
   */
  async run<T>(operation: Operation<T>, onFailure: (error: unknown, waitMs: number) => void): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const outcome = await this.#attempt(operation);
      if ('value' in outcome) return outcome.value;
      const pace = this.#hurried ? HURRIED : outcome.error instanceof ConfigError ? REFUSED : AWAY;
      const wait = backoffDelay(attempt, pace);
      onFailure(outcome.error, wait);
      await this.#pause(wait);
    }
  }

  /** Ends every pause, and makes those to come short. */
  hurry(): void {
    this.#hurried = true;
    for (const wake of this.#pauses) wake();
  }

  /** Ends every attempt. */
  giveUp(): void {
    this.#givenUp.abort();
    for (const wake of this.#pauses) wake();
    for (const go of this.#queue.splice(0)) go();
  }

  /** @returns the error of what may be tried again */
  async #attempt<T>(operation: Operation<T>): Promise<Outcome<T>> {
    await this.#turn();
    try {
      this.#throwIfGivenUp();
      return { value: await operation(this.#givenUp.signal) };
    } catch (error) {
      this.#throwIfGivenUp();
      if (error instanceof RejectedError) throw error;
      // Whatever else it was, even a fault in here: what was to be stored is not lost over it.
      return { error };
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running < this.#parallel) this.#running++;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        this.#pauses.delete(wake);
        resolve();
      };
      const cancel = this.#clock.later(wake, milliseconds);
      this.#pauses.add(wake);
    });
  }

  #throwIfGivenUp(): void {
    if (!this.#givenUp.signal.aborted) return;
    throw new UnavailableError('expected to store what was open before the node closed, got no answer in time', {
      code: 'closed',
    });
  }
}
