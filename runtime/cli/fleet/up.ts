import { Command, Option } from 'commander';
import { launchFleet, type RunningFleet } from '../../fleet/launcher/launch.js';
import { UserError } from '../../launcher/user-error.js';
import { fleetName, portNumber, wholeFrom } from '../options.js';
import { say } from '../say.js';
import { onStopSignal } from '../stop-signal.js';
import { withUserDir } from './user-dir.js';

interface UpOptions {
  readonly workers?: number;
  readonly min?: number;
  readonly max?: number;
  readonly fleet?: string;
  readonly userDir: string;
  readonly host: string;
  readonly port: number;
  readonly mongodbPort: number;
  readonly controlPort: number;
  readonly metricsPort?: number;
  readonly replace: boolean;
  readonly json: boolean;
}

export function upCommand(): Command {
  return withUserDir(new Command('up'))
    .description(
      'Run an instance with the editor and workers without one, in the foreground. Workers share what comes in from the ' +
        'broker at MQTT_URL, which must have shared subscriptions.',
    )
    .argument('[flow]', 'a flow file (JSON); the default: devices to MongoDB and S3')
    .option(
      '-n, --workers <number>',
      'how many workers; 0: those that join (default: as many as before, else 2)',
      wholeFrom(0),
    )
    .addOption(
      new Option('--min <number>', 'add and remove workers by the load, but not below this many (with --max)')
        .argParser(wholeFrom(1))
        .conflicts('workers'),
    )
    .addOption(
      new Option('--max <number>', 'add and remove workers by the load, but not above this many')
        .argParser(wholeFrom(1))
        .conflicts('workers'),
    )
    .addOption(
      new Option('--fleet <name>', 'the name of the fleet on its broker (default: that of the folder, else "sluice")')
        .argParser(fleetName)
        .env('SLUICE_FLEET'),
    )
    .option('--host <address>', 'where the editor listens', '127.0.0.1')
    .option('--port <number>', "the editor's port; 0: any free one", portNumber, 1880)
    .option('--mongodb-port <number>', "the embedded document store's port", portNumber, 27017)
    .option('--control-port <number>', 'where commands and Prometheus (/metrics) ask; 0: any free one', portNumber, 0)
    .option('--metrics-port <number>', 'where Prometheus asks (/metrics) at the address of --host', portNumber)
    .option('--replace', 'replace the flows of a user folder that was made from another flow', false)
    .option('--json', 'print one line of JSON when all instances are ready, and nothing else', false)
    .addHelpText(
      'after',
      `
Environment:
  MQTT_URL                        the broker: mosquitto, HiveMQ, EMQX, VerneMQ, NanoMQ; needed
  MONGODB_URI, S3_URL             use these instead of what is embedded
  SLUICE_FLEET_SECRET             what all instances share (default: one made in the user folder)
  SLUICE_FLEET_SECRET_FILE        a file that holds it
  SLUICE_ADMIN_PASSWORD_HASH      ask for a password at the editor (made by: sluice password)
  SLUICE_METRICS_TOKEN            lets Prometheus read /metrics`,
    )
    .action(up);
}

async function up(flow: string | undefined, options: UpOptions): Promise<void> {
  const scaling = limitsOf(options);
  const { stopped, signal } = onStopSignal('the workers, then the editor instance, then the store', say);
  const { fleet: name, workers, metricsPort } = options;
  const fleet = await launchFleet({ ...options, flow, scaling, fleet: name, workers, metricsPort, say });
  process.stdout.write(options.json ? `${readyLine(fleet)}\n` : readyText(fleet));
  const why = await Promise.race([stopped, fleet.asked.then(() => signal), fleet.failed]);
  if (why !== signal) say(String(why));
  const clean = await fleet.stop();
  if (why !== signal || !clean) process.exitCode = 1;
  else if (!options.json)
    process.stdout.write('Stopped. What the broker keeps for the workers waits for the next start.\n');
}

function limitsOf({ min = 1, max }: UpOptions): { min: number; max: number } | undefined {
  if (max === undefined) {
    if (min !== 1) throw new UserError('expected --max beside --min, got none');
    return undefined;
  }
  if (min > max) throw new UserError(`expected --min to be at most --max (${max}), got ${min}`);
  return { min, max };
}

function readyLine(running: RunningFleet): string {
  const { fleet, editor, mqtt, mongodb, objects, userDir, control } = running;
  const workers = running
    .status()
    .slots.filter(({ role }) => role === 'worker')
    .map(({ slot, name, state, report }) => ({ slot, name, state, pid: report?.pid }));
  return JSON.stringify({
    ready: true,
    fleet,
    editor,
    mqtt,
    mongodb,
    objects,
    userDir,
    control,
    pid: process.pid,
    workers,
  });
}

function readyText(running: RunningFleet): string {
  const { fleet, editor, mqtt, mongodb, objects, userDir, embedded } = running;
  const { slots, dangers } = running.status();
  const workers = slots.filter(({ role }) => role === 'worker');
  const ready = workers.filter(({ takesMessages }) => takesMessages);
  const here = `--user-dir ${userDir}`;
  return `The fleet "${fleet}" is running: ${ready.length} of ${workers.length} workers take messages.

  Editor     ${editor}
  MQTT       ${mqtt}
  Documents  ${mongodb}${embedded.store ? `  (embedded; in ${userDir}/store)` : ''}
  Objects    ${objects}
  Status     sluice fleet status ${here}
  Join       SLUICE_FLEET_SECRET="$(sluice fleet secret ${here})" sluice join ${mqtt} --fleet ${fleet}
${dangers.map((danger) => `\nDANGER: ${danger}`).join('')}
Ctrl-C stops it when all that is under way is stored.
`;
}
