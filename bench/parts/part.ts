import { median, type Goal } from '../lib/question.js';

/** One way to do a thing so many times. */
export type Work = (times: number) => void | Promise<unknown>;

/** A part of Sluice, and what it is measured against. */
export interface Part {
  readonly name: string;
  /** How often it is done in a run. */
  readonly times: number;
  /** By name; the first is the baseline. */
  readonly ways: Readonly<Record<string, Work>>;
  goals?(us: (way: string) => number): readonly Goal[];
  end?(): Promise<unknown>;
}

/** CPU µs of this process for one time, of each way and run. */
export async function measurePart({ times, ways }: Part, runs: number): Promise<ReadonlyMap<string, number[]>> {
  const figures = new Map<string, number[]>(Object.keys(ways).map((way) => [way, []]));
  for (let run = 0; run <= runs; run++) {
    for (const [way, work] of Object.entries(ways)) {
      const before = process.cpuUsage();
      await work(times);
      const { user, system } = process.cpuUsage(before);
      if (run > 0) figures.get(way)?.push((user + system) / times); // the first warms up
    }
  }
  return figures;
}

/** The median of what each paired run says of a way, beside the first way. */
export function ratio(figures: ReadonlyMap<string, readonly number[]>, way: string): number {
  const [base = []] = figures.values();
  return median((figures.get(way) ?? []).map((value, index) => value / (base[index] ?? NaN)));
}
