import { setTimeout as delay } from 'node:timers/promises';
import { UnavailableError } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import type { Sink } from './sink.js';
import type { Findings, Tally } from './tally.js';

export interface Patience {
  readonly withinMs: number;
  /** What it waits for, as it goes. */
  readonly progress: (sentence: string) => void;
}

const POLL_MS = 500;
/** A sink that others fill as well is never quiet. What is read of it takes no more than this share of the time. */
const READING_SHARE = 0.2;

/**
 * Reads the sink back until all is there and no more comes, or the time is up. It is read whole only when it has changed
 * and, while it goes on changing, not too often; and once more at the end.
 *
 * @throws UserError when the sink cannot be read
 */
export async function verify(tally: Tally, sink: Sink, { withinMs, progress }: Patience): Promise<Findings> {
  const deadline = performance.now() + withinMs;
  let before = await attempt(() => sink.mark());
  let readAt: string | undefined;
  let last: Findings | undefined;
  let notBefore = 0;
  for (;;) {
    const late = performance.now() >= deadline;
    if (!late) await delay(Math.min(POLL_MS, deadline - performance.now()));
    const mark = await attempt(() => sink.mark());
    const quiet = mark === before;
    before = mark;
    if (quiet && mark === readAt && last?.missing.count === 0) return last;
    if (!late && (mark === undefined || mark === readAt || !(quiet || performance.now() >= notBefore))) continue;
    const startedAt = performance.now();
    const findings = await attempt(() => read(tally, sink));
    const took = performance.now() - startedAt;
    notBefore = performance.now() + Math.max(POLL_MS, took / READING_SHARE);
    if (findings === undefined) {
      if (late) throw await unreadable(sink);
      continue;
    }
    readAt = mark;
    const settled = quiet || findings.records === last?.records;
    if (late || (findings.missing.count === 0 && settled)) return findings;
    last = findings;
    progress(`${findings.stored} of ${findings.expected} stored, waiting for more`);
  }
}

/** @returns undefined when the sink is away: it may come back */
async function attempt<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof UnavailableError) return undefined;
    throw error;
  }
}

async function unreadable(sink: Sink): Promise<UserError> {
  try {
    await sink.mark();
    return new UserError(`expected ${sink.place} to stay readable, got a sink that went away while it was read`);
  } catch (error) {
    return new UserError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function read(tally: Tally, sink: Sink): Promise<Findings> {
  tally.restart();
  for await (const candidates of sink.records()) tally.stored(candidates);
  return tally.findings();
}
