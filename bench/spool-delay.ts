/**
 * What commits with an fsync do to the event loop, in its own thread and in the spool's: `npx tsx bench/spool-delay.ts [FOLDER]`.
 * A commit of 100 records of 500 bytes every 10 ms, 5 s each; beside them the loop without any, in the same run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { batchClock } from '../nodes/adapter/batch-clock.js';
import { SpoolFile } from '../nodes/lib/spool/file.js';
import { Spool } from '../nodes/lib/spool/spool.js';

const RUN_MS = 5_000;
const PAUSE_MS = 10;
const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'spool-delay-'));
const records = Array.from({ length: 100 }, (_item, number) => ({
  at: Date.now(),
  delivery: { number, source: 'bench' },
  body: new Uint8Array(500).fill(number),
}));
const limits = { maxBytes: 1e9, whenFull: 'block', rememberIdentities: 0 } as const;

async function measure(name: string, commit: () => object | Promise<unknown>): Promise<number> {
  await commit();
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  const took: number[] = [];
  histogram.enable();
  const end = performance.now() + RUN_MS;
  while (performance.now() < end) {
    const start = performance.now();
    await commit();
    took.push(performance.now() - start);
    await delay(PAUSE_MS);
  }
  histogram.disable();
  took.sort((a, b) => a - b);
  const [p50, p99] = [50, 99].map((percent) => histogram.percentile(percent) / 1e6);
  const [commit50, commit99] = [0.5, 0.99].map((part) => took[Math.floor(took.length * part)]);
  const ms = (value = NaN): string => value.toFixed(2);
  process.stdout.write(
    `${name}: loop delay p50 ${ms(p50)} ms, p99 ${ms(p99)} ms, most ${ms(histogram.max / 1e6)} ms; ` +
      `${took.length} commits, p50 ${ms(commit50)} ms, p99 ${ms(commit99)} ms\n`,
  );
  return p99 ?? NaN;
}

try {
  const none = await measure('no commits', () => Promise.resolve());
  const file = new SpoolFile({ file: join(folder, 'loop.sqlite'), ...limits }, Date.now, () => undefined);
  const inLoop = await measure('in the loop', () => file.append(records));
  file.close();
  const spool = await Spool.open({
    file: join(folder, 'thread.sqlite'),
    ...limits,
    clock: batchClock(),
    dropped: () => undefined,
    damaged: () => undefined,
  });
  const inThread = await measure('in a thread', () => Promise.all(records.map((record) => spool.append(record))));
  await spool.close();
  process.stdout.write(
    `p99 over that without commits: in the loop ${(inLoop / none).toFixed(1)} ×, in a thread ${(inThread / none).toFixed(1)} ×\n`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
