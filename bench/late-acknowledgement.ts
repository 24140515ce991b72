/**
 * What it costs to acknowledge late and in order, beside mqtt.js that acknowledges on receipt: CPU of this process a
 * message, from the session of a mosquitto of its own: `npx tsx bench/late-acknowledgement.ts`. Runs are interleaved; the
 * median counts. QoS 1 only: at QoS 2 mosquitto 2.0 gives more than the window, for which mqtt.js ends its connection.
 */
import { randomUUID } from 'node:crypto';
import mqtt from 'mqtt';
import { Counters } from '../nodes/lib/counters.js';
import { compileSettings } from '../nodes/lib/settings.js';
import { MqttBroker } from '../nodes/sluice-mqtt-broker/broker.js';
import { config, type Config } from '../nodes/sluice-mqtt-broker/config.js';
import { startOwnMosquitto } from '../test/servers/mosquitto.js';

const MESSAGES = 20_000;
const RUNS = 7;
const WINDOW = 1_000;
const PAYLOAD = JSON.stringify({ uuid: randomUUID(), value: 21.5, seq: 1 });

type Consume = (url: string, clientId: string, count: number) => Promise<() => Promise<unknown>>;

const consumers: Record<string, Consume> = {
  'mqtt.js, on receipt': async (url, clientId, count) => {
    const client = mqtt.connect(url, {
      protocolVersion: 5,
      clientId,
      clean: false,
      reconnectPeriod: 0,
      properties: { sessionExpiryInterval: 600, receiveMaximum: WINDOW },
    });
    let got = 0;
    await new Promise<void>((resolve) => {
      client.on('message', () => {
        if (++got === count) resolve();
      });
      client.once('connect', () => {
        client.subscribe(clientId, { qos: 1 }, () => {
          if (count === 0) resolve();
        });
      });
    });
    return () => client.endAsync();
  },
  'ours, late': async (url, clientId, count) => {
    const broker = new MqttBroker({
      id: 'bench',
      instance: 'bench',
      config: compileSettings<Config>(config).resolve({ url, clientId, protocol: '5' }, () => undefined),
      credentials: {},
      counters: new Counters(),
      status: () => undefined,
      log: () => undefined,
    });
    let got = 0;
    let open: (() => void)[] = [];
    await new Promise<void>((resolve) => {
      broker.subscribe({
        filters: [clientId],
        qos: 1,
        window: WINDOW,
        receive: (_publish, answer) => {
          // In another turn, the last first: as no sink would be kinder.
          if (open.push(answer) === 1) {
            setImmediate(() => {
              const batch = open.reverse();
              open = [];
              for (const settle of batch) settle();
            });
          }
          if (++got === count) resolve();
        },
        onState: ({ level }) => {
          if (level === 'ok' && count === 0) resolve();
        },
      });
      broker.start();
    });
    return () => broker.close();
  },
};

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const server = await startOwnMosquitto({ maxInflightMessages: 0 });
const cpu = new Map(Object.keys(consumers).map((name) => [name, [] as number[]]));
const rate = new Map(Object.keys(consumers).map((name) => [name, [] as number[]]));
for (let run = 0; run < RUNS; run++) {
  for (const [name, consume] of Object.entries(consumers)) {
    const clientId = randomUUID();
    await (
      await consume(server.url, clientId, 0)
    )();
    const publisher = await mqtt.connectAsync(server.url, { protocolVersion: 5 });
    for (let sent = 0; sent < MESSAGES; sent += 1_000) {
      await Promise.all(Array.from({ length: 1_000 }, () => publisher.publishAsync(clientId, PAYLOAD, { qos: 1 })));
    }
    await publisher.endAsync();
    const [before, start] = [process.cpuUsage(), performance.now()];
    const end = await consume(server.url, clientId, MESSAGES);
    await end();
    const { user, system } = process.cpuUsage(before);
    if (run === 0) continue; // to warm up
    cpu.get(name)?.push((user + system) / MESSAGES);
    rate.get(name)?.push((MESSAGES / (performance.now() - start)) * 1_000);
  }
}
const results = [...cpu].map(([name, values]) => ({ name, us: median(values), rate: median(rate.get(name) ?? []) }));
for (const { name, us, rate: perSecond } of results) {
  const ratio = us / (results[0]?.us ?? NaN);
  process.stdout.write(
    `${name}: ${us.toFixed(1)} µs of CPU a message (${ratio.toFixed(2)} ×), ${perSecond.toFixed(0)}/s\n`,
  );
}
await server.stop();
