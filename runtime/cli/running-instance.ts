import { UserError } from '../launcher/user-error.js';
import { UserFolder } from '../launcher/user-folder.js';
import { ask, type Answering } from './ask.js';

const ANSWER_MS = 5_000;

/** An instance that runs on a user folder, as a command speaks to it: by the admin endpoints of the palette. */
export class RunningInstance {
  readonly url: string;
  readonly #place: Answering;

  private constructor(place: Answering) {
    this.url = place.url;
    this.#place = place;
  }

  /** @throws UserError when none runs there */
  static async on(userDir: string): Promise<RunningInstance> {
    const folder = new UserFolder(userDir);
    const running = await folder.running();
    if (running?.url !== undefined) return new RunningInstance({ url: running.url, token: running.token });
    const got = running === undefined ? 'none' : 'one that is still starting';
    throw new UserError(`expected a running instance on ${folder.path}, got ${got}: start it with sluice start`);
  }

  /** @param path - behind the address: `sluice/status`. @throws UserError with what the instance says of it */
  async get(path: string): Promise<unknown> {
    return ask(this.#place, path, { withinMs: ANSWER_MS });
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return ask(this.#place, path, { method: 'POST', body, withinMs: ANSWER_MS });
  }
}
