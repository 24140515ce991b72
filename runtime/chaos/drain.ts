import { setTimeout as delay } from 'node:timers/promises';
import { UnavailableError } from '@sluice/node-red/simulator';
import type { Phase } from './phase.js';

export interface DrainSettings {
  /** For how long nothing more may come. */
  readonly quietMs: number;
  readonly withinMs: number;
  /** Asked when it is quiet for a moment: whether there is nothing to wait for any more. */
  readonly complete: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

const POLL_MS = 500;
const MOMENT_MS = 2_000;

/** Waits until the runtime holds no message and no more is stored. @returns whether that was so within the time */
export async function drained(phase: Phase, { quietMs, withinMs, complete, signal }: DrainSettings): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  let before: string | undefined;
  let changedAt = performance.now();
  let asked = false;
  for (;;) {
    const mark = await markOf(phase);
    const now = performance.now();
    if (mark === undefined || mark !== before) {
      before = mark;
      changedAt = now;
      asked = false;
    }
    if (now - changedAt >= quietMs) return true;
    if (now - changedAt >= MOMENT_MS && !asked) {
      asked = true;
      if (await complete()) return true;
    }
    if (now >= deadline) return false;
    await delay(POLL_MS, undefined, { signal });
  }
}

/** @returns undefined while something is away, or the runtime holds messages */
async function markOf({ instance, readBack }: Phase): Promise<string | undefined> {
  try {
    return (await instance.held()) === 0 ? await readBack.mark() : undefined;
  } catch (error) {
    if (error instanceof UnavailableError) return undefined;
    throw error;
  }
}
