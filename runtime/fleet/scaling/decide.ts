/** How full the windows of the workers were at a moment. */
export interface Sample {
  /** Milliseconds, on a clock that only goes forward. */
  readonly at: number;
  readonly workers: number;
  /** The mean share of the time that the workers' windows were full, from 0 to 1. */
  readonly window: number;
  /** The greatest age of messages at receipt; undefined where they carry no time. */
  readonly ageSeconds?: number;
}

export interface Limits {
  readonly min: number;
  readonly max: number;
}

export interface Decision {
  readonly workers: number;
  /** With the figures that it was made by. */
  readonly why: string;
}

/** A worker is added when windows are as full as this, for so long. */
const FULL = 0.8;
const FULL_FOR_MS = 5_000;
/** By how much the age has to grow meanwhile: less is chance. */
const AGE_GROWTH_SECONDS = 0.1;
/** One is removed when, without it, the others' windows would have been less full than this, for so long. */
const IDLE = 0.5;
const IDLE_FOR_MS = 30_000;
/** After a change, before the next is thought of. */
const SETTLE_MS = 10_000;

/** For how long samples matter. */
export const MEMORY_MS = IDLE_FOR_MS + 5_000;

/**
 * How many workers there should be, where that is another number than now. Between FULL and IDLE nothing changes: the
 * worker that was added must not make its own removal due.
 *
 * @param samples - of the last MEMORY_MS, the newest last
 * @param changedAt - when the number of workers has changed last
 */
export function decide(samples: readonly Sample[], { min, max }: Limits, changedAt: number): Decision | undefined {
  const now = samples.at(-1);
  if (now === undefined) return undefined;
  const { workers } = now;
  if (workers < min) return { workers: min, why: `expected at least ${min} workers, got ${workers}` };
  if (workers > max) return { workers: max, why: `expected at most ${max} workers, got ${workers}` };
  if (now.at - changedAt < SETTLE_MS) return undefined;
  const full = lastOf(samples, FULL_FOR_MS);
  if (workers < max && full.length > 0 && full.every(({ window }) => window >= FULL) && ageGrows(full)) {
    return { workers: workers + 1, why: `windows ${rangeOf(full)} full for ${FULL_FOR_MS / 1_000} s${ageText(full)}` };
  }
  const idle = lastOf(samples, IDLE_FOR_MS);
  const without = workers / (workers - 1);
  if (workers > min && idle.length > 0 && idle.every(({ window }) => window * without < IDLE)) {
    return { workers: workers - 1, why: `windows ${rangeOf(idle)} full for ${IDLE_FOR_MS / 1_000} s${ageText(idle)}` };
  }
  return undefined;
}

/** None where they do not go back so far: nothing is known of the time before. */
function lastOf(samples: readonly Sample[], ms: number): readonly Sample[] {
  const from = (samples.at(-1)?.at ?? 0) - ms;
  const first = samples.findLastIndex(({ at }) => at <= from);
  return first === -1 ? [] : samples.slice(first);
}

/** Or is not known. */
function ageGrows(samples: readonly Sample[]): boolean {
  const [first, last] = [samples[0]?.ageSeconds, samples.at(-1)?.ageSeconds];
  return first === undefined || last === undefined || last - first >= AGE_GROWTH_SECONDS;
}

function rangeOf(samples: readonly Sample[]): string {
  const percents = samples.map(({ window }) => Math.round(window * 100));
  const [least, most] = [Math.min(...percents), Math.max(...percents)];
  return least === most ? `${most} %` : `${least}–${most} %`;
}

function ageText(samples: readonly Sample[]): string {
  const [first, last] = [samples[0]?.ageSeconds, samples.at(-1)?.ageSeconds];
  if (first === undefined || last === undefined) return ', age at receipt not known';
  return `, age at receipt ${first.toFixed(1)} → ${last.toFixed(1)} s`;
}
