import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../launcher/user-error.js';
import type { Address } from './tcp-proxy.js';

export interface ProgramOptions {
  /** What it is, for sentences. */
  readonly name: string;
  readonly command: string;
  readonly parameters: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly folder: string;
  /** A file that gets all that it says. */
  readonly log: string;
}

const KEPT_CHARACTERS = 4_000;
const POLL_MS = 25;
const CONNECT_WITHIN_MS = 1_000;

/**
 * A program with all that it starts: a process group of its own, which a terminal's Ctrl-C does not reach, and which a
 * signal reaches as a whole. It is killed at the latest when this process exits.
 */
export class Program {
  /** Resolves with the exit code, or the signal's name, when it has ended. */
  readonly ended: Promise<number | string>;
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #firstLine = Promise.withResolvers<string>();
  #running = true;
  #said = '';

  constructor({ name, command, parameters, environment, folder, log }: ProgramOptions) {
    this.#name = name;
    const child = spawn(command, parameters, {
      cwd: folder,
      env: environment ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    const killAtExit = (): void => this.signal('SIGKILL');
    process.on('exit', killAtExit);
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve(code ?? String(signal)));
      child.once('error', ({ message }) => resolve(message));
    });
    void this.ended.then(() => {
      this.#running = false;
      process.off('exit', killAtExit);
    });
    createInterface({ input: child.stdout }).once('line', (line) => this.#firstLine.resolve(line));
    // A disk that is full is no reason to leave all that runs behind.
    const file = createWriteStream(log, { flags: 'a' }).on('error', ({ message }) => {
      this.#said += `(not in ${log}: ${message})\n`;
    });
    child.once('close', () => file.end());
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        file.write(text);
        this.#said = (this.#said + text).slice(-KEPT_CHARACTERS);
      });
    }
  }

  /** The first line that it prints. @throws UserError when it ends before, or takes too long */
  async line(withinMs: number): Promise<string> {
    return this.#before(this.#firstLine.promise, withinMs);
  }

  /** Resolves when a port takes connections. @throws UserError when it ends before, or takes too long */
  async listening(address: Address, withinMs: number): Promise<void> {
    const over = new AbortController();
    await this.#before(accepting(address, over.signal), withinMs).finally(() => over.abort());
  }

  /** To all of its group. */
  signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (!this.#running || pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has ended just now
    }
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  /** SIGTERM, then SIGKILL. @returns whether it ended by itself */
  async stop(withinMs: number): Promise<boolean> {
    let patient = true;
    const timer = setTimeout(() => {
      patient = false;
      this.signal('SIGKILL');
    }, withinMs);
    this.signal('SIGTERM');
    await this.ended;
    clearTimeout(timer);
    return patient;
  }

  async #before<T>(promise: Promise<T>, withinMs: number): Promise<T> {
    const over = new AbortController();
    try {
      return await Promise.race([
        promise,
        this.ended.then((how) => {
          throw new UserError(`${this.#name} ended (${how}) before it was ready:\n${this.#said}`);
        }),
        delay(withinMs, undefined, { signal: over.signal }).then(() => {
          throw new UserError(`${this.#name} was not ready within ${withinMs / 1_000} s:\n${this.#said}`);
        }),
      ]);
    } finally {
      over.abort();
    }
  }
}

async function accepting(address: Address, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && !(await accepts(address))) await delay(POLL_MS);
}

/** Whether something takes a connection there. */
export function accepts({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_WITHIN_MS });
    const end = (answer: boolean) => (): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('error', end(false)).once('timeout', end(false)).once('connect', end(true));
  });
}
