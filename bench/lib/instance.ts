/** A whole instance for measurements: mosquitto, the document store and the runtime, each a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MongoClient } from 'mongodb';
import type { LedgerReport } from '../../nodes/adapter/ledger-report.js';
import { startOwnMosquitto, type OwnMosquitto } from '../../test/servers/mosquitto.js';
import { freePort } from '../../test/servers/server.js';

const root = join(import.meta.dirname, '../..');
const bin = join(root, 'runtime/bin/sluice.js');

/** What `GET /sluice/ledger` says. */
export interface State extends LedgerReport {
  readonly nodes: readonly { readonly type: string; readonly counters: Readonly<Record<string, number>> }[];
}

export type FlowNode = Record<string, unknown> & { type: string };

export class MeasuredInstance {
  readonly mqtt: string;
  readonly uri: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  readonly #broker: OwnMosquitto;
  readonly #storePort: number;
  readonly #children = new Set<ChildProcess>();
  #store: ChildProcess | undefined;
  #runtime: ChildProcess | undefined;
  #editor = '';

  private constructor(broker: OwnMosquitto, storePort: number) {
    this.#broker = broker;
    this.#storePort = storePort;
    this.mqtt = `mqtt://127.0.0.1:${broker.port}`;
    this.uri = `mongodb://127.0.0.1:${storePort}/bench`;
    process.once('exit', () => {
      for (const child of this.#children) child.kill('SIGKILL');
      rmSync(this.#folder, { recursive: true, force: true });
    });
  }

  /** @param change - of each node of the flow of bench/chaos, which runs without its devices */
  static async start(change: (node: FlowNode) => FlowNode = (node) => node): Promise<MeasuredInstance> {
    const instance = new MeasuredInstance(await startOwnMosquitto(), await freePort());
    await instance.startStore();
    const flow = JSON.parse(readFileSync(join(root, 'bench/chaos/sluice.json'), 'utf8')) as FlowNode[];
    const file = join(instance.#folder, 'flow.json');
    writeFileSync(file, JSON.stringify(flow.filter(({ type }) => type !== 'device-simulator').map(change)));
    instance.#runtime = instance.sluice(
      ['start', file, '--json', '--user-dir', join(instance.#folder, 'user'), '--port', '0'],
      { MQTT_URL: instance.mqtt, MONGODB_URI: instance.uri, S3_URL: `file://${join(instance.#folder, 'objects')}` },
    );
    ({ editor: instance.#editor } = JSON.parse(await firstLine(instance.#runtime)) as { editor: string });
    return instance;
  }

  async startStore(): Promise<void> {
    const folder = join(this.#folder, 'store');
    this.#store = this.sluice(['store', '--dir', folder, '--port', String(this.#storePort), '--json']);
    await firstLine(this.#store);
  }

  async killStore(): Promise<void> {
    await end(this.#store, 'SIGKILL');
  }

  /** Runs a command of Sluice. */
  sluice(parameters: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn(process.execPath, [bin, ...parameters], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async state(): Promise<State> {
    return (await (await fetch(`${this.#editor}sluice/ledger`)).json()) as State;
  }

  /** Of the runtime, resident, in MiB. */
  async memory(): Promise<number> {
    const text = await (await fetch(`${this.#editor}sluice/metrics`)).text();
    return Number(/^process_resident_memory_bytes\{[^}]*\} (\S+)$/m.exec(text)?.[1]) / 1024 / 1024;
  }

  /** The documents that are stored, by a client of its own. */
  client(): MongoClient {
    return new MongoClient(this.uri);
  }

  /** What the broker has logged. */
  log(): string {
    return this.#broker.output();
  }

  async stop(): Promise<void> {
    await end(this.#runtime, 'SIGTERM');
    await end(this.#store, 'SIGTERM');
    await this.#broker.stop();
  }
}

/** A counter, summed over the nodes of a type. */
export function counted(nodes: State['nodes'], type: string, name: string): number {
  return nodes.filter((node) => node.type === type).reduce((sum, { counters }) => sum + (counters[name] ?? 0), 0);
}

async function firstLine(child: ChildProcess): Promise<string> {
  const [line] = (await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line')) as [string];
  return line;
}

async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child?.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
