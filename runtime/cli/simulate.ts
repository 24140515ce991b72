import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { messageOf, Publisher, SimulationRunner, type MqttBroker } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import { ManifestFile } from '../verify/manifest.js';
import { reportText } from '../verify/report.js';
import { Tally } from '../verify/tally.js';
import {
  addFault,
  finite,
  notNegative,
  numbers,
  portNumber,
  positive,
  qos,
  wholeFrom,
  type FaultShare,
} from './options.js';
import { brokerOf, simulationOf, type DeviceOptions } from './simulation.js';
import { findingsJson, readBack, sinkOf, withVerifyOptions, type VerifyOptions } from './verify.js';

interface SimulateOptions extends DeviceOptions, VerifyOptions {
  readonly qos: 0 | 1 | 2;
  readonly ramp: number;
  readonly count: number;
  readonly connectWithin: number;
  readonly run?: string;
  readonly manifest?: string;
  readonly verify?: string;
  readonly json: boolean;
}

const PROGRESS_MS = 1_000;
const NO_FAULTS: FaultShare[] = [];

const HELP = `
Faults, as a share of the messages (clock-skew: of the devices). A message has one at most, and says which in the MQTT 5
user property "fault":
  malformed      bytes that are no JSON
  missing-field  without a field that it must have
  out-of-range   a number beyond its limits
  duplicate      the same message again, with the same id
  gap            a sequence number is skipped
  reorder        overtaken by the device's next message
  late           its ts lies --late-by seconds in the past (with --ts)
  clock-skew     the device's clock is --skew seconds ahead or behind (with --ts)
  disconnect     published over a connection of its own, which breaks before the answer, comes back and publishes it again

Exit code 0: all that was made is published, and with --verify stored, and nothing else; 1: not so; 2: a wrong option.

Environment:
  SLUICE_MQTT_USER, SLUICE_MQTT_PASSWORD         the login at the broker
  SLUICE_MONGODB_USER, SLUICE_MONGODB_PASSWORD   the login at a MongoDB server to verify
  AWS_ACCESS_KEY_ID, …                           of a bucket to verify: the AWS SDK's own chain`;

export function simulateCommand(): Command {
  const command = new Command('simulate')
    .description("Publish as simulated devices: the article's device.py, for any number of devices.")
    .requiredOption('-b, --broker <host>', 'MQTT broker: a host, or a URL (mqtt, mqtts, ws, wss)')
    .option('-p, --port <number>', 'MQTT broker port, beside a host', portNumber, 1883)
    .option('-r, --rate <number>', 'messages a second, for each device', positive, 5)
    .option('-q, --qos <number>', 'MQTT QoS: 0, 1 or 2', qos, 0)
    .option('-n, --devices <number>', 'how many devices', wholeFrom(1), 1)
    .option('--ramp <seconds>', 'start the devices one after the other, over so long', notNegative, 0)
    .option('--count <number>', 'stop after this many messages in all; 0: no end', wholeFrom(0), 0)
    .addOption(
      new Option('--seed <text>', 'devices and values are the same for the same seed').default(
        randomUUID(),
        'new each time',
      ),
    )
    .option('--run <id>', 'part of each message id (default: new each time)')
    .option('--topic <template>', 'the topic, over {uuid} and {index}', 'device/{uuid}')
    .option('--schema <file>', 'make payloads that match this JSON Schema, in place of {"uuid", "value"}')
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
    .option(
      '--fault <name=share>',
      'what goes wrong, and how often, as malformed=0.01; again for another',
      addFault,
      NO_FAULTS,
    )
    .option('--late-by <seconds>', 'how late a late message is', positive, 600)
    .option('--skew <seconds>', 'how far off a clock is', positive, 300)
    .option('--connect-within <seconds>', 'how long the first connection may take', positive, 30)
    .addOption(new Option('--protocol <version>', 'MQTT version').choices(['auto', '5', '3.1.1']).default('auto'))
    .option(
      '--manifest <file>',
      'write a line of JSON for each message: id, seq, fault, topic, published, sha256 of the payload',
    )
    .option('--verify <uri>', 'then read the sink back (mongodb://…, file:///… or s3://…), and say what arrived');
  return withVerifyOptions(command)
    .option('--json', 'print the totals as one line of JSON at the end, and nothing else', false)
    .addHelpText('after', HELP)
    .action(simulate);
}

