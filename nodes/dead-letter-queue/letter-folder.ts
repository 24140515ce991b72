import { mkdir, open, readdir, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { type DeadLetter, fits, type LetterFilter } from '../lib/dead-letter.js';
import { messageOf, UnavailableError } from '../lib/errors.js';
import { syncFolder } from '../lib/sync-folder.js';
import { newest, type LetterStore } from './store.js';

const SUFFIX = '.ndjson';
/** The ids of letters that have been replayed, one a line. */
const REPLAYED = 'replayed.txt';
const KEPT_AT_LEAST = 1_000;
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
      throw this.#unreadable(error);
    }
  }

  async find(filter: LetterFilter, count: number, maxBytes: number): Promise<DeadLetter[]> {
    try {
      const replayed = filter.replayed === true ? new Set<string>() : await this.#replayed();
      const letters: DeadLetter[] = [];
      for (const name of await this.#files(filter)) {
        for await (const letter of lettersOf(join(this.#folder, name))) {
          if (!fits(letter, filter) || replayed.has(letter.id)) continue;
          letters.push(letter);
          // Of what was read only the newest are of use.
          if (letters.length >= count * 2 + KEPT_AT_LEAST)
            letters.splice(0, Infinity, ...newest(letters, count, maxBytes));
        }
      }
      return newest(letters, count, maxBytes);
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  async markReplayed(ids: readonly string[]): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const file = await open(join(this.#folder, REPLAYED), 'a', 0o600);
      try {
        await file.appendFile(ids.map((id) => `${id}\n`).join(''));
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  /** Whose day lies within the time that a filter asks for. */
  async #files({ since = '', until }: LetterFilter): Promise<string[]> {
    const names = await readdir(this.#folder).catch(whenMissing<string[]>([]));
    const inTime = (day: string): boolean => day >= since.slice(0, 10) && (until === undefined || day <= until);
    return names.filter((name) => name.endsWith(SUFFIX) && inTime(name.slice(0, 10))).sort();
  }

  async #replayed(): Promise<ReadonlySet<string>> {
    const text = await readFile(join(this.#folder, REPLAYED), 'utf8').catch(whenMissing(''));
    return new Set(text.split('\n'));
  }

  #unreadable(error: unknown): UnavailableError {
    return new UnavailableError(`expected to read ${this.place}, got ${messageOf(error)}`, {
      code: 'disk',
      cause: error,
    });
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

/** What stands for what is not there; another error is thrown on. */
function whenMissing<T>(value: T): (error: unknown) => T {
  return (error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return value;
    throw error;
  };
}

/** All letters of a file, the oldest first. A last line that a crash has cut off is passed over. */
async function* lettersOf(path: string): AsyncGenerator<DeadLetter> {
  const file = await open(path, 'r');
  try {
    for await (const line of file.readLines()) {
      const letter = letterOf(line);
      if (letter !== undefined) yield letter;
    }
  } finally {
    await file.close();
  }
}

function letterOf(line: string): DeadLetter | undefined {
  try {
    return JSON.parse(line) as DeadLetter;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
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
