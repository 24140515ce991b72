import { setTimeout as delay } from 'node:timers/promises';
import type { Load } from './load.js';
import type { MeasuredProcess } from './process.js';
import { quantile } from './question.js';

const PACED_PER_SECOND = 1_000;
const PACED_MESSAGES = 3_000;
/** Less than this share of a core is rest. */
const IDLE = 0.05;
const LOOK_MS = 200;

/** What a message costs a consumer, at the rate that it can take: CPU of its processes, and messages a second. */
export async function throughput(
  consumer: MeasuredProcess,
  load: Load,
  { warmUp, messages }: { readonly warmUp: number; readonly messages: number },
): Promise<{ readonly 'CPU µs': number; readonly 'messages/s': number }> {
  await load.send(warmUp);
  const before = await whenIdle(consumer);
  const seconds = await load.send(messages);
  const after = await whenIdle(consumer);
  return { 'CPU µs': (after - before) / messages, 'messages/s': messages / seconds };
}

/** From when a message is published until it is stored, at 1,000 a second, in milliseconds. */
export async function latency(load: Load): Promise<Readonly<Record<'p50 ms' | 'p95 ms' | 'p99 ms', number>>> {
  const latencies = await load.sendPaced(PACED_MESSAGES, PACED_PER_SECOND);
  return {
    'p50 ms': quantile(latencies, 0.5),
    'p95 ms': quantile(latencies, 0.95),
    'p99 ms': quantile(latencies, 0.99),
  };
}

/** When it has done what was still to do behind the store's answers. @returns its CPU time in µs */
async function whenIdle(consumer: MeasuredProcess): Promise<number> {
  let [cpu, at] = [consumer.cpuUs, performance.now()];
  for (;;) {
    await delay(LOOK_MS);
    const [now, then] = [consumer.cpuUs, performance.now()];
    if (now - cpu < (then - at) * 1_000 * IDLE) return now;
    [cpu, at] = [now, then];
  }
}
