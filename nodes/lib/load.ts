/** What a source has to bear: sums that only grow, of which each reader takes differences of its own, and what came lately. */
export interface LoadReport {
  /** For how long as many deliveries were open as may be, in seconds. */
  readonly fullSeconds: number;
  /** How many messages were looked at that say when they were made, and the sum of their ages at receipt, in seconds. */
  readonly aged: number;
  readonly ageSeconds: number;
  /** Of those of the last ten to twenty seconds. */
  readonly recentAge?: { readonly mean: number; readonly max: number };
}

interface Ages {
  count: number;
  sum: number;
  max: number;
}

const RECENT_MS = 10_000;
/** An older time, or one that is so far in the future, tells of a wrong clock, or of seconds taken for milliseconds. */
const MOST_MS = 31 * 86_400_000;

export class Load {
  readonly #now: () => number;
  #fullSince: number | undefined;
  #fullMs = 0;
  #aged = 0;
  #ageMs = 0;
  #current: Ages = { count: 0, sum: 0, max: 0 };
  #before: Ages = { count: 0, sum: 0, max: 0 };
  #currentSince: number;

  /** @param now - milliseconds since any fixed point; never goes back */
  constructor(now: () => number) {
    this.#now = now;
    this.#currentSince = now();
  }

  /** To be told at each change of what is open. */
  full(isFull: boolean): void {
    if (isFull === (this.#fullSince !== undefined)) return;
    const now = this.#now();
    if (this.#fullSince !== undefined) this.#fullMs += now - this.#fullSince;
    this.#fullSince = isFull ? now : undefined;
  }

  /** A message was received so many milliseconds after it was made. Clocks differ: a negative age is none. */
  age(milliseconds: number): void {
    if (Math.abs(milliseconds) > MOST_MS) return;
    const age = Math.max(0, milliseconds);
    this.#roll();
    this.#aged++;
    this.#ageMs += age;
    this.#current.count++;
    this.#current.sum += age;
    this.#current.max = Math.max(this.#current.max, age);
  }

  report(): LoadReport {
    this.#roll();
    const full = this.#fullMs + (this.#fullSince === undefined ? 0 : this.#now() - this.#fullSince);
    const [current, before] = [this.#current, this.#before];
    const count = current.count + before.count;
    return {
      fullSeconds: full / 1_000,
      aged: this.#aged,
      ageSeconds: this.#ageMs / 1_000,
      ...(count > 0 && {
        recentAge: {
          mean: (current.sum + before.sum) / count / 1_000,
          max: Math.max(current.max, before.max) / 1_000,
        },
      }),
    };
  }

  #roll(): void {
    const passed = this.#now() - this.#currentSince;
    if (passed < RECENT_MS) return;
    this.#before = passed < 2 * RECENT_MS ? this.#current : { count: 0, sum: 0, max: 0 };
    this.#current = { count: 0, sum: 0, max: 0 };
    this.#currentSince += passed - (passed % RECENT_MS);
  }
}
