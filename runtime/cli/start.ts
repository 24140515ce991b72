import { Command } from 'commander';
import { launch, type Running } from '../launcher/launcher.js';
import { portNumber } from './options.js';
import { say } from './say.js';
import { onStopSignal } from './stop-signal.js';

interface StartOptions {
  readonly userDir: string;
  readonly name?: string;
  readonly host: string;
  readonly port: number;
  readonly mqttPort: number;
  readonly mongodbPort: number;
  readonly replace: boolean;
  readonly json: boolean;
}

export function startCommand(): Command {
  return new Command('start')
    .description('Run Node-RED with the palette, an embedded MQTT broker and an embedded document store.')
    .argument('[flow]', 'a flow file (JSON); the default: devices to MongoDB and S3')
    .option('--user-dir <dir>', 'where flows, secrets and data are kept', './.sluice')
    .option('--name <name>', "the instance's name (default: SLUICE_NAME, else the host's name)")
    .option('--host <address>', 'where the editor listens', '127.0.0.1')
    .option('--port <number>', "the editor's port; 0: any free one", portNumber, 1880)
    .option('--mqtt-port <number>', "the embedded broker's port", portNumber, 1883)
    .option('--mongodb-port <number>', "the embedded document store's port", portNumber, 27017)
    .option('--replace', 'replace the flows of a user folder that was made from another flow', false)
    .option('--json', 'print one line of JSON when ready, and nothing else', false)
    .addHelpText(
      'after',
      `
Environment:
  MQTT_URL, MONGODB_URI, S3_URL   use these instead of what is embedded
  SLUICE_MONGODB_USER, SLUICE_MONGODB_PASSWORD   ask for a login at the embedded document store
  SLUICE_ADMIN_PASSWORD_HASH      ask for a password at the editor (made by: sluice password)`,
    )
    .action(async (flow: string | undefined, options: StartOptions) => {
      const { stopped, signal } = onStopSignal('devices, then what is under way, then the sinks', say);
      const running = await launch({ ...options, name: options.name, flow, say });
      if (options.json) process.stdout.write(`${readyLine(running)}\n`);
      else process.stdout.write(readyText(running));
      const why = await Promise.race([stopped, running.failed]);
      if (why !== signal) say(String(why));
      const clean = await running.stop();
      if (why !== signal || !clean) process.exitCode = 1;
      else if (!options.json) process.stdout.write('Stopped.\n');
    });
}

function readyLine({ editor, mqtt, mongodb, objects, userDir }: Running): string {
  return JSON.stringify({ ready: true, editor, mqtt, mongodb, objects, userDir, pid: process.pid });
}

function readyText({ editor, mqtt, mongodb, objects, userDir, embedded }: Running): string {
  return `Sluice is running.

  Editor     ${editor}
  MQTT       ${mqtt}${embedded.broker ? '  (embedded; its queue is in memory)' : ''}
  Documents  ${mongodb}${embedded.store ? `  (embedded; in ${userDir}/store)` : ''}
             mongosh '${mongodb}' --eval 'db.devices.findOne()'
  Objects    ${objects}
             ${embedded.objects ? `ls -R ${objects}` : 'aws s3 ls --recursive'}
  Flows      ${userDir}/flows.json

Ctrl-C stops it when all that is under way is stored.
`;
}
