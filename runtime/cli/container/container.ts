import { Command } from 'commander';
import { environment } from '../../launcher/environment.js';
import { joinCommand } from '../join.js';
import { say } from '../say.js';
import { startCommand } from '../start.js';
import { upCommand } from '../fleet/up.js';
import { preStopCommand } from './pre-stop.js';
import { roleOf, type Role } from './role.js';

const COMMANDS: Readonly<Record<Role['command'], () => Command>> = {
  start: startCommand,
  'fleet up': upCommand,
  join: joinCommand,
};

export function containerCommand(): Command {
  return new Command('container')
    .description('What the image runs: one of the other commands, by the environment of its container.')
    .argument('[options...]', 'are given to that command')
    .allowUnknownOption()
    .addHelpText(
      'after',
      `
Environment:
  SLUICE_ROLE   not set: sluice start
                editor:  sluice fleet up with no workers of its own
                worker:  sluice join
  SLUICE_FLEET, SLUICE_FLEET_SECRET or SLUICE_FLEET_SECRET_FILE, MQTT_URL: of both
  SLUICE_METRICS_TOKEN   of the editor: what /metrics on port 9464 asks for
  SLUICE_SLOT            of a worker: it has the user folder for itself. Not set: other workers share it, and it takes the
                         lowest folder in it that none runs on, with the slot of that`,
    )
    .action(async (options: string[]) => {
      const { command, parameters } = roleOf(environment);
      say(`this container runs sluice ${command}`);
      await COMMANDS[command]().parseAsync([...parameters, ...options], { from: 'user' });
    })
    .addCommand(preStopCommand());
}
