import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { UserError } from './user-error.js';

/**
 * A process of ours that ends with its parent: it holds an IPC channel, and leaves when that closes, also when the
 * parent was killed. It does not hear signals, which a terminal or a service manager sends to the whole group: its
 * parent decides in which order things stop.
 */
export class Child<FromChild extends { type: string }, ToChild extends { type: string } = never> {
  /** Resolves with the exit code, or the signal's name, when it has ended. */
  readonly ended: Promise<number | string>;
  readonly #process: ChildProcess;
  readonly #what: string;

  /**
   * @param what - what it is, for sentences
   * @param stderr - where its stderr goes; ours, where it is left out
   */
  constructor(
    what: string,
    file: string,
    parameters: readonly string[],
    environment: NodeJS.ProcessEnv,
    stderr?: Writable,
  ) {
    this.#what = what;
    // What it has to say to its parent goes by messages; its stdout is for whoever starts it by hand.
    const errors = stderr === undefined ? 'inherit' : 'pipe';
    this.#process = fork(file, parameters, { env: environment, stdio: ['ignore', 'ignore', errors, 'ipc'] });
    if (stderr !== undefined) this.#process.stderr?.setEncoding('utf8').pipe(stderr, { end: false });
    this.ended = once(this.#process, 'exit').then(([code, signal]) => (code as number | null) ?? String(signal));
  }

  onMessage(listener: (message: FromChild) => void): void {
    this.#process.on('message', listener);
  }

  send(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message);
  }

  /**
   * The next message of a type.
   *
   * @throws UserError when the process ends first
   */
  async next<T extends FromChild['type']>(type: T): Promise<Extract<FromChild, { type: T }>> {
    return new Promise((resolve, reject) => {
      const onMessage = (message: unknown): void => {
        if ((message as FromChild).type !== type) return;
        this.#process.off('message', onMessage);
        resolve(message as Extract<FromChild, { type: T }>);
      };
      this.#process.on('message', onMessage);
      void this.ended.then((how) =>
        reject(new UserError(`${this.#what} did not start (${how}): what it said stands above`)),
      );
    });
  }

  /** Closes the channel, which asks it to end. */
  release(): void {
    if (this.#process.connected) this.#process.disconnect();
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Resolves when it has ended, which it is made to after a time. @returns whether it ended by itself, without an error */
  async endedWithin(ms: number): Promise<boolean> {
    const timer = setTimeout(() => this.kill(), ms);
    const how = await this.ended;
    clearTimeout(timer);
    return how === 0;
  }
}
