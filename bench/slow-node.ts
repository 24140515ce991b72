/**
 * A node that takes 30 s, with a keepalive of 5 s: the flow of bench/chaos with a function node that waits. Prints how
 * often the broker has lost the connection, and how many messages came twice.
 *
 *     npx tsx bench/slow-node.ts
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { counted, MeasuredInstance } from './lib/instance.js';

const COUNT = 20;
const HOLD_MS = 30_000;

for (const protocol of ['5', '3.1.1'] as const) {
  const instance = await MeasuredInstance.start((node) => {
    if (node.type === 'sluice-mqtt-broker') return { ...node, protocol, keepalive: 5 };
    if (node.type === 'mqtt-ingest') return { ...node, maxInFlight: 10 };
    if (node.type !== 'function') return node;
    return { ...node, func: `await new Promise((go) => setTimeout(go, ${HOLD_MS})); ${String(node['func'])}` };
  });
  const devices = instance.sluice([
    ...['simulate', '-b', instance.mqtt, '-n', '1', '-r', '100', '-q', '1', '--count', String(COUNT)],
    ...['--seq', '--ts', '--id', '--seed', 'slow'],
  ]);
  devices.stdout?.resume();
  await once(devices, 'exit');
  const begun = performance.now();
  let report = await instance.state();
  while (report.received < COUNT || report.inFlight > 0) {
    await delay(500);
    report = await instance.state();
    if (performance.now() - begun > 10 * HOLD_MS) throw new Error('a stall');
  }
  const lost = instance.log().match(/exceeded timeout|Socket error/g)?.length ?? 0;
  console.log(
    `MQTT ${protocol}: ${COUNT} messages, a window of 10, ${HOLD_MS / 1_000} s each, keepalive 5 s: ` +
      `${((performance.now() - begun) / 1_000).toFixed(0)} s, ${lost} connections lost, ` +
      `${report.received - COUNT} given again, ${report.abandoned} abandoned, ` +
      `${counted(report.nodes, 'mongo-sink', 'stored')} documents`,
  );
  await instance.stop();
}
process.exit(0);
