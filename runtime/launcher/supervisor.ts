import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from './user-error.js';

/** What a supervisor keeps running. */
export interface Supervised {
  /** Resolves with the exit code, or the signal's name, when it has ended. */
  readonly ended: Promise<number | string>;
}

/** This many ends within this time, none of them after work, are a loop, and no restart helps. */
const LOOP = { ends: 5, withinMs: 60_000 };
const FIRST_PAUSE_MS = 500;
/** One that has worked for so long will do so again: it may end as often as it likes. */
const WORKED_MS = 3_000;

/** Keeps a process running: started again when it ends, also while it starts, with a pause that grows. */
export class Supervisor<T extends Supervised> {
  /** Resolves with a sentence when it gives up. */
  readonly failed: Promise<string>;
  readonly #fail: (reason: string) => void;
  readonly #what: string;
  readonly #launch: () => T;
  readonly #ready: (child: T) => Promise<void>;
  readonly #say: (sentence: string) => void;
  /** Those within the time of a loop. */
  #ends: readonly { readonly at: number; readonly worked: boolean }[] = [];
  /** Resolves when a child works, or none will. */
  readonly #works = Promise.withResolvers<void>();
  #child: T | undefined;
  /** When the child began to work, by `performance.now()`. */
  #readyAt = Infinity;
  #stopping = false;

  /**
   * @param what - what it is, for sentences
   * @param ready - resolves when a fresh child works; rejects when it ended before
   */
  constructor(what: string, launch: () => T, ready: (child: T) => Promise<void>, say: (sentence: string) => void) {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.failed = promise;
    this.#fail = resolve;
    this.#what = what;
    this.#launch = launch;
    this.#ready = ready;
    this.#say = say;
  }

  /** The child that runs, or starts; undefined before the next one is started. */
  get child(): T | undefined {
    return this.#child;
  }

  /** The first start. @throws what `ready` rejects with: there is nothing to restart yet */
  async start(): Promise<void> {
    const child = this.#launch();
    await this.#ready(child);
    this.#readyAt = performance.now();
    this.#child = child;
    void child.ended.then((how) => this.#again(how));
  }

  /** A start that is tried again as any other. Resolves when the child works, when this gives up, or on `release`. */
  async keep(): Promise<void> {
    void this.#begin();
    await Promise.race([this.#works.promise, this.failed]);
  }

  /** No more restarts. @returns the child to stop, if one runs */
  release(): T | undefined {
    this.#stopping = true;
    this.#works.resolve();
    return this.#child;
  }

  async #again(how: number | string): Promise<void> {
    this.#child = undefined;
    if (this.#isStopping()) return;
    const at = performance.now();
    const worked = at - this.#readyAt >= WORKED_MS;
    this.#readyAt = Infinity;
    const recent = [...this.#ends.filter((end) => end.at > at - LOOP.withinMs), { at, worked }];
    this.#ends = recent;
    const inVain = recent.filter((end) => !end.worked).length;
    if (inVain >= LOOP.ends) {
      this.#fail(`${this.#what} ended ${inVain} times within a minute (last: ${how})`);
      return;
    }
    const pause = FIRST_PAUSE_MS * 2 ** (recent.length - 1);
    this.#say(`${this.#what} ended (${how}) and is started again in ${pause / 1_000} s`);
    await delay(pause);
    if (!this.#isStopping()) await this.#begin();
  }

  async #begin(): Promise<void> {
    const child = this.#launch();
    this.#child = child;
    void child.ended.then((next) => this.#again(next));
    try {
      await this.#ready(child);
      this.#readyAt = performance.now();
      this.#works.resolve();
    } catch (error) {
      this.#say(messageOf(error));
    }
  }

  #isStopping(): boolean {
    return this.#stopping;
  }
}
