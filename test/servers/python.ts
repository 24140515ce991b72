import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { ServerMissing } from './server.js';

/** Debian's own, for which its packages are; another `python3` may come first on the PATH. */
const PYTHON = '/usr/bin/python3';

export interface Python {
  /** Runs a program until it ends or the suite does. */
  run(program: string, parameters: readonly string[], environment?: Readonly<Record<string, string>>): PythonProcess;
  stop(): Promise<void>;
}

export class PythonProcess {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #output = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#closed = once(child, 'close');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.#output += text));
    }
  }

  get output(): string {
    return this.#output;
  }

  /** Whether it still runs. */
  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#closed;
  }
}

/** Python with paho and pymongo, as Debian packages them. Throws `ServerMissing`. */
export async function startPython(): Promise<Python> {
  try {
    await promisify(execFile)(PYTHON, ['-c', 'import paho.mqtt.client, pymongo']);
  } catch {
    throw new ServerMissing(
      `the article's programs need ${PYTHON} with paho and pymongo (Debian: python3-paho-mqtt, python3-pymongo)`,
    );
  }
  const running = new Set<PythonProcess>();
  return {
    run(program, parameters, environment = {}) {
      const child = spawn(PYTHON, ['-u', program, ...parameters], {
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const killAtExit = (): void => void child.kill('SIGKILL');
      process.once('exit', killAtExit);
      child.once('exit', () => process.off('exit', killAtExit));
      const started = new PythonProcess(child);
      running.add(started);
      return started;
    },
    stop: async () => {
      await Promise.all([...running].map((process) => process.stop()));
    },
  };
}
