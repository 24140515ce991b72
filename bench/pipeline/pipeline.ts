import { latency, throughput } from '../lib/measure.js';
import { Load } from '../lib/load.js';
import { interleave, medianOf, ratioOf, type Findings, type Options, type Subject } from '../lib/question.js';
import { Servers } from '../lib/servers.js';
import { bare, python, sluice, sluiceWithObjects, stockNodeRed, type Consumer } from './consumers.js';

const FAST = { warmUp: 10_000, messages: 60_000 };
const SLOW = { warmUp: 2_000, messages: 10_000 };

const consumers: readonly { name: string; start: Consumer; messages: { warmUp: number; messages: number } }[] = [
  { name: 'bare script', start: bare, messages: FAST },
  { name: 'stock Node-RED', start: stockNodeRed, messages: SLOW },
  { name: "article's gateway", start: python, messages: SLOW },
  { name: 'Sluice', start: sluice, messages: FAST },
  { name: 'Sluice, and objects', start: sluiceWithObjects, messages: FAST },
];
const FIGURES = ['CPU µs', 'messages/s', 'p50 ms', 'p95 ms', 'p99 ms', 'peak MB'] as const;

/**
 * Publisher → mosquitto → consumer → store. The stock flow and the article's gateway acknowledge on receipt; the others
 * when the message is stored.
 */
export async function pipeline(options: Options): Promise<Findings> {
  const subjects = new Map<string, Subject>();
  for (const qos of [0, 1, 2] as const) {
    for (const { name, start, messages } of consumers) {
      subjects.set(`${name}, QoS ${qos}`, async () => {
        const servers = await Servers.start();
        const consumer = await start(servers, qos);
        const load = await Load.connect(servers.clock, { mqttUrl: servers.broker.url, qos, devices: 100, bytes: 100 });
        await load.untilConsumed();
        const figures = { ...(await throughput(consumer, load, messages)), ...(await latency(load)) };
        const peak = consumer.peakMb;
        await load.end();
        await consumer.stop();
        await servers.stop();
        return { ...figures, 'peak MB': peak };
      });
    }
  }
  const runs = await interleave(subjects, options);
  const goals = ([0, 1, 2] as const).flatMap((qos) => {
    const cpu = (of: string, to: string): number => ratioOf(runs, `${of}, QoS ${qos}`, `${to}, QoS ${qos}`, 'CPU µs');
    return [
      goal(`Sluice to bare script, CPU, QoS ${qos}`, cpu('Sluice', 'bare script'), 'at most', 1.5),
      goal(`stock Node-RED to Sluice, CPU, QoS ${qos}`, cpu('stock Node-RED', 'Sluice'), 'at least', 7),
      goal(
        `Sluice with objects to bare script, CPU, QoS ${qos}`,
        cpu('Sluice, and objects', 'bare script'),
        'at most',
        2,
      ),
    ];
  });
  const table = [
    ['consumer', ...FIGURES],
    ...[...subjects.keys()].map((name) => [name, ...FIGURES.map((figure) => medianOf(runs, name, figure))]),
  ];
  return { table, goals, runs };
}

function goal(name: string, got: number, wants: 'at most' | 'at least', limit: number): Findings['goals'][number] {
  return { name, got, wants, limit, unit: ' ×' };
}
