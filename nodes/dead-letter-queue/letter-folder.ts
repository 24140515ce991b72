import { mkdir, open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { DeadLetter } from '../lib/dead-letter.js';
import { messageOf, UnavailableError } from '../lib/errors.js';
import { syncFolder } from '../lib/sync-folder.js';
import { newest, type LetterStore } from './store.js';

const SUFFIX = '.ndjson';
const NEWLINE = 0x0a;
/** Of each file from its end at first; then as much again each time, so that a letter of 100 MB takes eleven reads. */
const READ_BYTES = 65_536;

/**
 * Letters as lines of JSON in a folder, a file for each day (UTC), process and queue: nobody else writes to it, so nothing
 * of it has to be locked, and what a batch that failed has left can be cut off. A crash leaves at most a last line that is not whole, which readers pass over.
 */
export class LetterFolder implements LetterStore {
  readonly place: string;
  readonly #folder: string;
  readonly #writer: string;
  /** The file of the last batch: `size` are the bytes that are whole and durable. */
  #file: { readonly day: string; handle: FileHandle | undefined; size: number } | undefined;

  /** @param writer - names this queue of this process, among all that use the folder */
  constructor(folder: string, writer: string) {
    this.place = `folder ${folder}`;
    this.#folder = folder;
    this.#writer = writer.replace(/[^A-Za-z0-9_-]/g, '_');
  }

  async append(letters: readonly DeadLetter[]): ReturnType<LetterStore['append']> {
    const bytes = Buffer.from(letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''));
    const day = letters[0]?.at.slice(0, 10) ?? '';
    try {
      const file = await this.#open(day);
      await file.appendFile(bytes);
      await file.datasync();
      if (this.#file !== undefined) this.#file.size += bytes.length;
      return new Map();
    } catch (error) {
      await this.close().catch(() => undefined); // the first error is the one to tell
      const failure = new UnavailableError(`expected ${this.place} to keep a letter, got ${messageOf(error)}`, {
        code: 'disk',
        cause: error,
      });
      return new Map(letters.map((_letter, index) => [index, failure]));
    }
  }

  async last(count: number, maxBytes: number): Promise<DeadLetter[]> {
    try {
      const names = (await readdir(this.#folder))
        .filter((name) => name.endsWith(SUFFIX))
        .sort()
        .reverse();
      const letters: DeadLetter[] = [];
      // Files of one day are of different instances: their letters lie between each other.
      for (let index = 0; index < names.length && letters.length < count;) {
        const day = names[index]?.slice(0, 10) ?? '';
        const ofThatDay = names.slice(index).filter((name) => name.startsWith(day));
        const read = await Promise.all(ofThatDay.map((name) => lastLetters(join(this.#folder, name), count, maxBytes)));
        letters.push(...read.flatMap((part) => part.letters));
        index += ofThatDay.length;
        // Older letters are not the next ones where newer ones were left out.
        if (read.some(({ whole }) => !whole)) break;
      }
      return newest(letters, count, maxBytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new UnavailableError(`expected to read ${this.place}, got ${messageOf(error)}`, {
        code: 'disk',
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    const handle = this.#file?.handle;
    if (this.#file !== undefined) this.#file.handle = undefined;
    await handle?.close();
  }

  /** The day's file, with nothing in it but whole batches. */
  async #open(day: string): Promise<FileHandle> {
    if (this.#file?.handle !== undefined && this.#file.day === day) return this.#file.handle;
    await this.close();
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const handle = await open(join(this.#folder, `${day}.${this.#writer}${SUFFIX}`), 'a', 0o600);
    // What a batch that failed has left is cut off: the batch is written again.
    const size = this.#file?.day === day ? this.#file.size : (await handle.stat()).size;
    this.#file = { day, handle, size };
    await handle.truncate(size);
    if (size === 0) await syncFolder(this.#folder);
    return handle;
  }
}

/** The last whole lines of a file, the newest first, until there are enough. `whole`: there are no others. */
async function lastLetters(
  path: string,
  count: number,
  maxBytes: number,
): Promise<{ readonly letters: DeadLetter[]; readonly whole: boolean }> {
  const file = await open(path, 'r');
  try {
    let start = (await file.stat()).size;
    let bytes = Buffer.alloc(0);
    let lines: string[] = [];
    while (start > 0 && lines.length <= count && (lines.length === 0 || bytes.length < maxBytes)) {
      const length = Math.min(Math.max(READ_BYTES, bytes.length), start);
      start -= length;
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, start);
      bytes = Buffer.concat([buffer, bytes]);
      // What stands before the first newline begins earlier, what stands after the last is not whole.
      const whole = bytes.subarray(start === 0 ? 0 : bytes.indexOf(NEWLINE) + 1, bytes.lastIndexOf(NEWLINE) + 1);
      lines = whole.toString('utf8').split('\n').slice(0, -1);
    }
    const letters = lines
      .slice(-count)
      .reverse()
      .map((line) => JSON.parse(line) as DeadLetter);
    return { letters, whole: start === 0 && lines.length <= count };
  } finally {
    await file.close();
  }
}
