import { messageOf, UserError } from '../launcher/user-error.js';
import { UserFolder } from '../launcher/user-folder.js';

const ANSWER_MS = 5_000;

/** An instance that runs on a user folder, as a command speaks to it: by the admin endpoints of the palette. */
export class RunningInstance {
  readonly url: string;
  readonly #token: string;

  private constructor(url: string, token: string) {
    this.url = url;
    this.#token = token;
  }

  /** @throws UserError when none runs there */
  static async on(userDir: string): Promise<RunningInstance> {
    const folder = new UserFolder(userDir);
    const running = await folder.running();
    if (running?.url !== undefined) return new RunningInstance(running.url, running.token);
    const got = running === undefined ? 'none' : 'one that is still starting';
    throw new UserError(`expected a running instance on ${folder.path}, got ${got}: start it with sluice start`);
  }

  /** @param path - behind the address: `sluice/status`. @throws UserError with what the instance says of it */
  async get(path: string): Promise<unknown> {
    return this.#ask(path, { method: 'GET' });
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return this.#ask(path, { method: 'POST', body: JSON.stringify(body) });
  }

  async #ask(path: string, request: RequestInit): Promise<unknown> {
    const { url } = this;
    let response: Response;
    try {
      response = await fetch(`${url}${path}`, {
        ...request,
        headers: { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/json' },
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      if (response.ok) return await response.json();
    } catch (error) {
      throw new UserError(`expected an answer from ${url}, got ${messageOf(error)}`, { cause: error });
    }
    const { message } = (await response.json().catch(() => ({}))) as { message?: string };
    throw new UserError(message ?? `expected an answer from ${url}${path}, got HTTP ${response.status}`);
  }
}
