import { setTimeout as delay } from 'node:timers/promises';
import { startSluice } from './pipeline/consumers.js';
import { throughput } from './lib/measure.js';
import { Load } from './lib/load.js';
import { interleave, medianOf, type Findings, type Options } from './lib/question.js';
import { Servers } from './lib/servers.js';
import { pipelineFlow } from './lib/sluice-flow.js';

const MESSAGES = 300_000;
const STEADY = { warmUp: 10_000, messages: 60_000 };
const DRAIN_LIMIT_MS = 300_000;
const LOOK_MS = 50;

/**
 * Messages that come at once while the store is away: they go to the spool, and from there to the store when it is back.
 * The baseline is the rate of the same instance before, from the broker to the store.
 */
export async function burst(options: Options): Promise<Findings> {
  const runs = await interleave(new Map([['burst', measure]]), options);
  const of = (figure: string): number => medianOf(runs, 'burst', figure);
  const figures = Object.keys(runs[0]?.figures ?? {});
  return {
    table: [
      ['', ...figures],
      [`${MESSAGES.toLocaleString('en')} messages`, ...figures.map(of)],
    ],
    goals: [
      { name: 'peak memory of the instance', got: of('peak MB'), wants: 'at most', limit: 300, unit: ' MB' },
      { name: 'drain to steady rate', got: of('drain/s') / of('steady/s'), wants: 'at least', limit: 0.8, unit: ' ×' },
    ],
    runs,
  };
}

async function measure(): Promise<Readonly<Record<string, number>>> {
  const servers = await Servers.start();
  const { clock, broker } = servers;
  const instance = await startSluice(servers, pipelineFlow({ qos: 1, branches: 1, objects: false }));
  const load = await Load.connect(clock, { mqttUrl: broker.url, qos: 1, devices: 100, bytes: 100 });
  await load.untilConsumed();
  const { 'messages/s': steady } = await throughput(instance, load, STEADY);
  await servers.killStore();
  const begun = performance.now();
  await load.flood(MESSAGES);
  const taken = performance.now();
  const stored = clock.stored;
  await servers.restartStore();
  const restarted = performance.now();
  while (clock.stored - stored < MESSAGES) {
    if (performance.now() - restarted > DRAIN_LIMIT_MS) {
      throw new Error(`expected ${MESSAGES} documents to be stored, got ${clock.stored - stored} in time`);
    }
    await delay(LOOK_MS);
  }
  const drained = performance.now();
  const peak = instance.peakMbOfLargest;
  await load.end();
  await instance.stop();
  await servers.stop();
  return {
    'steady/s': steady,
    'taken/s': (MESSAGES / (taken - begun)) * 1_000,
    'drain s': (drained - restarted) / 1_000,
    'drain/s': (MESSAGES / (drained - restarted)) * 1_000,
    'peak MB': peak,
  };
}
