import { Command, InvalidArgumentError } from 'commander';
import { mqttUrlProblem } from '@sluice/node-red/simulator';
import { chaosJson, chaosText, isKept } from '../chaos/report.js';
import { runChaos } from '../chaos/run.js';
import { positive, qos, wholeFrom } from './options.js';

interface Options {
  readonly seed: string;
  readonly count: number;
  readonly qos: 0 | 1 | 2;
  readonly rate: number;
  readonly broker?: string;
  readonly drainWithin: number;
  readonly nodes?: string;
  readonly collection: readonly string[];
  readonly keep: boolean;
  readonly json: boolean;
}

const HELP = `
The flow runs twice with the same messages: without a fault, which says what each sink should have, and by the plan of
the seed. Broker, document store and runtime are processes of their own; devices of the flow are replaced by the same
ones outside of it. Each row of the table adds up: sent = stored + rejected + dead-lettered + lost.

Faults: kill -9 of the runtime and of the document store, SIGSTOP of the store, kill -9 of HiveMQ or a restart of
mosquitto, connections cut by a proxy, no room on the disk of the user folder (as root on Linux), redeploys.

Exit code 0: nothing is lost, and the ledger balances; 1: not so; 2: a wrong option.

Environment:
  MQTT_URL, MONGODB_URI, S3_URL   use these servers; what is not this run's is not killed
  HIVEMQ_HOME                     a folder whose lib has the jars of com.hivemq:hivemq-community-edition-embedded`;

const NO_COLLECTIONS: string[] = [];

export function chaosCommand(): Command {
  return new Command('chaos')
    .description('Run a flow while its broker, stores and runtime are killed and stopped, and say what is lost.')
    .argument('<flow>', 'a flow file (JSON)')
    .option('--seed <text>', 'the plan of faults is the same for the same seed', '1')
    .option('--count <number>', 'how many messages', wholeFrom(1), 20_000)
    .option('--qos <number>', 'QoS of the devices and of the flow: 0, 1 or 2', qos, 1)
    .option('--rate <number>', 'messages a second, of all devices together', positive, 250)
    .option('--broker <what>', 'mosquitto, hivemq, or the URL of one that is not killed', brokerName)
    .option('--nodes <folder>', 'where nodes are installed that the flow needs beside the palette')
    .option(
      '--collection <name>',
      'read this collection back as well, which such nodes fill; again for another',
      also,
      NO_COLLECTIONS,
    )
    .option('--drain-within <seconds>', 'how long to wait at the end for what is under way', positive, 120)
    .option('--keep', 'keep what the servers and the runtime wrote (kept anyway when something is lost)', false)
    .option('--json', 'print all of it as one line of JSON at the end, and nothing else', false)
    .addHelpText('after', HELP)
    .action(chaos);
}

async function chaos(flow: string, options: Options): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      interrupted.abort(); // all ends in its order
      process.once(signal, () => process.exit(130));
    });
  }
  const say = (sentence: string): void => {
    if (!options.json) process.stderr.write(`${sentence}\n`);
  };
  try {
    const { broker, nodes, collection: collections, ...rest } = options;
    const result = await runChaos({ ...rest, broker, nodes, collections, flow, say, signal: interrupted.signal });
    process.stdout.write(options.json ? `${JSON.stringify(chaosJson(result))}\n` : chaosText(result));
    if (!isKept(result)) process.exitCode = 1;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    say('interrupted: all is ended');
    process.exitCode = 130;
  }
}

function brokerName(text: string): string {
  if (text === 'mosquitto' || text === 'hivemq' || mqttUrlProblem(text) === undefined) return text;
  throw new InvalidArgumentError(`expected mosquitto, hivemq or the URL of a broker, got ${JSON.stringify(text)}`);
}

function also(name: string, before: readonly string[]): string[] {
  return [...before, name];
}
