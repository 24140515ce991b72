import { execFile } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ServerMissing } from './server.js';

const run = promisify(execFile);

export interface SmallDisk {
  readonly directory: string;
  /** Gives it another size or mode: `size=16m`, `ro`, `rw`. */
  change(option: string): Promise<void>;
  stop(): Promise<void>;
}

/** A file system of one MiB in memory. Mounting takes root, or sudo without a password; else throws `ServerMissing`. */
export async function startSmallDisk(): Promise<SmallDisk> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-disk-'));
  const asRoot = (command: string, ...args: string[]): Promise<unknown> =>
    process.getuid?.() === 0 ? run(command, args) : run('sudo', ['-n', command, ...args]);
  try {
    await asRoot('mount', '-t', 'tmpfs', '-o', 'size=1m,mode=777', 'sluice-test', directory);
  } catch (error) {
    await rmdir(directory);
    throw new ServerMissing(`a small disk is mounted by root, or by sudo without a password: ${String(error)}`);
  }
  return {
    directory,
    change: async (option) => {
      await asRoot('mount', '-o', `remount,${option}`, directory);
    },
    stop: async () => {
      await asRoot('umount', directory);
      await rmdir(directory);
    },
  };
}
