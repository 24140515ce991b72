import type { Command } from 'commander';

/** How a command finds a fleet. */
export function withUserDir(command: Command): Command {
  return command.option('--user-dir <dir>', 'the user folder of the fleet', './.sluice');
}

export interface UserDir {
  readonly userDir: string;
}
