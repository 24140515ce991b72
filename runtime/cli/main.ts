import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { UserError } from '../launcher/user-error.js';
import { chaosCommand } from './chaos.js';
import { checkCommand } from './check.js';
import { containerCommand } from './container/container.js';
import { deadLetterCommand } from './dead-letter.js';
import { fleetCommand } from './fleet/fleet.js';
import { joinCommand } from './join.js';
import { ledgerCommand } from './ledger.js';
import { passwordCommand } from './password.js';
import { say } from './say.js';
import { simulateCommand } from './simulate.js';
import { startCommand } from './start.js';
import { statusCommand } from './status.js';
import { storeCommand } from './store.js';
import { verifyCommand } from './verify.js';

/** Exit codes: 0 done; 1 a mistake that the sentence names, or something that went wrong; 2 a wrong option. */
const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
  version: string;
};

const program = new Command('sluice')
  .description('IoT data pipelines on Node-RED that do not lose data.')
  .version(manifest.version)
  .showHelpAfterError('(sluice --help shows the commands and their options)')
  .addCommand(startCommand())
  .addCommand(fleetCommand())
  .addCommand(joinCommand())
  .addCommand(statusCommand())
  .addCommand(ledgerCommand())
  .addCommand(deadLetterCommand())
  .addCommand(simulateCommand())
  .addCommand(verifyCommand())
  .addCommand(chaosCommand())
  .addCommand(storeCommand())
  .addCommand(checkCommand())
  .addCommand(passwordCommand())
  .addCommand(containerCommand());

const withAll = (command: Command): Command[] => [command, ...command.commands.flatMap(withAll)];
for (const command of program.commands) command.version(manifest.version);
for (const command of withAll(program)) {
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  say(error.message);
  process.exitCode = 1;
}
