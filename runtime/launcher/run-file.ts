import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';

/** How a command finds a running process: a file in its folder, readable by its owner only. */
export interface RunningProcess {
  readonly pid: number;
  /** Lets the reader in, as `Authorization: Bearer`. Made at each start. */
  readonly token: string;
  /** Where it answers; missing while it starts. */
  readonly url?: string;
}

/** One that has no address yet is starting, for so long. */
const STARTING_MS = 60_000;
const ANSWER_MS = 2_000;

export class RunFile<T extends RunningProcess> {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** The other process that has written it and runs, undefined when there is none. */
  async running(): Promise<T | undefined> {
    if (!existsSync(this.#path)) return undefined;
    let file: T;
    try {
      file = JSON.parse(readFileSync(this.#path, 'utf8')) as T;
    } catch {
      return undefined; // of another version, or no file of ours
    }
    if (file.pid === process.pid || !isAlive(file.pid)) return undefined;
    // After a power cut the pid may be another program's: the process itself has to answer.
    if (file.url !== undefined) return (await answers(file.url)) ? file : undefined;
    return Date.now() - statSync(this.#path).mtimeMs < STARTING_MS ? file : undefined;
  }

  write(file: T): void {
    writePrivate(this.#path, `${JSON.stringify(file)}\n`);
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }
}

/** For its owner's eyes; written aside and renamed, so that a reader sees the old text or the new, never half of it. */
export function writePrivate(path: string, text: string): void {
  const next = `${path}.${process.pid}`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
}

async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(ANSWER_MS) });
    return true; // also when it asks for a login
  } catch {
    return false;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
