import { appendFileSync, closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import { messageOf } from '../../launcher/user-error.js';

/** A log is kept in two files of at most so much: it, and the one before it. */
const MOST_BYTES = 2 * 1024 * 1024;

const LONGEST_LINE = 64 * 1024;

/** What an instance says on stderr: in its slot's log, and on ours with its name before each line. */
export class SlotLog extends Writable {
  readonly #path: string;
  readonly #name: string;
  #bytes: number;
  #rest = '';

  constructor(path: string, name: string) {
    super({ decodeStrings: false, defaultEncoding: 'utf8' });
    mkdirSync(dirname(path), { recursive: true });
    this.#path = path;
    this.#name = name;
    closeSync(openSync(path, 'a', 0o600));
    this.#bytes = statSync(path).size;
  }

  override _write(chunk: Buffer | string, _encoding: BufferEncoding, done: () => void): void {
    const lines = `${this.#rest}${chunk.toString()}`.split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > LONGEST_LINE) {
      lines.push(this.#rest);
      this.#rest = '';
    }
    for (const line of lines) process.stderr.write(`${this.#name}: ${line}\n`);
    if (lines.length > 0) this.#keep(`${lines.join('\n')}\n`);
    done();
  }

  #keep(text: string): void {
    try {
      if (this.#bytes > MOST_BYTES) {
        renameSync(this.#path, earlierLog(this.#path));
        this.#bytes = 0;
      }
      appendFileSync(this.#path, text, { mode: 0o600 });
      this.#bytes += Buffer.byteLength(text);
    } catch (error) {
      // A full disk keeps no log, and no instance from running; stderr has it all.
      process.stderr.write(`${this.#name}: the log is not kept: ${messageOf(error)}\n`);
    }
  }
}

export function earlierLog(path: string): string {
  return `${path}.1`;
}
