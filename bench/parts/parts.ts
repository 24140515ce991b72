import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { median, type Findings, type Goal, type Options, type Run } from '../lib/question.js';
import { filterPart } from './filter.js';
import { objectsPart } from './objects.js';
import { measurePart, ratio, type Part } from './part.js';
import { routerPart } from './router.js';
import { simulatorPart } from './simulator.js';
import { spoolPart } from './spool.js';

/** What each part costs by itself: CPU µs a message or record, beside the least that would do the same. */
export async function parts({ runs, only, progress }: Options): Promise<Findings> {
  const rows: (string | number)[][] = [];
  const goals: Goal[] = [];
  const all: Run[] = [];
  const note = (name: string, figures: ReadonlyMap<string, readonly number[]>): void => {
    for (const [way, values] of figures) {
      rows.push([name, way, median(values), ratio(figures, way)]);
      all.push(
        ...values.map((value, run) => ({ subject: `${name}: ${way}`, run: run + 1, figures: { 'CPU µs': value } })),
      );
    }
    progress(`${name}: ${[...figures].map(([way, values]) => `${way} ${median(values).toFixed(2)} µs`).join(', ')}`);
  };
  if ('delivery hooks'.includes(only)) note('delivery hooks', deliveryPaths(runs));
  const measured: readonly Part[] = [filterPart, routerPart, await spoolPart(), objectsPart, simulatorPart];
  for (const part of measured) {
    if (part.name.includes(only)) {
      const figures = await measurePart(part, runs);
      note(part.name, figures);
      goals.push(...(part.goals?.((way) => median(figures.get(way) ?? [])) ?? []));
    }
    await part.end?.();
  }
  return { table: [['part', 'way', 'CPU µs', '× the first'], ...rows], goals, runs: all };
}

/** Five hops in a real Node-RED, which there can be once in a process. */
function deliveryPaths(runs: number): ReadonlyMap<string, readonly number[]> {
  const program = join(import.meta.dirname, 'delivery-process.ts');
  const { stdout, status } = spawnSync(process.execPath, ['--import', 'tsx', program, String(runs)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`expected the figures of ${program}, got exit code ${String(status)}`);
  const line = stdout.trim().split('\n').at(-1) ?? '';
  return new Map(Object.entries(JSON.parse(line) as Record<string, number[]>));
}
