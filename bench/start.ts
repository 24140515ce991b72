import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MeasuredProcess } from './lib/process.js';
import { interleave, medianOf, type Findings, type Options, type Subject } from './lib/question.js';
import { SLUICE } from './lib/servers.js';

const root = join(import.meta.dirname, '..');
/** For what a start has left to do. */
const SETTLE_MS = 5_000;
const FIGURES = ['ready s', 'idle MB', 'idle MB of the instance'] as const;

/**
 * From the command until it says that it is ready, and what it holds when nothing happens: our default flow with its
 * embedded broker and store, and Node-RED as it is installed, with an empty flow.
 */
export async function start(options: Options): Promise<Findings> {
  const subjects = new Map<string, Subject>([
    ['stock Node-RED', () => measure(startNodeRed)],
    ['sluice start', () => measure(startDefault)],
  ]);
  const runs = await interleave(subjects, options);
  const ready = medianOf(runs, 'sluice start', 'ready s');
  const rows = [...subjects.keys()].map((name) => [name, ...FIGURES.map((figure) => medianOf(runs, name, figure))]);
  return {
    table: [['', ...FIGURES], ...rows],
    goals: [{ name: 'ready', got: ready, wants: 'at most', limit: 3, unit: ' s' }],
    runs,
  };
}

async function measure(begin: (folder: string) => Promise<MeasuredProcess>): Promise<Readonly<Record<string, number>>> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const begun = performance.now();
  const started = await begin(folder);
  const ready = (performance.now() - begun) / 1_000;
  await delay(SETTLE_MS);
  const figures = {
    'ready s': ready,
    'idle MB': started.residentMb,
    'idle MB of the instance': started.residentMbOfLargest,
  };
  await started.stop();
  rmSync(folder, { recursive: true, force: true });
  return figures;
}

async function startDefault(folder: string): Promise<MeasuredProcess> {
  const ports = ['--port', '0', '--mqtt-port', '0', '--mongodb-port', '0'];
  const parameters = [SLUICE, 'start', '--json', '--user-dir', join(folder, 'user'), ...ports];
  const started = new MeasuredProcess(process.execPath, parameters);
  await started.line();
  return started;
}

async function startNodeRed(folder: string): Promise<MeasuredProcess> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'flows.json'), '[]');
  const settings = { flowFile: 'flows.json', uiHost: '127.0.0.1', uiPort: 0 };
  writeFileSync(join(folder, 'settings.js'), `module.exports = ${JSON.stringify(settings)};`);
  const program = join(root, 'node_modules/node-red/red.js');
  const started = new MeasuredProcess(process.execPath, [program, '--userDir', folder]);
  await started.line((line) => line.includes('Started flows'));
  return started;
}
