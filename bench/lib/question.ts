/** What every question of the benchmark is made of: paired runs, medians, a table, goals. */

export interface Options {
  /** How often each is measured. All are measured once before any is measured again. */
  readonly runs: number;
  /** Part of the names of those that are measured; empty for all. */
  readonly only: string;
  readonly progress: (line: string) => void;
}

/** What is expected of a figure. */
export interface Goal {
  readonly name: string;
  readonly got: number;
  readonly limit: number;
  readonly wants: 'at most' | 'at least';
  readonly unit: string;
}

export interface Findings {
  /** The first row is the heading. */
  readonly table: readonly (readonly (string | number)[])[];
  readonly goals: readonly Goal[];
  /** Every run, not only the medians. */
  readonly runs: readonly object[];
}

export type Question = (options: Options) => Promise<Findings>;

/** What is measured, and how. @returns figures by name */
export type Subject = () => Promise<Readonly<Record<string, number>>>;

export interface Run {
  readonly subject: string;
  readonly run: number;
  readonly figures: Readonly<Record<string, number>>;
}

/** Runs all subjects, interleaved, so that what changes on the machine meanwhile meets each of them. */
export async function interleave(
  subjects: ReadonlyMap<string, Subject>,
  { runs, only, progress }: Options,
): Promise<readonly Run[]> {
  const all: Run[] = [];
  for (let run = 1; run <= runs; run++) {
    for (const [subject, measure] of subjects) {
      if (!subject.includes(only)) continue;
      const figures = await measure();
      all.push({ subject, run, figures });
      const shown = Object.entries(figures).map(([name, value]) => `${name} ${rounded(value)}`);
      progress(`${subject}, run ${run} of ${runs}: ${shown.join(', ')}`);
    }
  }
  return all;
}

/** The median of a figure over the runs of a subject. */
export function medianOf(runs: readonly Run[], subject: string, figure: string): number {
  return median(runs.filter((run) => run.subject === subject).map(({ figures }) => figures[figure] ?? NaN));
}

/**
 * The median of the ratios of paired runs: what slowed the machine in one of them slowed both.
 *
 * @param of - `[subject, figure]`
 */
export function ratioOf(runs: readonly Run[], of: string, to: string, figure: string): number {
  const values = (subject: string): number[] =>
    runs.filter((run) => run.subject === subject).map(({ figures }) => figures[figure] ?? NaN);
  const base = values(to);
  return median(values(of).map((value, index) => value / (base[index] ?? NaN)));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] ?? NaN;
  return ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Three figures are as many as a run repeats. */
export function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/** A goal of subjects that were not measured is neither met nor missed: NaN. */
export function isMet({ got, limit, wants }: Goal): boolean {
  return wants === 'at most' ? got <= limit : got >= limit;
}
