export interface BackoffOptions {
  /** The first delay's ceiling, in milliseconds. */
  readonly initialMs: number;
  /** No delay is longer than this, in milliseconds. */
  readonly maximumMs: number;
  /** A number in [0, 1); Math.random unless a test wants its own. */
  readonly random?: () => number;
}

/**
 * Exponential backoff with equal jitter: the ceiling doubles with each attempt, and the delay lies between half of it
 * and all of it, so that a fleet does not come back in step.
 *
 * @param attempt - 0 for the first retry
 * @returns milliseconds to wait
 */
export function backoffDelay(attempt: number, { initialMs, maximumMs, random = Math.random }: BackoffOptions): number {
  const ceiling = Math.min(maximumMs, initialMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + (random() * ceiling) / 2);
}
