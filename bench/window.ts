/**
 * What small windows cost, with both sinks: the flow of bench/chaos on mosquitto over MQTT 3.1.1, where the broker decides
 * how many messages may be unacknowledged, and over MQTT 5. Prints messages a second, and as a ratio to the widest window.
 *
 *     npx tsx bench/window.ts [messages]
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { MeasuredInstance } from './lib/instance.js';

const COUNT = Number(process.argv[2] ?? 20_000);
const LIMIT_MS = 240_000;

async function rate(protocol: '3.1.1' | '5', window: number): Promise<number> {
  const instance = await MeasuredInstance.start((node) => {
    if (node.type === 'sluice-mqtt-broker') return { ...node, protocol };
    return node.type === 'mqtt-ingest' ? { ...node, maxInFlight: window } : node;
  });
  const begun = performance.now();
  const devices = instance.sluice([
    ...['simulate', '-b', instance.mqtt, '-n', '100', '-r', '1000', '-q', '1', '--count', String(COUNT)],
    ...['--seq', '--ts', '--id', '--seed', 'window'],
  ]);
  devices.stdout?.resume();
  const published = once(devices, 'exit');
  for (;;) {
    await delay(100);
    const { received, inFlight, balanced } = await instance.state();
    if (received >= COUNT && inFlight === 0) {
      if (!balanced) throw new Error('the ledger does not balance');
      break;
    }
    if (performance.now() - begun > LIMIT_MS) throw new Error(`a stall: ${received} received, ${inFlight} in flight`);
  }
  const seconds = (performance.now() - begun) / 1_000;
  await published;
  await instance.stop();
  return COUNT / seconds;
}

const wide = await rate('5', 1_000);
console.log(`MQTT 5, window 1,000: ${wide.toFixed(0)} messages/s`);
for (const [protocol, window] of [
  ['5', 20],
  ['3.1.1', 20],
] as const) {
  const narrow = await rate(protocol, window);
  console.log(
    `MQTT ${protocol}, window ${window}: ${narrow.toFixed(0)} messages/s, ${(narrow / wide).toFixed(2)} × that of 1,000`,
  );
}
process.exit(0);
