import { AsyncLocalStorage } from 'node:async_hooks';
import { backoffDelay } from '../lib/backoff.js';
import { ConfigError, messageOf } from '../lib/errors.js';
import type { Clock } from './clock.js';

/** A store that is away comes back by itself. */
const AWAY = { initialMs: 500, maximumMs: 30_000 };
/** For a store that is told to give up to do so: an upload in parts takes its parts away. */
const GIVE_UP_MS = 4_000;
/** Wrong credentials or a missing bucket wait for somebody. */
const REFUSED = { initialMs: 5_000, maximumMs: 60_000 };

interface Failing {
  attempts: number;
  /** In milliseconds of the clock; never, while it is under way. */
  notBefore: number;
}

interface Ports {
  readonly clock: Clock;
  /** Attempts under way at the same time. */
  readonly parallel: number;
  /** Resolves when it is known what has become of it. Whatever it throws, it is tried again. */
  attempt(id: number, signal: AbortSignal): Promise<void>;
  failed(id: number, error: unknown): void;
  /** `failure` or what waits has changed. */
  changed(): void;
}

/**
 * Has objects stored, by their ids, each until that is done. What waits is on disk: here it is a number. A failure slows
 * all of it down, to one attempt at a time and ever longer pauses, because it is mostly the store's; but the next attempt
 * is another object's, and its success ends that, so one object's own failure keeps no other from being stored.
 */
export class Uploads {
  readonly #ports: Ports;
  readonly #fresh = new Set<number>();
  readonly #failing = new Map<number, Failing>();
  readonly #givenUp = new AbortController();
  /** An object belongs to no message, and not to the asynchronous context of the one that filled it. */
  readonly #detached = AsyncLocalStorage.snapshot();
  #running = 0;
  /** How often the store has failed since it last did not. */
  #failures = 0;
  #pausedUntil = 0;
  #cancelTimer: (() => void) | undefined;
  #ending: PromiseWithResolvers<void> | undefined;
  #sentence = '';

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /** Why something is not stored yet. */
  get failure(): string | undefined {
    return this.#failing.size > 0 ? this.#sentence : undefined;
  }

  add(id: number): void {
    this.#fresh.add(id);
    this.#detached(() => this.#go());
  }

  /**
   * Tries each that waits once more, without a pause, until one fails; then, or after so many milliseconds, all that is
   * left is left to who comes after. Resolves when nothing is under way, or some seconds after it was told to end.
   */
  async finish(limitMs: number): Promise<void> {
    this.#ending = Promise.withResolvers<void>();
    this.#failures = 0;
    const ended = this.#ending;
    const { clock } = this.#ports;
    const cancels = [
      clock.later(() => this.#givenUp.abort(), limitMs),
      clock.later(() => ended.resolve(), limitMs + GIVE_UP_MS),
    ];
    this.#go();
    await ended.promise;
    for (const cancel of cancels) cancel();
    this.#givenUp.abort(); // nothing begins any more
  }

  #go(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (let id = this.#next(); id !== undefined; id = this.#next()) void this.#attempt(id);
    if (this.#ending !== undefined) {
      if (this.#running === 0) this.#ending.resolve();
      return;
    }
    const at = this.#nextAt();
    if (at !== undefined) {
      const { clock } = this.#ports;
      this.#cancelTimer = clock.later(() => this.#go(), Math.max(0, at - clock.elapsed()));
    }
  }

  /** What is to be tried now: the oldest; while the store fails, one that has not failed yet. */
  #next(): number | undefined {
    const ending = this.#ending !== undefined;
    const now = this.#ports.clock.elapsed();
    if (this.#givenUp.signal.aborted || (ending && this.#failures > 0)) return undefined;
    if (this.#running >= (this.#failures > 0 ? 1 : this.#ports.parallel)) return undefined;
    if (!ending && now < this.#pausedUntil) return undefined;
    const [fresh] = this.#fresh;
    if (this.#failures > 0 && fresh !== undefined) return fresh;
    const due = ending ? Number.MAX_VALUE : now;
    for (const [id, { notBefore }] of this.#failing) if (notBefore <= due) return id;
    return fresh;
  }

  /** When there may be something to be tried, with nothing under way that would say so. */
  #nextAt(): number | undefined {
    if (this.#running >= (this.#failures > 0 ? 1 : this.#ports.parallel)) return undefined;
    let at = this.#fresh.size > 0 ? 0 : Infinity;
    for (const { notBefore } of this.#failing.values()) at = Math.min(at, notBefore);
    return at === Infinity ? undefined : Math.max(at, this.#pausedUntil);
  }

  async #attempt(id: number): Promise<void> {
    const before = this.#failures;
    const failing = this.#failing.get(id);
    if (failing !== undefined) failing.notBefore = Infinity;
    this.#fresh.delete(id);
    this.#running++;
    try {
      await this.#ports.attempt(id, this.#givenUp.signal);
      this.#failing.delete(id);
      this.#failures = 0;
      this.#pausedUntil = 0;
    } catch (error) {
      if (!this.#givenUp.signal.aborted) this.#fail(id, error, before, failing);
    }
    this.#running--;
    this.#ports.changed();
    this.#go();
  }

  #fail(id: number, error: unknown, before: number, failing: Failing | undefined): void {
    const now = this.#ports.clock.elapsed();
    const pace = error instanceof ConfigError ? REFUSED : AWAY;
    const attempts = failing?.attempts ?? 0;
    // Those that were under way together have failed once.
    if (this.#failures <= before) {
      this.#failures = before + 1;
      this.#pausedUntil = now + backoffDelay(before, pace);
    }
    const notBefore = now + backoffDelay(attempts, pace);
    // To the end of the line.
    this.#failing.delete(id);
    this.#failing.set(id, { attempts: attempts + 1, notBefore });
    const seconds = Math.ceil((Math.max(notBefore, this.#pausedUntil) - now) / 1_000);
    this.#sentence = `${messageOf(error)}; trying again in ${seconds} s`;
    this.#ports.failed(id, error);
  }
}
