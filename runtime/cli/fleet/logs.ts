import { closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { once } from 'node:events';
import { Argument, Command } from 'commander';
import { FleetFolder } from '../../fleet/launcher/folder.js';
import { earlierLog } from '../../fleet/slots/log.js';
import { UserError } from '../../launcher/user-error.js';
import { wholeFrom } from '../options.js';
import { withUserDir, type UserDir } from './user-dir.js';

interface LogsOptions extends UserDir {
  readonly lines: number;
  readonly follow: boolean;
}

const LOOK_EVERY_MS = 300;

export function logsCommand(): Command {
  return withUserDir(new Command('logs'))
    .description('Show what the instances of this machine have said, also when the fleet does not run.')
    .addArgument(new Argument('[slot]', 'of one of them; 0: the one with the editor').argParser(wholeFrom(0)))
    .option('--lines <number>', 'how many of the last lines of each', wholeFrom(0), 100)
    .option('-f, --follow', 'go on with what they say from now on, until Ctrl-C', false)
    .action(logs);
}

async function logs(slot: number | undefined, { userDir, lines, follow }: LogsOptions): Promise<void> {
  const folder = new FleetFolder(userDir);
  const slots = slot === undefined ? slotsOf(folder) : [slot];
  const kept = slots.filter((one) => existsSync(folder.log(one)));
  if (kept.length === 0) {
    const whose = slot === undefined ? 'an instance' : `slot ${slot}`;
    throw new UserError(`expected a log of ${whose} in ${join(folder.path, 'slots')}, got none`);
  }
  const tails = kept.map((one) => new Tail(folder.log(one), kept.length === 1 ? '' : `${one}: `));
  for (const tail of tails) tail.showLast(lines);
  if (!follow) return;
  const interrupted = once(process, 'SIGINT').then(() => true);
  while (!(await Promise.race([interrupted, delay(LOOK_EVERY_MS).then(() => false)]))) {
    for (const tail of tails) tail.showNew();
  }
}

function slotsOf({ path }: FleetFolder): number[] {
  const folder = join(path, 'slots');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.map(Number).sort((a, b) => a - b);
}

/** The end of a log that grows, and begins anew when it is long. */
class Tail {
  readonly #path: string;
  readonly #prefix: string;
  #position = 0;
  #file = 0;

  constructor(path: string, prefix: string) {
    this.#path = path;
    this.#prefix = prefix;
  }

  showLast(lines: number): void {
    const { size, ino } = statSync(this.#path);
    this.#position = size;
    this.#file = ino;
    const before = existsSync(earlierLog(this.#path)) ? readFileSync(earlierLog(this.#path), 'utf8') : '';
    const all = `${before}${readFileSync(this.#path, 'utf8')}`.trimEnd().split('\n');
    if (lines > 0) this.#show(all.slice(-lines));
  }

  showNew(): void {
    const { size, ino } = statSync(this.#path, { throwIfNoEntry: false }) ?? { size: 0, ino: 0 };
    if (ino !== this.#file) this.#position = 0; // what it had before is in the earlier one, and was shown but for its end
    this.#file = ino;
    if (size <= this.#position) return;
    const text = Buffer.alloc(size - this.#position);
    const file = openSync(this.#path, 'r');
    readSync(file, text, 0, text.length, this.#position);
    closeSync(file);
    this.#position = size;
    this.#show(text.toString().trimEnd().split('\n'));
  }

  #show(lines: readonly string[]): void {
    for (const line of lines) process.stdout.write(`${this.#prefix}${line}\n`);
  }
}
