/**
 * A document store that is away for a while, under load: the flow of bench/chaos on mosquitto, `sluice simulate` at a
 * steady rate, and the store killed by SIGKILL and started again. Prints, every few seconds, what each branch has taken,
 * the memory of the runtime and what is spooled; at the end, whether all is stored, and the backlog in order.
 *
 *     npx tsx bench/outage.ts [messages a second] [seconds away]
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { counted, MeasuredInstance, type State } from './lib/instance.js';

const RATE = Number(process.argv[2] ?? 2_000);
const AWAY_S = Number(process.argv[3] ?? 60);
const BEFORE_S = 10;
const AFTER_S = 20;
const DEVICES = 20;
const EVERY_S = 5;

const instance = await MeasuredInstance.start();
const total = RATE * (BEFORE_S + AWAY_S + AFTER_S);
const devices = instance.sluice([
  ...['simulate', '-b', instance.mqtt, '-n', String(DEVICES), '-r', String(RATE / DEVICES), '-q', '1'],
  ...['--count', String(total), '--seq', '--id', '--seed', 'outage', '--run', 'outage'],
]);
devices.stdout?.resume();
const begun = performance.now();
const elapsed = (): number => (performance.now() - begun) / 1_000;

let before = { at: 0, records: 0 };
async function print(phase: string): Promise<State> {
  const report = await instance.state();
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
      `memory ${(await instance.memory()).toFixed(0).padStart(4)} MiB`,
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
await instance.killStore();
await during(AWAY_S, 'store away');
await instance.startStore();
const back = elapsed();
if (devices.exitCode === null) await Promise.all([once(devices, 'exit'), during(AFTER_S, 'store back')]);
const client = instance.client();
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
await instance.stop();
process.exit(stored === total && disorder === 0 ? 0 : 1);
