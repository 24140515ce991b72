import { setTimeout as delay } from 'node:timers/promises';
import { FleetFolder } from '../fleet/launcher/folder.js';
import type { FleetStatus } from '../fleet/launcher/status.js';
import { isAlive } from '../launcher/run-file.js';
import { UserError } from '../launcher/user-error.js';
import { ask, type Answering } from './ask.js';

const ANSWER_MS = 5_000;
const LOOK_EVERY_MS = 100;

/** A fleet whose launcher runs on a user folder, as a command speaks to it. */
export class RunningFleet {
  readonly #place: Answering;
  readonly #pid: number;

  private constructor(place: Answering, pid: number) {
    this.#place = place;
    this.#pid = pid;
  }

  /** @throws UserError when none runs there */
  static async on(userDir: string): Promise<RunningFleet> {
    const folder = new FleetFolder(userDir);
    const running = await folder.file.running();
    if (running?.url === undefined) {
      throw new UserError(`expected a running fleet on ${folder.path}, got none: start it with sluice fleet up`);
    }
    return new RunningFleet({ url: running.url, token: running.token }, running.pid);
  }

  async status(): Promise<FleetStatus> {
    return (await this.get('status')) as FleetStatus;
  }

  async get(path: string): Promise<unknown> {
    return ask(this.#place, path, { withinMs: ANSWER_MS });
  }

  /** Resolves when it is done, with a sentence. @throws UserError with why it was not */
  async operate(path: string, body: object = {}): Promise<string> {
    const { message } = (await ask(this.#place, path, { method: 'POST', body })) as { message: string };
    return message;
  }

  /** Resolves when the launcher's process has ended. */
  async ended(): Promise<void> {
    while (isAlive(this.#pid)) await delay(LOOK_EVERY_MS);
  }
}
