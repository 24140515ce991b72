import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { mkdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { messageOf } from '@sluice/node-red/simulator';

const run = promisify(execFile);
const MOST_ATTEMPTS = 50;

/** A file system of its own, in memory, for a folder that is to be full for a while. */
export class SmallDisk {
  readonly #folder: string;
  readonly #bytes: number;

  private constructor(folder: string, bytes: number) {
    this.#folder = folder;
    this.#bytes = bytes;
  }

  /** Mounting takes root, or sudo without a password. @returns why there is none, where there is none */
  static async mount(folder: string, bytes: number): Promise<SmallDisk | string> {
    mkdirSync(folder, { recursive: true });
    try {
      await asRoot('mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=777`, 'sluice-chaos', folder);
      return new SmallDisk(folder, bytes);
    } catch (error) {
      return `a small disk is mounted by root on Linux, or by sudo without a password (${messageOf(error).split('\n')[0] ?? ''})`;
    }
  }

  /** No room from now on, for anything. */
  async fill(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const { bsize, blocks, bfree } = await statfs(this.#folder);
      try {
        await this.#resize((blocks - bfree) * bsize);
        return;
      } catch (error) {
        if (attempt === MOST_ATTEMPTS) throw error; // more was written since it was measured
      }
    }
  }

  async free(): Promise<void> {
    await this.#resize(this.#bytes);
  }

  async unmount(): Promise<void> {
    await asRoot('umount', this.#folder);
  }

  async #resize(bytes: number): Promise<void> {
    await asRoot('mount', '-o', `remount,size=${bytes}`, this.#folder);
  }
}

async function asRoot(command: string, ...parameters: string[]): Promise<void> {
  await (process.getuid?.() === 0 ? run(command, parameters) : run('sudo', ['-n', command, ...parameters]));
}
