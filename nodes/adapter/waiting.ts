/** Waiting, as nodes do it that try again, ask a server, and close in time. */
import { setTimeout as delay } from 'node:timers/promises';
import { backoffDelay, type BackoffOptions } from '../lib/backoff.js';
import { UnavailableError } from '../lib/errors.js';

/** For how long a node that closes goes on with what it holds: Node-RED cuts it off 15 s after it began to. */
export const FLUSH_LIMIT_MS = 10_000;

/** The pause before the next attempt. It ends at once when the signal is aborted. */
export async function pause(attempt: number, pace: BackoffOptions, signal: AbortSignal): Promise<void> {
  await delay(backoffDelay(attempt, pace), undefined, { signal }).catch(() => undefined); // aborted
}

/** Resolves when the first of these ends, or when the time is up. */
export async function atMost(milliseconds: number, ...ends: Promise<unknown>[]): Promise<void> {
  const limit = new AbortController();
  const late = delay(milliseconds, undefined, { signal: limit.signal }).catch(() => undefined); // one of them has ended
  try {
    await Promise.race([...ends, late]);
  } finally {
    limit.abort();
  }
}

/** What the work gives; what has not ended by then is left to itself. @throws UnavailableError `timeout` */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new UnavailableError(`no answer within ${milliseconds} ms`, { code: 'timeout' })),
    milliseconds,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
