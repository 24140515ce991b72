/** Time as the sink sees it, so that a test can hold it. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00Z. */
  now(): number;
  /** Milliseconds since any fixed point; goes on evenly when somebody sets the clock. */
  elapsed(): number;
  /** Runs once, after so many milliseconds. @returns what calls it off */
  later(run: () => void, milliseconds: number): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  later: (run, milliseconds) => {
    const timer = setTimeout(run, milliseconds);
    return () => clearTimeout(timer);
  },
};
