import { monitorEventLoopDelay, performance } from 'node:perf_hooks';

export interface Load {
  /** Of one core. */
  readonly cpu: number;
  readonly memoryBytes: number;
  /** The longest that the event loop was held up. */
  readonly loopDelayMs: number;
}

const RESOLUTION_MS = 20;

/** What this process uses, since it was asked before. */
export class ProcessLoad {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #usage = process.cpuUsage();
  #at = performance.now();

  constructor() {
    this.#delay.enable();
  }

  read(): Load {
    const now = performance.now();
    const { user, system } = process.cpuUsage(this.#usage);
    const cpu = (user + system) / 1_000 / Math.max(1, now - this.#at);
    this.#usage = process.cpuUsage();
    this.#at = now;
    const loopDelayMs = Math.max(0, Math.round(this.#delay.max / 1e6) - RESOLUTION_MS);
    this.#delay.reset();
    return { cpu, memoryBytes: process.memoryUsage.rss(), loopDelayMs };
  }
}
