import { Command } from 'commander';
import { downCommand, drainCommand, restartCommand, scaleCommand } from './operations.js';
import { historyCommand, rollbackCommand } from './flows.js';
import { logsCommand } from './logs.js';
import { secretCommand } from './secret.js';
import { fleetStatusCommand } from './status.js';
import { upCommand } from './up.js';

export function fleetCommand(): Command {
  return new Command('fleet')
    .description('Run the same flows on many instances behind one MQTT broker, and ask after them.')
    .addCommand(upCommand())
    .addCommand(fleetStatusCommand())
    .addCommand(scaleCommand())
    .addCommand(drainCommand())
    .addCommand(restartCommand())
    .addCommand(logsCommand())
    .addCommand(downCommand())
    .addCommand(historyCommand())
    .addCommand(rollbackCommand())
    .addCommand(secretCommand());
}
