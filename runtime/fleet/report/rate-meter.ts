import type { LedgerSums } from './instance-report.js';

interface Sample {
  readonly at: number;
  readonly in: number;
  readonly out: number;
}

/** A rate is over so many samples: one a second. */
const SAMPLES = 5;

/** How many deliveries a second begin and end, over the last seconds. */
export class RateMeter {
  readonly #samples: Sample[] = [];

  /** @param at - milliseconds */
  measure(at: number, ledger: LedgerSums): { in: number; out: number } {
    const { received, stored, filtered, deadLettered, dropped, abandoned } = ledger;
    const now = { at, in: received, out: stored + filtered + deadLettered + dropped + abandoned };
    this.#samples.push(now);
    if (this.#samples.length > SAMPLES + 1) this.#samples.shift();
    const before = this.#samples[0] ?? now;
    const seconds = (at - before.at) / 1_000;
    if (seconds <= 0) return { in: 0, out: 0 };
    return { in: (now.in - before.in) / seconds, out: (now.out - before.out) / seconds };
  }
}
