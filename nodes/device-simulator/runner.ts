import { UnavailableError } from '../lib/errors.js';
import type { SimulatedMessage, Simulation } from './simulation.js';

export interface RunnerOptions {
  /** Messages a second, of all devices together. */
  readonly rate: number;
  /** How many are made in all; 0: no end. */
  readonly limit: number;
  /**
   * Hands a message on; resolves when it has arrived there.
   *
   * @throws UnavailableError: the message waits and is handed on again; anything else: it has failed
   */
  readonly deliver: (message: SimulatedMessage) => void | Promise<void>;
  /** After each change of the totals or of what it does. */
  readonly changed: () => void;
}

export interface Totals {
  readonly made: number;
  /** Handed on and answered. */
  readonly delivered: number;
  /** Given up: refused, or stopped while the broker was away. */
  readonly failed: number;
}

/** How many messages may be on their way: enough to keep a fast broker busy, few enough to stop soon. */
const MOST_ON_THEIR_WAY = 1_000;
/** A machine that was busy does not send hours of messages at once. */
const MOST_BEHIND_MS = 1_000;
const TICK_MS = 10;
const RETRY_MS = 500;

/** Gives the messages of a simulation at a rate. While the other side is away no new ones are made. */
export class SimulationRunner {
  readonly #simulation: Simulation;
  readonly #options: RunnerOptions;
  #made = 0;
  #delivered = 0;
  #failed = 0;
  #onTheirWay = 0;
  #waiting = 0;
  /** Made at once, as soon as there is room. */
  #burst = 0;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #stopped = false;
  #origin = 0;
  #paced = 0;
  #idle = Promise.withResolvers<void>();

  constructor(simulation: Simulation, options: RunnerOptions) {
    this.#simulation = simulation;
    this.#options = options;
    this.#idle.resolve();
  }

  get running(): boolean {
    return this.#running;
  }

  get totals(): Totals {
    return { made: this.#made, delivered: this.#delivered, failed: this.#failed };
  }

  /** Whether the other side is away and messages wait for it. */
  get stalled(): boolean {
    return this.#waiting > 0;
  }

  start(): void {
    if (this.#running || this.#atLimit()) return;
    this.#running = true;
    this.#stopped = false;
    this.#restartPace();
    this.#schedule(0);
    this.#options.changed();
  }

  /** Makes `count` messages at once, whether it runs or not. */
  burst(count: number): void {
    this.#stopped = false;
    this.#burst += count;
    this.#schedule(0);
  }

  /** Makes no more; resolves when all that were made are answered or given up. */
  async stop(): Promise<void> {
    this.pause();
    this.#stopped = true;
    this.#burst = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#idle.promise;
  }

  /** Makes no more until `start`. */
  pause(): void {
    if (!this.#running) return;
    this.#running = false;
    this.#options.changed();
  }

  /** Resolves when the limit is reached and all is answered, or when it was stopped. */
  async finished(): Promise<void> {
    while (this.#running || this.#onTheirWay > 0 || this.#burst > 0) {
      await this.#idle.promise;
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tick();
    }, ms);
  }

  #tick(): void {
    const now = performance.now();
    const blocked = (): boolean => this.#waiting > 0 || this.#onTheirWay >= MOST_ON_THEIR_WAY || this.#atLimit();
    while (this.#burst > 0 && !blocked()) {
      this.#burst--;
      this.#make();
    }
    if (this.#running) {
      const due = Math.floor(((now - this.#origin) / 1_000) * this.#options.rate) + 1;
      while (this.#paced < due && !blocked()) {
        this.#paced++;
        this.#make();
      }
      const behindMs = ((due - this.#paced) / this.#options.rate) * 1_000;
      if (behindMs > MOST_BEHIND_MS) this.#restartPace();
    }
    if (this.#atLimit()) {
      this.#burst = 0;
      this.pause();
    }
    if (this.#running) {
      const nextMs = this.#origin + (this.#paced / this.#options.rate) * 1_000 - performance.now();
      this.#schedule(Math.max(TICK_MS, nextMs));
    } else if (this.#burst > 0) {
      this.#schedule(TICK_MS);
    }
  }

  #restartPace(): void {
    this.#origin = performance.now();
    this.#paced = 0;
  }

  #atLimit(): boolean {
    return this.#options.limit > 0 && this.#made >= this.#options.limit;
  }

  #make(): void {
    this.#made++;
    if (this.#onTheirWay++ === 0) this.#idle = Promise.withResolvers<void>();
    const message = this.#simulation.next(new Date());
    let waiting = false;
    const attempt = (): void => {
      let outcome: void | Promise<void>;
      try {
        outcome = this.#options.deliver(message);
      } catch (error) {
        failed(error);
        return;
      }
      if (outcome === undefined) done(true);
      else outcome.then(() => done(true), failed);
    };
    const failed = (error: unknown): void => {
      if (!(error instanceof UnavailableError) || this.#stopped) {
        done(false);
        return;
      }
      if (!waiting) this.#waiting++;
      waiting = true;
      this.#options.changed();
      setTimeout(attempt, RETRY_MS);
    };
    const done = (delivered: boolean): void => {
      if (waiting) this.#waiting--;
      if (delivered) this.#delivered++;
      else this.#failed++;
      if (--this.#onTheirWay === 0) this.#idle.resolve();
      this.#options.changed();
    };
    attempt();
  }
}
