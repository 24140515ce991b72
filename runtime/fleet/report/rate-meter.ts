import type { Instance } from '@sluice/node-red/instance';
import type { LedgerSums } from './instance-report.js';

type Nodes = ReturnType<Instance['report']>['nodes'];

interface Sample {
  readonly at: number;
  readonly in: number;
  readonly out: number;
  /** For how long the window of each ingest was full, in seconds. */
  readonly full: ReadonlyMap<string, number>;
  /** Messages that carried a time, and the sum of their ages at receipt, in seconds. */
  readonly aged: number;
  readonly ageSeconds: number;
}

export interface Rates {
  /** Deliveries a second: begun, and ended. */
  readonly rate: { readonly in: number; readonly out: number };
  /** Of the ingest whose window is fullest. */
  readonly window?: number;
  readonly ageSeconds?: number;
}

/** A rate is over so many samples: one a second. */
const SAMPLES = 5;

/** What a second brings, over the last seconds: from sums that only grow. */
export class RateMeter {
  readonly #samples: Sample[] = [];

  /** @param at - milliseconds */
  measure(at: number, ledger: LedgerSums, nodes: Nodes): Rates {
    const now = sampleOf(at, ledger, nodes);
    this.#samples.push(now);
    if (this.#samples.length > SAMPLES + 1) this.#samples.shift();
    const before = this.#samples[0] ?? now;
    const seconds = (at - before.at) / 1_000;
    if (seconds <= 0) return { rate: { in: 0, out: 0 } };
    const windows = [...now.full].map(([id, full]) => Math.min(1, (full - (before.full.get(id) ?? 0)) / seconds));
    const aged = now.aged - before.aged;
    return {
      rate: { in: (now.in - before.in) / seconds, out: (now.out - before.out) / seconds },
      ...(windows.length > 0 && { window: Math.max(0, ...windows) }),
      ...(aged > 0 && { ageSeconds: (now.ageSeconds - before.ageSeconds) / aged }),
    };
  }
}

function sampleOf(at: number, ledger: LedgerSums, nodes: Nodes): Sample {
  const { received, stored, filtered, deadLettered, dropped, abandoned } = ledger;
  const loads = nodes.flatMap(({ id, load }) => (load === undefined ? [] : [{ id, ...load }]));
  return {
    at,
    in: received,
    out: stored + filtered + deadLettered + dropped + abandoned,
    full: new Map(loads.map(({ id, fullSeconds }) => [id, fullSeconds])),
    aged: loads.reduce((sum, { aged }) => sum + aged, 0),
    ageSeconds: loads.reduce((sum, { ageSeconds }) => sum + ageSeconds, 0),
  };
}
