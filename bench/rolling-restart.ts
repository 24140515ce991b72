/**
 * A rolling restart of a fleet under load: the editor instance and N workers on mosquitto, `sluice simulate` at a steady
 * rate, and `sluice fleet restart`. Prints what was stored a second, before and meanwhile, and at the end whether all is
 * stored. Exit code 1 when something is missing, or in any 5 s less was stored than 0.9 × (N − 1) / N of before.
 *
 *     npx tsx bench/rolling-restart.ts [workers] [messages a second]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { GATEWAY, TestFleet } from '../test/fleet/fleet.js';
import { Simulation } from '../test/fleet/simulation.js';
import { startOwnMosquitto } from '../test/servers/mosquitto.js';
import { temporaryFolder } from '../test/sluice.js';

const WORKERS = Number(process.argv[2] ?? 4);
const RATE = Number(process.argv[3] ?? 600);
const BEFORE_S = 20;
const WINDOW_S = 5;
const LOOK_MS = 200;
const SHARE = 0.9;

interface Sample {
  /** Seconds. */
  readonly at: number;
  readonly stored: number;
}

const folder = temporaryFolder();
const broker = await startOwnMosquitto();
const fleet = await TestFleet.up(folder.path, broker.url, [GATEWAY, '-n', String(WORKERS)]);
const client = new MongoClient(fleet.ready.mongodb);
const devices = client.db('mongogw').collection('devices');
const stream = new Simulation({ mqtt: broker.url, folder: folder.path, count: 0, rate: RATE });

/** What is stored, from when the first is until something has happened. */
async function watch(until: Promise<unknown>): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  const over = new AbortController();
  void until.finally(() => over.abort());
  while (!over.signal.aborted) {
    samples.push({ at: performance.now() / 1_000, stored: await devices.estimatedDocumentCount() });
    await delay(LOOK_MS);
  }
  return samples;
}

/** Over each stretch of so long that the samples have. */
function ratesOf(samples: readonly Sample[]): number[] {
  return samples.flatMap((first) => {
    const last = samples.find(({ at }) => at >= first.at + WINDOW_S);
    return last === undefined ? [] : [(last.stored - first.stored) / (last.at - first.at)];
  });
}

function shown(rates: readonly number[]): string {
  return `${Math.min(...rates).toFixed(0)}–${Math.max(...rates).toFixed(0)}/s over ${WINDOW_S} s`;
}

while ((await devices.estimatedDocumentCount()) === 0) await delay(LOOK_MS);
const calm = await watch(delay(BEFORE_S * 1_000));
const restart = fleet.done('restart');
// The end of the last one's absence is in a stretch that begins before it.
const meanwhile = await watch(restart.then(() => delay(WINDOW_S * 1_000)));
stream.end();
const { made } = await stream.published();
const { stored, missing, twice } = await stream.verified(fleet.ready.mongodb);
const { balanced, dangers } = await fleet.status();

const [begin, end] = [calm[0], calm.at(-1)];
const before = ((end?.stored ?? 0) - (begin?.stored ?? 0)) / ((end?.at ?? 0) - (begin?.at ?? 0));
const limit = SHARE * before * ((WORKERS - 1) / WORKERS);
const lowest = Math.min(...ratesOf(meanwhile));
const seconds = (meanwhile.at(-1)?.at ?? 0) - (meanwhile[0]?.at ?? 0) - WINDOW_S;
console.log(`before: ${before.toFixed(0)}/s stored (${shown(ratesOf(calm))})`);
console.log(`${await restart} in ${seconds.toFixed(0)} s: ${shown(ratesOf(meanwhile))}, limit ${limit.toFixed(0)}/s`);
console.log(`${stored} of ${made} stored, ${missing.count} missing, ${twice.count} twice`);
console.log(
  `the instances that run: ${balanced ? 'balanced' : 'NOT balanced'}${dangers.map((one) => `; ${one}`).join('')}`,
);
const kept = missing.count === 0 && twice.count === 0 && balanced && lowest >= limit;
await client.close();
await fleet.done('down');
await broker.stop();
folder.remove();
process.exit(kept ? 0 : 1);
