import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { BROKER_PROTOCOLS } from '../fleet/broker-protocols.js';
import { joinFleet, type JoinedWorker } from '../fleet/joining/worker.js';
import { givenSecret } from '../fleet/secret.js';
import { environment } from '../launcher/environment.js';
import { UserError } from '../launcher/user-error.js';
import { fleetName, portNumber, wholeFrom } from './options.js';
import { say } from './say.js';
import { onStopSignal } from './stop-signal.js';

interface Options {
  readonly fleet: string;
  readonly userDir: string;
  readonly shared: boolean;
  readonly slot?: number;
  readonly host: string;
  readonly port: number;
  readonly leave: boolean;
  readonly json: boolean;
}

export function joinCommand(): Command {
  return new Command('join')
    .description(
      'Run a worker of a fleet whose sluice fleet up runs elsewhere, in the foreground: it gets its flows from there, by the ' +
        'broker.',
    )
    .addArgument(
      new Argument('[broker]', "the fleet's broker: mqtt://host:1883 (default: MQTT_URL)").argParser(brokerUrl),
    )
    .addOption(
      new Option('--fleet <name>', 'the name of the fleet on its broker')
        .argParser(fleetName)
        .env('SLUICE_FLEET')
        .default('sluice'),
    )
    .option('--user-dir <dir>', 'where flows and data are kept', './.sluice-worker')
    .option('--shared', 'several workers have that folder: take the lowest of 1, 2, … in it that none runs on', false)
    .addOption(
      new Option('--slot <number>', 'the only slot to take (default: the one that it had, else the lowest free one)')
        .argParser(wholeFrom(1))
        .env('SLUICE_SLOT'),
    )
    .option('--host <address>', 'where its metrics and endpoints of flows are', '127.0.0.1')
    .option('--port <number>', 'the port of these; 0: any free one', portNumber, 0)
    .option('--leave', 'leave for good at the end: its session at the broker ends, once it is empty', false)
    .option('--json', 'print one line of JSON when ready, and nothing else', false)
    .addHelpText(
      'after',
      `
Environment:
  SLUICE_FLEET_SECRET        the fleet's secret, as sluice fleet secret prints it; needed
  SLUICE_FLEET_SECRET_FILE   a file that holds it, instead
  MONGODB_URI, …             a variable that is set here goes before the one that comes with the flows

Ctrl-C stops the worker when all that is under way is stored; its slot stays its own, and the broker keeps its share.`,
    )
    .action(run);
}

async function run(given: string | undefined, options: Options): Promise<void> {
  const url = given ?? brokerOfEnvironment();
  const secret = givenSecret();
  if (secret === undefined) {
    throw new UserError(
      'expected SLUICE_FLEET_SECRET to hold the secret of the fleet, got nothing: sluice fleet secret prints it',
    );
  }
  const { stopped, signal } = onStopSignal('what is under way, then the sinks', say);
  const worker = await joinFleet({ ...options, brokerUrl: url, secret, slot: options.slot, say });
  process.stdout.write(options.json ? `${readyLine(worker)}\n` : readyText(worker));
  const why = await Promise.race([stopped, worker.left, worker.failed]);
  const clean = (await worker.stop(options.leave && why === signal ? 'leave' : 'drain')) && why !== false;
  if (typeof why === 'string' || !clean) process.exitCode = 1;
  if (options.json) return;
  process.stdout.write(why === true || (options.leave && clean) ? 'This worker has left the fleet.\n' : 'Stopped.\n');
}

function readyLine({ fleet, slot, name, url, userDir }: JoinedWorker): string {
  return JSON.stringify({ ready: true, fleet, slot, name, url, userDir, pid: process.pid });
}

function readyText({ fleet, slot, name, userDir }: JoinedWorker): string {
  return `Worker ${slot} of the fleet "${fleet}" is running as ${name}; what it keeps is in ${userDir}.\n\nCtrl-C stops it.\n`;
}

function brokerOfEnvironment(): string {
  const url = environment('MQTT_URL');
  if (url === undefined) throw new UserError('expected MQTT_URL, or an argument, to name the broker, got neither');
  if (isBroker(url)) return url;
  throw new UserError('expected MQTT_URL to be the address of a broker (mqtt://host:1883), got something else');
}

function isBroker(text: string): boolean {
  return URL.canParse(text) && BROKER_PROTOCOLS.includes(new URL(text).protocol);
}

function brokerUrl(text: string): string {
  if (isBroker(text)) return text;
  throw new InvalidArgumentError(`expected the address of a broker (mqtt://host:1883), got ${JSON.stringify(text)}`);
}
