import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import {
  ConfigError,
  Counters,
  MESSAGE_ID,
  mqttUrlProblem,
  MqttBroker,
  Simulation,
  SimulationRunner,
  type SimulationSettings,
} from '@sluice/node-red/simulator';
import { finite, numbers, portNumber, positive, qos, wholeFrom } from './options.js';

interface SimulateOptions {
  readonly broker: string;
  readonly port: number;
  readonly rate: number;
  readonly qos: 0 | 1 | 2;
  readonly devices: number;
  readonly count: number;
  readonly seed: string;
  readonly run?: string;
  readonly topic: string;
  readonly model: SimulationSettings['model'];
  readonly minimum: number;
  readonly maximum: number;
  readonly step: number;
  readonly period: number;
  readonly values: readonly number[];
  readonly seq: boolean;
  readonly ts: boolean;
  readonly id: boolean;
  readonly protocol: 'auto' | '5' | '3.1.1';
  readonly json: boolean;
}

const PROGRESS_MS = 1_000;
const KEEPALIVE_S = 30;

export function simulateCommand(): Command {
  return new Command('simulate')
    .description("Publish as simulated devices: the article's device.py, for any number of devices.")
    .requiredOption('-b, --broker <host>', 'MQTT broker: a host, or a URL (mqtt, mqtts, ws, wss)')
    .option('-p, --port <number>', 'MQTT broker port, beside a host', portNumber, 1883)
    .option('-r, --rate <number>', 'messages a second, for each device', positive, 5)
    .option('-q, --qos <number>', 'MQTT QoS: 0, 1 or 2', qos, 0)
    .option('-n, --devices <number>', 'how many devices', wholeFrom(1), 1)
    .option('--count <number>', 'stop after this many messages in all; 0: no end', wholeFrom(0), 0)
    .option('--seed <text>', 'devices and values are the same for the same seed (default: new each time)', randomUUID())
    .option('--run <id>', 'part of each message id (default: new each time)')
    .option('--topic <template>', 'the topic, over {uuid} and {index}', 'device/{uuid}')
    .addOption(
      new Option('--model <name>', 'how values are made')
        .choices(['integer', 'uniform', 'constant', 'walk', 'sine', 'step', 'sequence'])
        .default('integer'),
    )
    .option('--minimum <number>', 'the lowest value', finite, 20)
    .option('--maximum <number>', 'the highest value', finite, 30)
    .option('--step <number>', 'the greatest change (walk), or each change (step)', positive, 1)
    .option('--period <seconds>', 'how long a sine takes', positive, 60)
    .option(
      '--values <numbers>',
      'the values of a sequence, or the one of a constant, with commas between',
      numbers,
      [20],
    )
    .option('--seq', 'add seq to the payload', false)
    .option('--ts', 'add ts to the payload', false)
    .option('--id', 'add id (the message id) to the payload', false)
    .addOption(new Option('--protocol <version>', 'MQTT version').choices(['auto', '5', '3.1.1']).default('auto'))
    .option('--json', 'print the totals as one line of JSON at the end, and nothing else', false)
    .addHelpText('after', '\nEnvironment:\n  SLUICE_MQTT_USER, SLUICE_MQTT_PASSWORD   the login at the broker')
    .action(simulate);
}

async function simulate(options: SimulateOptions, command: Command): Promise<void> {
  const { rate, devices, qos, json } = options;
  const run = options.run ?? randomUUID();
  const url = brokerUrl(options, command);
  const simulation = simulationOf(options, run, command);
  const say = (text: string): void => {
    if (!json) process.stderr.write(text);
  };
  const broker = new MqttBroker(brokerContext(url, options));
  const done = Promise.withResolvers<void>();
  const runner = new SimulationRunner(simulation, {
    rate: rate * devices,
    limit: options.count,
    deliver: ({ topic, payload, messageId }) =>
      broker.publish(topic, JSON.stringify(payload), {
        qos,
        properties: { contentType: 'application/json', userProperties: { [MESSAGE_ID]: messageId } },
      }),
    changed: () => {
      const { made, delivered, failed } = runner.totals;
      if (options.count > 0 && made >= options.count && delivered + failed === made) done.resolve();
    },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      done.resolve();
      process.once(signal, () => process.exit(130));
    });
  }

  broker.onState(({ level, text }) => {
    if (level === 'ok') runner.retry();
    if (level !== 'off') say(`\r${text}\n`);
  });

  const startedAt = performance.now();
  broker.start();
  runner.start();
  const progress = reportProgress(runner, say);
  await done.promise;
  await runner.stop(broker.disconnected());
  clearInterval(progress);
  await broker.close();

  const seconds = (performance.now() - startedAt) / 1_000;
  const { made, delivered, failed } = runner.totals;
  if (json)
    process.stdout.write(
      `${JSON.stringify({ made, published: delivered, failed, seconds: round(seconds), seed: options.seed, run })}\n`,
    );
  else {
    const ratePerSecond = round(delivered / seconds);
    process.stdout.write(
      `${made} made, ${delivered} published, ${failed} failed in ${round(seconds)} s (${ratePerSecond}/s)\n`,
    );
    process.stdout.write(`seed ${options.seed}, run ${run}\n`);
  }
  if (failed > 0) process.exitCode = 1;
}

/** The palette's own client, with its reconnecting and its window. */
function brokerContext(url: string, { protocol }: SimulateOptions): ConstructorParameters<typeof MqttBroker>[0] {
  return {
    id: 'simulate',
    instance: randomUUID(),
    config: {
      configVersion: 1,
      url,
      protocol,
      cleanStart: true,
      sessionExpiry: 0,
      keepalive: KEEPALIVE_S,
      verify: true,
      topicAliases: false,
      will: { payload: '', qos: 0, retain: false, delay: 0 },
    },
    credentials: {
      ...(process.env['SLUICE_MQTT_USER'] !== undefined && { user: process.env['SLUICE_MQTT_USER'] }),
      ...(process.env['SLUICE_MQTT_PASSWORD'] !== undefined && { password: process.env['SLUICE_MQTT_PASSWORD'] }),
    },
    counters: new Counters(),
    status: () => undefined,
    log: () => undefined,
  };
}

function reportProgress(runner: SimulationRunner, say: (text: string) => void): NodeJS.Timeout {
  let before = 0;
  return setInterval(() => {
    const { delivered, failed } = runner.totals;
    const line = `${delivered} published (${delivered - before}/s)${failed > 0 ? `, ${failed} failed` : ''}${runner.stalled ? ', waiting for the broker' : ''}`;
    before = delivered;
    say(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
  }, PROGRESS_MS);
}

function brokerUrl({ broker, port }: SimulateOptions, command: Command): string {
  const url = broker.includes('://') ? broker : `mqtt://${broker.includes(':') ? `[${broker}]` : broker}:${port}`;
  const problem = mqttUrlProblem(url);
  if (problem !== undefined) wrongOption(command, `--broker: ${problem}`);
  return url;
}

function simulationOf(options: SimulateOptions, run: string, command: Command): Simulation {
  try {
    return new Simulation({ ...options, values: [...options.values], messageId: options.id }, run);
  } catch (error) {
    if (error instanceof ConfigError) wrongOption(command, error.message.replace(/^\//, '--'));
    throw error;
  }
}

function wrongOption(command: Command, sentence: string): never {
  command.error(`error: ${sentence}`, { exitCode: 2 });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
