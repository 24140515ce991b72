import { setTimeout as delay } from 'node:timers/promises';
import { workersText } from '../runtime/fleet/report/node-report.js';
import { Load } from './lib/load.js';
import { interleave, medianOf, ratioOf, type Findings, type Options, type Subject } from './lib/question.js';
import { Servers } from './lib/servers.js';
import { pipelineFlow } from './lib/sluice-flow.js';
import { startSluice } from './pipeline/consumers.js';

const WORKERS = [1, 2, 4] as const;
const LOAD = { warmUp: 10_000, messages: 60_000 };
/** For each worker, less than half of its window. */
const OUTSTANDING = 450;
/** For every member to have its subscription. */
const SETTLE_MS = 2_000;
const FIGURES = ['CPU µs', 'messages/s', 'workers cores', 'broker cores', 'store cores', 'publisher cores'] as const;

/**
 * The same load on one, two and four workers behind one broker. What is busy says what ends it: a broker or a store with a
 * core to itself, or all cores together.
 */
export async function fleet(options: Options): Promise<Findings> {
  const subjects = new Map<string, Subject>(WORKERS.map((workers) => [workersText(workers), () => measure(workers)]));
  const runs = await interleave(subjects, options);
  const rows = [...subjects.keys()].map((subject) => [
    subject,
    ...FIGURES.map((figure) => medianOf(runs, subject, figure)),
    ratioOf(runs, subject, workersText(1), 'messages/s'),
  ]);
  return { table: [['', ...FIGURES, 'messages/s × 1 worker'], ...rows], goals: [], runs };
}

async function measure(workers: number): Promise<Readonly<Record<string, number>>> {
  const servers = await Servers.start();
  const flow = pipelineFlow({ qos: 1, branches: 1, objects: false });
  const instances = await startSluice(servers, flow, ['fleet', 'up', '-n', String(workers)]);
  const load = await Load.connect(servers.clock, {
    mqttUrl: servers.broker.url,
    qos: 1,
    devices: 100,
    bytes: 100,
    outstanding: OUTSTANDING * workers,
  });
  await load.untilConsumed();
  await delay(SETTLE_MS);
  await load.send(LOAD.warmUp);
  const before = { workers: instances.cpuUs, ...servers.cpuUs };
  const seconds = await load.send(LOAD.messages);
  const after = { workers: instances.cpuUs, ...servers.cpuUs };
  await load.end();
  await instances.stop();
  await servers.stop();
  const cores = (of: keyof typeof after): number => (after[of] - before[of]) / 1e6 / seconds;
  return {
    'CPU µs': (after.workers - before.workers) / LOAD.messages,
    'messages/s': LOAD.messages / seconds,
    'workers cores': cores('workers'),
    'broker cores': cores('broker'),
    'store cores': cores('store'),
    'publisher cores': cores('publisher'),
  };
}
