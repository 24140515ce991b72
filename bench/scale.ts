import { startSluice } from './pipeline/consumers.js';
import { throughput } from './lib/measure.js';
import { Load } from './lib/load.js';
import { interleave, medianOf, ratioOf, type Findings, type Options, type Subject } from './lib/question.js';
import { Servers } from './lib/servers.js';
import { pipelineFlow } from './lib/sluice-flow.js';

interface Shape {
  readonly devices: number;
  readonly bytes: number;
  readonly branches: number;
}

const BASE: Shape = { devices: 100, bytes: 100, branches: 1 };
const BASE_NAME = '100 devices, 100 B, 1 branch';
const SHAPES: ReadonlyMap<string, Shape> = new Map([
  [BASE_NAME, BASE],
  ['10 devices', { ...BASE, devices: 10 }],
  ['1,000 devices', { ...BASE, devices: 1_000 }],
  ['10,000 devices', { ...BASE, devices: 10_000 }],
  ['1 kB', { ...BASE, bytes: 1_000 }],
  ['10 kB', { ...BASE, bytes: 10_000 }],
  ['4 branches', { ...BASE, branches: 4 }],
  ['16 branches', { ...BASE, branches: 16 }],
]);
/** Documents of a run. */
const DOCUMENTS = 40_000;
const FIGURES = ['CPU µs', 'messages/s', 'peak MB'] as const;

/** How the cost of a message grows, one dimension at a time; the baseline is the first line. */
export async function scale(options: Options): Promise<Findings> {
  const subjects = new Map<string, Subject>([...SHAPES].map(([name, shape]) => [name, () => measure(shape)]));
  const runs = await interleave(subjects, options);
  const rows = [...subjects.keys()].map((name) => [
    name,
    ...FIGURES.map((figure) => medianOf(runs, name, figure)),
    ratioOf(runs, name, BASE_NAME, 'CPU µs'),
  ]);
  return { table: [['', ...FIGURES, '× the first'], ...rows], goals: [], runs };
}

async function measure({ devices, bytes, branches }: Shape): Promise<Readonly<Record<string, number>>> {
  const servers = await Servers.start();
  const instance = await startSluice(servers, pipelineFlow({ qos: 1, branches, objects: false }));
  const load = await Load.connect(servers.clock, {
    mqttUrl: servers.broker.url,
    qos: 1,
    devices,
    bytes,
    copies: branches,
  });
  await load.untilConsumed();
  const messages = Math.max(5_000, DOCUMENTS / branches);
  const figures = await throughput(instance, load, { warmUp: messages / 4, messages });
  const peak = instance.peakMbOfLargest;
  await load.end();
  await instance.stop();
  await servers.stop();
  return { ...figures, 'peak MB': peak };
}
