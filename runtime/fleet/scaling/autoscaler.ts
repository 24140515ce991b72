import { messageOf } from '../../launcher/user-error.js';
import type { Fleet } from '../launcher/fleet.js';
import { decide, MEMORY_MS, type Limits, type Sample } from './decide.js';
import type { LoadSignal } from './load-signal.js';

const EVERY_MS = 1_000;

export interface AutoscalerPorts {
  readonly fleet: Fleet;
  readonly limits: Limits;
  readonly signal: () => LoadSignal;
  readonly say: (sentence: string) => void;
}

/** Adds and removes workers on this machine as the load asks for, and says why. */
export class Autoscaler {
  readonly #ports: AutoscalerPorts;
  readonly #timer: NodeJS.Timeout;
  #samples: Sample[] = [];
  #changedAt = performance.now();

  constructor(ports: AutoscalerPorts) {
    this.#ports = ports;
    this.#timer = setInterval(() => void this.#look(), EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const { fleet, limits, signal, say } = this.#ports;
    if (fleet.busy) return;
    const at = performance.now();
    const workers = fleet.workersHere.length;
    this.#samples = [...this.#samples.filter((sample) => sample.at > at - MEMORY_MS), { at, workers, ...signal() }];
    const decision = decide(this.#samples, limits, this.#changedAt);
    if (decision === undefined) return;
    say(`workers ${workers} → ${decision.workers}: ${decision.why}`);
    try {
      await fleet.scale(decision.workers);
    } catch (error) {
      say(messageOf(error));
    }
    this.#samples = [];
    this.#changedAt = performance.now();
  }
}
