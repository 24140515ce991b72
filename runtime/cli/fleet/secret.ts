import { Command } from 'commander';
import { FleetFolder } from '../../fleet/launcher/folder.js';
import { withUserDir, type UserDir } from './user-dir.js';

export function secretCommand(): Command {
  return withUserDir(new Command('secret'))
    .description(
      "Print the fleet's secret, for SLUICE_FLEET_SECRET of workers that join. Who has it may join, read the fleet's " +
        'credentials, and deploy to it.',
    )
    .action(({ userDir }: UserDir) => {
      process.stdout.write(`${new FleetFolder(userDir).secret()}\n`);
    });
}
