import { pick, randomNumbers, shuffled, type Random } from '@sluice/node-red/simulator';

/** In the order in which a short run takes them. */
export const FAULT_KINDS = [
  'kill-runtime',
  'kill-store',
  'cut-broker',
  'stop-store',
  'kill-broker',
  'restart-broker',
  'redeploy-full',
  'full-disk',
  'cut-store',
  'redeploy-nodes',
  'redeploy-flows',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface PlannedFault {
  readonly kind: FaultKind;
  /** It comes when so many messages are published. */
  readonly after: number;
  /** How long what it takes away stays away. */
  readonly seconds: number;
  /** From 0 to 1: which of several it meets (a node of a redeploy). */
  readonly which: number;
}

export interface PlanSettings {
  readonly seed: string;
  readonly count: number;
  /** Messages a second. */
  readonly rate: number;
  /** What can be done to these servers on this machine. */
  readonly available: readonly FaultKind[];
}

const MESSAGES_A_FAULT = 500;
const MOST_FAULTS = 16;
/** The first messages find everything as it should be, the last ones as well. */
const QUIET_SHARE = 0.05;
/** The store is stopped for 20 s: longer than the time limits of its clients. A short run is no longer than its faults. */
const STOPPED_SECONDS = 20;
const LONGEST_SHARE = 0.25;
const AWAY_SECONDS: Readonly<Record<FaultKind, readonly [least: number, most: number]>> = {
  'kill-runtime': [0, 3],
  'kill-store': [0.2, 5],
  'stop-store': [STOPPED_SECONDS, STOPPED_SECONDS],
  'kill-broker': [0.2, 3],
  'restart-broker': [0.2, 3],
  'cut-broker': [0, 3],
  'cut-store': [0, 3],
  'full-disk': [3, 8],
  'redeploy-full': [0, 0],
  'redeploy-flows': [0, 0],
  'redeploy-nodes': [0, 0],
};

/**
 * What is done, and when: the same for the same settings. Each kind once when the count allows, then the dice decide.
 * Faults of different targets may overlap: a runtime is killed while its store is stopped.
 */
export function planOf({ seed, count, rate, available }: PlanSettings): PlannedFault[] {
  const random = randomNumbers(`chaos:${seed}`);
  const kinds = FAULT_KINDS.filter((kind) => available.includes(kind));
  if (kinds.length === 0) return [];
  const faults = Math.min(Math.max(Math.floor(count / MESSAGES_A_FAULT), 1), Math.max(MOST_FAULTS, kinds.length));
  const chosen = kinds.slice(0, faults);
  const again = kinds.filter((kind) => kind !== 'stop-store');
  while (chosen.length < faults) {
    const kind = again[pick(random, again.length)];
    if (kind === undefined) break;
    chosen.push(kind);
  }
  const longest = (count / rate) * LONGEST_SHARE;
  const share = (1 - 2 * QUIET_SHARE) / chosen.length;
  return shuffled(random, chosen)
    .map((kind, index) => {
      const seconds = secondsOf(kind, random, longest);
      const drawn = count * (QUIET_SHARE + share * (index + random()));
      // While there is still something to publish.
      const latest = count * (1 - QUIET_SHARE) - seconds * rate;
      return { kind, after: Math.max(1, Math.floor(Math.min(drawn, latest))), seconds, which: random() };
    })
    .toSorted((a, b) => a.after - b.after);
}

/** What a fault is done to; there is one at a time for each. */
export function targetOf(kind: FaultKind): 'runtime' | 'broker' | 'store' {
  if (kind.endsWith('-store')) return 'store';
  return kind.endsWith('-broker') ? 'broker' : 'runtime';
}

function secondsOf(kind: FaultKind, random: Random, longest: number): number {
  const [least, most] = AWAY_SECONDS[kind];
  return Math.round(Math.min(least + random() * (most - least), longest) * 10) / 10;
}

const WORDS: Readonly<Record<FaultKind, string>> = {
  'kill-runtime': 'kill -9 of the runtime',
  'kill-store': 'kill -9 of the document store',
  'stop-store': 'SIGSTOP of the document store',
  'kill-broker': 'kill -9 of the broker',
  'restart-broker': 'restart of the broker (SIGTERM)',
  'cut-broker': 'connections to the broker cut',
  'cut-store': 'connections to the document store cut',
  'full-disk': 'no room on the disk of the user folder',
  'redeploy-full': 'redeploy (full)',
  'redeploy-flows': 'redeploy (flows)',
  'redeploy-nodes': 'redeploy (nodes)',
};

export function faultText(kind: FaultKind): string {
  return WORDS[kind];
}

export function plannedText({ kind, after, seconds }: PlannedFault): string {
  return `after ${after.toLocaleString('en')} messages: ${faultText(kind)}${seconds > 0 ? `, for ${seconds} s` : ''}`;
}
