import { UnavailableError } from '../lib/errors.js';
import { Pace } from './pace.js';
import type { SimulatedMessage, Simulation } from './simulation.js';

export interface RunnerOptions {
  /** Messages a second, of all devices together. */
  readonly rate: number;
  readonly devices: number;
  /** Seconds from the start of the first device to that of the last. */
  readonly ramp: number;
  /** How many are made in all; 0: no end. */
  readonly limit: number;
  /**
   * Hands a message on; resolves when it has arrived there.
   *
   * @throws UnavailableError: the message waits and is handed on again; anything else: it has failed
   */
  readonly deliver: (message: SimulatedMessage) => void | Promise<void>;
  /** A message is answered (`delivered`), or given up; it is handed on no more. */
  readonly settled: (message: SimulatedMessage, delivered: boolean) => void;
  /** After each change of the totals or of what it does. */
  readonly changed: () => void;
  /** No further message can be made: why. It has stopped. */
  readonly broken: (error: unknown) => void;
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
/** How many are made before others have a turn: what takes them at once (a flow) must keep up. */
const MOST_AT_ONCE = 1_000;
/** A machine that was busy does not send hours of messages at once. */
const MOST_BEHIND_MS = 1_000;
const TICK_MS = 10;
const LONGEST_TICK_MS = 60_000;
const RETRY_MS = 500;

/** Gives the messages of a simulation at a rate. While the other side is away no new ones are made. */
export class SimulationRunner {
  readonly #simulation: Simulation;
  readonly #options: RunnerOptions;
  readonly #pace: Pace;
  #made = 0;
  #delivered = 0;
  #failed = 0;
  /** Made, and neither handed on nor failed. */
  readonly #onTheirWay = new Set<SimulatedMessage>();
  /** Of these, what the other side could not take, until the next attempt. */
  readonly #waiting = new Map<SimulatedMessage, NodeJS.Timeout>();
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
    this.#pace = new Pace(options.rate, options.devices, options.ramp);
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
    return this.#waiting.size > 0;
  }

  /** Whether all that may be made is made. */
  get atLimit(): boolean {
    return this.#options.limit > 0 && this.#made >= this.#options.limit;
  }

  start(): void {
    if (this.#running || this.atLimit) return;
    this.#running = true;
    this.#stopped = false;
    this.#origin = performance.now();
    this.#paced = 0;
    this.#schedule(0);
    this.#options.changed();
  }

  /** Makes `count` messages at once, whether it runs or not. */
  burst(count: number): void {
    this.#stopped = false;
    this.#burst += count;
    this.#schedule(0);
  }

  /** Makes no more until `start` or `burst`. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#burst = 0;
    if (!this.#running) return;
    this.#running = false;
    this.#options.changed();
  }

  /** The other side is back: what waits for it is handed on at once. */
  retry(): void {
    for (const message of [...this.#waiting.keys()]) this.#attempt(message);
  }

  /**
   * Makes no more; resolves when all that were made are answered or given up.
   *
   * @param away - when it resolves no answer is to be expected any more: what has none is given up
   */
  async stop(away?: Promise<void>): Promise<void> {
    this.pause();
    this.#stopped = true;
    await Promise.race(away === undefined ? [this.#idle.promise] : [this.#idle.promise, away]);
    for (const message of this.#onTheirWay) this.#settle(message, false);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), Math.min(ms, LONGEST_TICK_MS));
  }

  #tick(): void {
    const room = this.#made + MOST_AT_ONCE;
    const blocked = (): boolean =>
      this.stalled || this.#onTheirWay.size >= MOST_ON_THEIR_WAY || this.atLimit || this.#made >= room;
    try {
      while (this.#burst > 0 && !blocked()) {
        this.#burst--;
        this.#make(this.#options.devices);
      }
      if (this.#running) this.#makeWhatIsDue(blocked);
    } catch (error) {
      this.pause();
      this.#options.broken(error);
      return;
    }
    if (this.atLimit) {
      this.pause();
    } else if (this.#burst > 0) {
      this.#schedule(TICK_MS);
    } else if (this.#running) {
      const nextMs = this.#origin + this.#pace.timeOf(this.#paced) * 1_000 - performance.now();
      this.#schedule(Math.max(TICK_MS, nextMs));
    }
  }

  #makeWhatIsDue(blocked: () => boolean): void {
    const due = this.#pace.due((performance.now() - this.#origin) / 1_000);
    while (this.#paced < due && !blocked()) {
      // By the time that it was due, and not by the clock: so it is the same device whatever the machine does.
      this.#make(this.#pace.devices(this.#pace.timeOf(this.#paced++)));
    }
    const behindMs = ((due - this.#paced) / this.#options.rate) * 1_000;
    if (behindMs > MOST_BEHIND_MS) this.#paced = due - 1;
  }

  #make(devices: number): void {
    const { limit } = this.#options;
    const left = limit === 0 ? Infinity : limit - this.#made;
    const message = this.#simulation.next({ now: new Date(), devices, left });
    this.#made++;
    if (this.#onTheirWay.size === 0) this.#idle = Promise.withResolvers<void>();
    this.#onTheirWay.add(message);
    this.#attempt(message);
  }

  #attempt(message: SimulatedMessage): void {
    this.#stopWaiting(message);
    let outcome: void | Promise<void>;
    try {
      outcome = this.#options.deliver(message);
    } catch (error) {
      this.#fail(message, error);
      return;
    }
    if (outcome === undefined) this.#settle(message, true);
    else
      outcome.then(
        () => this.#settle(message, true),
        (error: unknown) => this.#fail(message, error),
      );
  }

  #fail(message: SimulatedMessage, error: unknown): void {
    if (!(error instanceof UnavailableError) || this.#stopped) {
      this.#settle(message, false);
      return;
    }
    if (!this.#onTheirWay.has(message)) return; // it was given up
    this.#waiting.set(
      message,
      setTimeout(() => this.#attempt(message), RETRY_MS),
    );
    this.#options.changed();
  }

  #settle(message: SimulatedMessage, delivered: boolean): void {
    this.#stopWaiting(message);
    if (!this.#onTheirWay.delete(message)) return; // it was given up
    if (delivered) this.#delivered++;
    else this.#failed++;
    this.#options.settled(message, delivered);
    if (this.#onTheirWay.size === 0) this.#idle.resolve();
    this.#options.changed();
  }

  #stopWaiting(message: SimulatedMessage): void {
    clearTimeout(this.#waiting.get(message));
    this.#waiting.delete(message);
  }
}
