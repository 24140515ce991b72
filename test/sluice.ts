/** The `sluice` command as a real process. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { readdirSync, readFileSync } from 'node:fs';
import { MongoClient, type Document } from 'mongodb';

const BIN = join(import.meta.dirname, '../runtime/bin/sluice.js');

export interface Ready {
  readonly ready: true;
  readonly editor: string;
  readonly mqtt: string;
  readonly mongodb: string;
  readonly objects: string;
  readonly userDir: string;
  readonly pid: number;
}

/** What `GET /sluice/status` says of a node. */
export interface NodeStatus {
  readonly id: string;
  readonly type: string;
  readonly level: string;
  readonly status: string;
  readonly open: number;
  readonly counters: Readonly<Record<string, number>>;
}

export interface Result {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A process of the command; its streams are kept. */
export class Sluice {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
  #stdout = '';
  #stderr = '';

  /** @param prefix - a command that starts the one behind it */
  constructor(parameters: readonly string[], environment: Environment = {}, prefix: readonly string[] = []) {
    const { MQTT_URL, MONGODB_URI, S3_URL, SLUICE_NAME, ...rest } = process.env;
    const [command = '', ...all] = [...prefix, process.execPath, BIN, ...parameters];
    this.child = spawn(command, all, {
      env: { ...rest, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true, // a process group of its own, as under a service manager
    });
    const killAtExit = (): void => void this.child.kill('SIGKILL');
    process.once('exit', killAtExit);
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.#stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      process.off('exit', killAtExit);
      return {
        code: code as number | null,
        signal: signal as NodeJS.Signals | null,
        stdout: this.#stdout,
        stderr: this.#stderr,
      };
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** The first line on stdout. @throws Error with stderr when the process ends before */
  async line(): Promise<string> {
    const lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream });
    const [first] = (await Promise.race([
      once(lines, 'line'),
      this.ended.then(({ code, stderr }) => {
        throw new Error(`sluice ended with ${String(code)} before it said anything:\n${stderr}`);
      }),
    ])) as [string];
    return first;
  }

  /** The processes that it has started: `[pid, command line]`. */
  children(): [number, string][] {
    const text = execFileSync('ps', ['-o', 'pid=,args=', '--ppid', String(this.child.pid)], { encoding: 'utf8' });
    return text
      .trim()
      .split('\n')
      .map((line) => [Number.parseInt(line, 10), line.trim().replace(/^\d+ /, '')]);
  }

  /** Signals the whole process group, as a service manager does. */
  async stopGroup(signal: NodeJS.Signals): Promise<Result> {
    process.kill(-(this.child.pid ?? 0), signal);
    return this.ended;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Result> {
    this.child.kill(signal);
    return this.ended;
  }
}

/** A `sluice start` that is ready, on free ports. */
export class RunningSluice extends Sluice {
  ready!: Ready;

  static async start(
    userDir: string,
    parameters: readonly string[] = [],
    environment: Environment = {},
  ): Promise<RunningSluice> {
    const ports = ['--port', '0', '--mqtt-port', '0', '--mongodb-port', '0'];
    const sluice = new RunningSluice(['start', ...parameters, '--json', '--user-dir', userDir, ...ports], environment);
    sluice.ready = JSON.parse(await sluice.line()) as Ready;
    return sluice;
  }

  async nodes(): Promise<NodeStatus[]> {
    const response = await fetch(`${this.ready.editor}sluice/status`);
    return ((await response.json()) as { nodes: NodeStatus[] }).nodes;
  }

  /** The types of the palette that Node-RED has loaded. */
  async nodeTypes(): Promise<string[]> {
    const response = await fetch(`${this.ready.editor}nodes`, { headers: { Accept: 'application/json' } });
    const sets = (await response.json()) as { id: string; types: string[] }[];
    return sets.filter(({ id }) => id.startsWith('@sluice/node-red/')).flatMap(({ types }) => types);
  }

  /** A counter, summed over the nodes of a type. */
  async count(type: string, counter: string): Promise<number> {
    const nodes = (await this.nodes()).filter((node) => node.type === type);
    return nodes.reduce((sum, { counters }) => sum + (counters[counter] ?? 0), 0);
  }
}

/** Runs the command to its end. */
export async function runSluice(
  parameters: readonly string[],
  environment: Environment = {},
  input = '',
): Promise<Result> {
  const sluice = new Sluice(parameters, environment);
  sluice.child.stdin?.end(input);
  return sluice.ended;
}

export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Asks until the answer holds. @throws Error with the last answer when it does not within the time */
export async function until<T>(
  ask: () => T | Promise<T>,
  holds: (answer: T) => boolean,
  withinMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (Date.now() > deadline)
      throw new Error(`expected another answer within ${withinMs} ms, got ${JSON.stringify(answer)}`);
    await delay(50);
  }
}

async function withDatabase<T>(uri: string, use: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000 });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

export async function documents(uri: string, collection: string): Promise<Document[]> {
  return withDatabase(uri, (client) => client.db().collection(collection).find().toArray());
}

/** The lines of all objects of a local folder. */
export function objectLines(folder: string): Record<string, unknown>[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ndjson.gz'))
    .flatMap((name) =>
      gunzipSync(readFileSync(join(folder, name)))
        .toString()
        .trimEnd()
        .split('\n'),
    )
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
