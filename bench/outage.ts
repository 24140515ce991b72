/**
 * A document store that is away for a while, under load: the flow of bench/chaos on mosquitto, `sluice simulate` at a
 * steady rate, and the store killed by SIGKILL and started again. Prints, every few seconds, what each branch has taken,
 * the memory of the runtime and what is spooled; at the end, whether all is stored, and the backlog in order.
 *
 *     npx tsx bench/outage.ts [messages a second] [seconds away]
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import type { LedgerReport } from '../nodes/adapter/ledger-report.js';
import { startOwnMosquitto } from '../test/servers/mosquitto.js';
import { freePort } from '../test/servers/server.js';

const RATE = Number(process.argv[2] ?? 2_000);
const AWAY_S = Number(process.argv[3] ?? 60);
const BEFORE_S = 10;
const AFTER_S = 20;
const DEVICES = 20;
const EVERY_S = 5;

const root = join(import.meta.dirname, '..');
const bin = join(root, 'runtime/bin/sluice.js');
const folder = mkdtempSync(join(tmpdir(), 'sluice-outage-'));
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function sluice(parameters: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn(process.execPath, [bin, ...parameters], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = (await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')) as [string];
  return line;
}

const broker = await startOwnMosquitto();
const mqtt = `mqtt://127.0.0.1:${broker.port}`;
const storePort = await freePort();
const uri = `mongodb://127.0.0.1:${storePort}/outage`;
const startStore = async (): Promise<ChildProcess> => {
  const store = sluice(['store', '--dir', join(folder, 'store'), '--port', String(storePort), '--json']);
  await firstLine(store);
  return store;
};
let store = await startStore();

// Without its own devices: the same come from outside.
const flow = JSON.parse(readFileSync(join(root, 'bench/chaos/sluice.json'), 'utf8')) as { type: string }[];
const flowFile = join(folder, 'flow.json');
writeFileSync(flowFile, JSON.stringify(flow.filter(({ type }) => type !== 'device-simulator')));
const runtime = sluice(['start', flowFile, '--json', '--user-dir', join(folder, 'user'), '--port', '0'], {
  MQTT_URL: mqtt,
  MONGODB_URI: uri,
  S3_URL: `file://${join(folder, 'objects')}`,
});
const { editor } = JSON.parse(await firstLine(runtime)) as { editor: string };

interface State extends LedgerReport {
  readonly nodes: readonly { readonly type: string; readonly counters: Readonly<Record<string, number>> }[];
}
const state = async (): Promise<State> => (await (await fetch(`${editor}sluice/ledger`)).json()) as State;
const memory = async (): Promise<number> => {
  const text = await (await fetch(`${editor}sluice/metrics`)).text();
  return Number(/^process_resident_memory_bytes\{[^}]*\} (\S+)$/m.exec(text)?.[1]) / 1024 / 1024;
};
const counted = (nodes: State['nodes'], type: string, name: string): number =>
  nodes.filter((node) => node.type === type).reduce((sum, { counters }) => sum + (counters[name] ?? 0), 0);

const total = RATE * (BEFORE_S + AWAY_S + AFTER_S);
const devices = sluice([
  ...['simulate', '-b', mqtt, '-n', String(DEVICES), '-r', String(RATE / DEVICES), '-q', '1'],
  ...['--count', String(total), '--seq', '--id', '--seed', 'outage', '--run', 'outage'],
]);
devices.stdout?.resume();
const begun = performance.now();
const elapsed = (): number => (performance.now() - begun) / 1_000;

let before = { at: 0, records: 0 };
async function print(phase: string): Promise<State> {
  const report = await state();
  const records = counted(report.nodes, 's3-sink', 'received');
  const rate = (records - before.records) / (elapsed() - before.at);
  before = { at: elapsed(), records };
  const documents = counted(report.nodes, 'mongo-sink', 'stored');
  console.log(
    [
      `${elapsed().toFixed(0).padStart(4)} s  ${phase.padEnd(10)}`,
      `objects ${records.toLocaleString('en').padStart(9)} taken (${rate.toFixed(0).padStart(5)}/s)`,
      `documents ${documents.toLocaleString('en').padStart(9)} stored`,
      `spooled ${counted(report.nodes, 'mongo-sink', 'spooled').toLocaleString('en').padStart(9)}`,
      `in flight ${String(report.inFlight).padStart(5)}`,
      `memory ${(await memory()).toFixed(0).padStart(4)} MiB`,
      report.balanced ? 'balanced' : `gap ${report.gap}`,
    ].join('  '),
  );
  return report;
}
async function during(seconds: number, phase: string): Promise<void> {
  const end = elapsed() + seconds;
  while (elapsed() < end) {
    await delay(Math.min(EVERY_S, end - elapsed()) * 1_000);
    await print(phase);
  }
}

await during(BEFORE_S, 'all there');
store.kill('SIGKILL');
await once(store, 'exit');
await during(AWAY_S, 'store away');
store = await startStore();
const back = elapsed();
if (devices.exitCode === null) await Promise.all([once(devices, 'exit'), during(AFTER_S, 'store back')]);
const client = new MongoClient(uri);
const documents = client
  .db()
  .collection<{ _id: string; payload?: { seq?: number }; seq?: number; uuid?: string }>('devices');
let stored = 0;
while (stored < total && elapsed() < back + 300) {
  await delay(1_000);
  stored = await documents.countDocuments();
}
await print('drained');
console.log(
  `${total.toLocaleString('en')} sent, ${stored.toLocaleString('en')} documents, ${(elapsed() - back).toFixed(0)} s after the store was back`,
);

// In the order of insertion. What came while the store was away is the backlog; fresh ones go beside it.
const seen = new Map<string, number>();
let disorder = 0;
const perDevice = total / DEVICES;
const [from, to] = [
  ((BEFORE_S + 3) / (total / RATE)) * perDevice,
  ((BEFORE_S + AWAY_S - 3) / (total / RATE)) * perDevice,
];
for await (const document of documents.find()) {
  const [, device = '', number = ''] = /^(.*):(\d+)$/.exec(document._id) ?? [];
  const seq = Number(number);
  if (seq < from || seq > to) continue;
  if (seq < (seen.get(device) ?? 0)) disorder++;
  seen.set(device, seq);
}
console.log(`backlog of ${seen.size} devices: ${disorder} documents out of order`);
await client.close();
runtime.kill('SIGTERM');
await once(runtime, 'exit');
store.kill('SIGTERM');
await once(store, 'exit');
await broker.stop();
process.exit(stored === total && disorder === 0 ? 0 : 1);
