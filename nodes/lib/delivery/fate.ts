import type { LateOutcome } from './outcome.js';

/** What became of a delivery: of its branches the outcome that says most, and what it is put down to. */
export interface Fate {
  readonly bucket: LateOutcome | 'filtered';
  readonly reason: string;
}

/** The first that holds. */
const ORDER = ['dead-lettered', 'dropped', 'stored', 'filtered'] as const satisfies readonly Fate['bucket'][];

export function strongest(one: Fate, other: Fate): Fate {
  return ORDER.indexOf(other.bucket) < ORDER.indexOf(one.bucket) ? other : one;
}