async function simulate(options: SimulateOptions, command: Command): Promise<void> {
  const { seed, json, manifest: manifestPath } = options;
  const run = options.run ?? randomUUID();
  const broker = brokerOf(options, command);
  const simulation = simulationOf(options, run, command);
  const sink = options.verify === undefined ? undefined : sinkOf(options.verify, options);
  const say = (text: string): void => {
    if (!json) process.stderr.write(text);
  };
  try {
    const manifest = manifestPath === undefined ? undefined : new ManifestFile(manifestPath, { run, seed });
    const tally = new Tally(options.rejected);
    const publisher = new Publisher(broker, options.qos);
    const done = Promise.withResolvers<void>();
    const runner = new SimulationRunner(simulation, {
      rate: options.rate * options.devices,
      devices: options.devices,
      ramp: options.ramp,
      limit: options.count,
      deliver: (message) => publisher.publish(message),
      settled: (message, published) => {
        if (sink !== undefined) tally.sent(message.messageId, message.fault, published);
        try {
          manifest?.add(message, published);
        } catch (error) {
          done.reject(new UserError(`expected room for the manifest, got ${messageOf(error)}`, { cause: error }));
        }
      },
      changed: () => {
        const { made, delivered, failed } = runner.totals;
        if (options.count > 0 && made >= options.count && delivered + failed === made) done.resolve();
      },
      broken: (error) => done.reject(new UserError(messageOf(error), { cause: error })),
    });
    const totals = await publish(runner, broker, publisher, done, options.connectWithin, say).finally(() =>
      manifest?.close(),
    );
    if (totals.failed > 0) process.exitCode = 1;
    const findings = sink && (await readBack(tally, sink, options, say));
    const seconds = round(totals.seconds);
    const { made, delivered, failed } = totals;
    if (json) {
      const verified = sink && findings && { verify: findingsJson(findings, sink) };
      process.stdout.write(
        `${JSON.stringify({ made, published: delivered, failed, seconds, seed, run, ...verified })}\n`,
      );
      return;
    }
    const rate = round(delivered / totals.seconds);
    process.stdout.write(`${made} made, ${delivered} published, ${failed} failed in ${seconds} s (${rate}/s)\n`);
    process.stdout.write(`seed ${seed}, run ${run}\n`);
    if (sink && findings) process.stdout.write(reportText(findings, sink.place));
  } finally {
    await sink?.close();
  }
}

/**
 * Runs until all are made and answered, or the first Ctrl-C; then what is under way is still answered.
 *
 * @throws UserError when there is no first connection within `connectWithin` seconds
 */
async function publish(
  runner: SimulationRunner,
  broker: MqttBroker,
  publisher: Publisher,
  done: PromiseWithResolvers<void>,
  connectWithin: number,
  say: (text: string) => void,
): Promise<SimulationRunner['totals'] & { readonly seconds: number }> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      done.resolve();
      process.once(signal, () => process.exit(130));
    });
  }
  let state = '';
  const patience = setTimeout(
    () => done.reject(new UserError(`expected a connection within ${connectWithin} s, got none: ${state}`)),
    connectWithin * 1_000,
  );
  broker.onState(({ level, text }) => {
    state = text;
    // Once it has been there, it may go and come: messages wait for it.
    if (level === 'ok') clearTimeout(patience);
    if (level === 'ok') runner.retry();
    if (level !== 'off') say(`\r${text}\n`);
  });
  const startedAt = performance.now();
  broker.start();
  runner.start();
  const progress = reportProgress(runner, say);
  try {
    await done.promise;
  } finally {
    clearTimeout(patience);
    await runner.stop(broker.disconnected());
    clearInterval(progress);
    await publisher.close();
    await broker.close();
  }
  return { ...runner.totals, seconds: (performance.now() - startedAt) / 1_000 };
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

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
