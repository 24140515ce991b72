import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { RunFile, type RunningProcess } from './run-file.js';
import { UserError } from './user-error.js';

/** `<user folder>/instance.json`. */
export interface InstanceFile extends RunningProcess {
  readonly name: string;
}

/** The folder that holds all that an instance keeps: its flows, its secret, and the data of what is embedded. */
export class UserFolder {
  readonly path: string;
  readonly #instanceFile: RunFile<InstanceFile>;

  constructor(path: string) {
    this.path = resolve(path);
    this.#instanceFile = new RunFile(join(this.path, 'instance.json'));
  }

  get store(): string {
    return join(this.path, 'store');
  }

  get objects(): string {
    return join(this.path, 'objects');
  }

  /**
   * Takes the folder for this process.
   *
   * @throws UserError when another instance runs on it
   */
  async claim(name: string): Promise<InstanceFile> {
    mkdirSync(this.path, { recursive: true });
    const other = await this.running();
    if (other !== undefined) {
      const where = other.url === undefined ? '' : ` at ${other.url}`;
      throw new UserError(
        `expected a user folder that no instance runs on, got ${this.path}, where process ${other.pid} runs${where}: ` +
          'stop it, or choose another with --user-dir',
      );
    }
    const file: InstanceFile = { pid: process.pid, name, token: randomBytes(32).toString('base64url') };
    this.write(file);
    return file;
  }

  /** The instance that runs on this folder, undefined when there is none. */
  running(): Promise<InstanceFile | undefined> {
    return this.#instanceFile.running();
  }

  write(file: InstanceFile): void {
    this.#instanceFile.write(file);
  }

  release(): void {
    this.#instanceFile.release();
  }

  /** What encrypts the flows' credentials: made once. */
  credentialSecret(): string {
    const path = join(this.path, 'credential-secret');
    if (!existsSync(path)) writeFileSync(path, randomBytes(32).toString('base64url'), { mode: 0o600 });
    return readFileSync(path, 'utf8').trim();
  }

  /**
   * Puts a flow file into a new folder. A folder that has flows keeps them, with what the user deployed.
   *
   * @param flow - a flow file, undefined for the default flow where the folder has none
   * @throws UserError when the folder was made from another flow file, or the file is not a flow
   */
  installFlow(flow: string | undefined, replace: boolean): void {
    const flows = join(this.path, 'flows.json');
    const origin = join(this.path, 'flow-origin.json');
    const present = existsSync(flows);
    const source = resolve(flow ?? defaultFlow());
    if (present) {
      if (flow === undefined && !replace) return;
      const from = existsSync(origin)
        ? (JSON.parse(readFileSync(origin, 'utf8')) as { flow: string }).flow
        : 'flows of its own';
      if (from === source) return;
      if (!replace)
        throw new UserError(
          `expected a user folder made from ${source}, got ${this.path}, which was made from ${from}: ` +
            'add --replace (its flows are kept as flows.json.replaced), or choose another with --user-dir',
        );
    }
    const text = readFlow(source);
    if (present) copyFileSync(flows, `${flows}.replaced`);
    writeFileSync(flows, text);
    writeFileSync(origin, `${JSON.stringify({ flow: source })}\n`);
  }
}

/** The flow that a new folder gets: beside this package's code when it is installed, in the repository's folder else. */
function defaultFlow(): string {
  const file = 'flows/devices-to-mongo-and-s3.json';
  const installed = join(import.meta.dirname, '../..', file);
  return existsSync(installed) ? installed : join(import.meta.dirname, '../../..', file);
}

function readFlow(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(`expected a flow file, got ${path}, which cannot be read`, { cause: error });
  }
  try {
    if (!Array.isArray(JSON.parse(text))) throw new TypeError('not an array');
  } catch (error) {
    throw new UserError(
      `expected ${basename(path)} to be a JSON array of nodes, as Node-RED exports it, got something else`,
      {
        cause: error,
      },
    );
  }
  return text;
}
