import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from './user-error.js';

/** How a command finds a running instance: `<user folder>/instance.json`, readable by its owner only. */
export interface InstanceFile {
  readonly pid: number;
  readonly name: string;
  /** Lets the reader in at the admin API, as `Authorization: Bearer`. Made at each start. */
  readonly token: string;
  /** The editor's URL; missing while the instance starts. */
  readonly url?: string;
}

/** An instance that has no address yet is starting, for so long. */
const STARTING_MS = 60_000;
const ANSWER_MS = 2_000;

/** The folder that holds all that an instance keeps: its flows, its secret, and the data of what is embedded. */
export class UserFolder {
  readonly path: string;
  readonly #instanceFile: string;

  constructor(path: string) {
    this.path = resolve(path);
    this.#instanceFile = join(this.path, 'instance.json');
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
  async running(): Promise<InstanceFile | undefined> {
    if (!existsSync(this.#instanceFile)) return undefined;
    let file: InstanceFile;
    try {
      file = JSON.parse(readFileSync(this.#instanceFile, 'utf8')) as InstanceFile;
    } catch {
      return undefined; // of another version, or no file of ours
    }
    if (file.pid === process.pid || !isAlive(file.pid)) return undefined;
    // After a power cut the pid may be another program's: the instance itself has to answer.
    if (file.url !== undefined) return (await answers(file.url)) ? file : undefined;
    return Date.now() - statSync(this.#instanceFile).mtimeMs < STARTING_MS ? file : undefined;
  }

  write(file: InstanceFile): void {
    // Written aside and renamed: a reader sees the old one or the new one, never half of it.
    const next = `${this.#instanceFile}.${process.pid}`;
    writeFileSync(next, `${JSON.stringify(file)}\n`, { mode: 0o600 });
    renameSync(next, this.#instanceFile);
  }

  release(): void {
    rmSync(this.#instanceFile, { force: true });
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

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(`${url}sluice/status`, { signal: AbortSignal.timeout(ANSWER_MS) });
    return true; // also when it asks for a login
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
