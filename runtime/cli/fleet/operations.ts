import { Argument, Command } from 'commander';
import { wholeFrom } from '../options.js';
import { RunningFleet } from '../running-fleet.js';
import { withUserDir, type UserDir } from './user-dir.js';

const EXIT_CODES = '\nExit code 0: done; 1: not, and why; 2: a wrong option.';

export function scaleCommand(): Command {
  return withUserDir(new Command('scale'))
    .description(
      'Change the number of workers on the machine of the launcher. Those that go leave when their sessions are empty.',
    )
    .addArgument(new Argument('<workers>', 'how many there are to be').argParser(wholeFrom(0)))
    .addHelpText('after', EXIT_CODES)
    .action(async (workers: number, { userDir }: UserDir) => operate(userDir, 'scale', { workers }));
}

export function drainCommand(): Command {
  return withUserDir(new Command('drain'))
    .description(
      'Make a worker leave for good, here or on another machine: it takes nothing new, stores what it has, and its ' +
        'session at the broker ends.',
    )
    .addArgument(slotArgument('<slot>'))
    .option('--take-over', 'its machine is gone for good: a successor here empties its session', false)
    .addHelpText('after', EXIT_CODES)
    .action(async (slot: number, { userDir, takeOver }: UserDir & { takeOver: boolean }) =>
      operate(userDir, 'drain', { slot, takeOver }),
    );
}

export function restartCommand(): Command {
  return withUserDir(new Command('restart'))
    .description('Restart an instance, or all of them: one at a time, the next when the one before takes messages.')
    .addArgument(slotArgument('[slot]'))
    .addHelpText('after', EXIT_CODES)
    .action(async (slot: number | undefined, { userDir }: UserDir) =>
      operate(userDir, 'restart', slot === undefined ? {} : { slot }),
    );
}

export function downCommand(): Command {
  return withUserDir(new Command('down'))
    .description('Stop the fleet as Ctrl-C does. The sessions of its workers stay, for the next start.')
    .addHelpText('after', EXIT_CODES)
    .action(async ({ userDir }: UserDir) => {
      const fleet = await RunningFleet.on(userDir);
      await fleet.operate('down');
      await fleet.ended();
      process.stdout.write('the fleet has stopped\n');
    });
}

function slotArgument(name: string): Argument {
  return new Argument(name, 'the number of the instance, as status shows it; 0: the one with the editor').argParser(
    wholeFrom(0),
  );
}

async function operate(userDir: string, path: string, body: object): Promise<void> {
  const fleet = await RunningFleet.on(userDir);
  process.stdout.write(`${await fleet.operate(path, body)}\n`);
}
