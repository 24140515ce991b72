import { createHash } from 'node:crypto';

/** Gives numbers in [0, 1). */
export type Random = () => number;

/** sfc32 (PractRand, Chris Doty-Humphrey): small, fast, and the same everywhere. */
export function randomNumbers(seed: string): Random {
  const digest = createHash('sha256').update(seed).digest();
  let [a, b, c, d] = [digest.readInt32LE(0), digest.readInt32LE(4), digest.readInt32LE(8), 1];
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 4_294_967_296;
  };
  for (let round = 0; round < 12; round++) next();
  return next;
}

/** A whole number from 0 to `count` - 1. */
export function pick(random: Random, count: number): number {
  return Math.floor(random() * count);
}

/** A copy in a random order. */
export function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const out = [...items];
  for (let last = out.length - 1; last > 0; last--) {
    const other = pick(random, last + 1);
    [out[last], out[other]] = [out[other] as T, out[last] as T];
  }
  return out;
}
