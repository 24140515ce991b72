import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import type { InstanceFile } from '../launcher/user-folder.js';
import { Program } from './program.js';

const BIN = join(import.meta.dirname, '../../bin/sluice.js');
const READY_WITHIN_MS = 90_000;
/** More than `sluice start` gives itself. */
const STOP_WITHIN_MS = 60_000;
const ANSWER_WITHIN_MS = 5_000;
/** The close handlers of a deploy have 15 s. */
const DEPLOY_WITHIN_MS = 60_000;

export type DeployKind = 'full' | 'flows' | 'nodes';

/** What `GET /sluice/ledger` answers. */
export interface Ledger {
  readonly balanced: boolean;
  /** How many more deliveries came in than can be accounted for. */
  readonly gap: number;
  readonly inFlight: number;
  readonly spooled: number;
}

type FlowNode = Readonly<Record<string, unknown>>;

export interface InstanceSettings {
  readonly flow: string;
  readonly userFolder: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** `sluice start` as a process, with the Node-RED that it starts. */
export class ChaosInstance {
  readonly #settings: InstanceSettings;
  #program: Program | undefined;

  constructor(settings: InstanceSettings) {
    this.#settings = settings;
  }

  async start(): Promise<void> {
    const { flow, userFolder, environment } = this.#settings;
    this.#program = new Program({
      name: 'the runtime',
      command: process.execPath,
      parameters: [BIN, 'start', flow, '--user-dir', userFolder, '--port', '0', '--json'],
      environment: { ...process.env, ...environment },
      folder: userFolder,
      log: `${userFolder}.log`,
    });
    await this.#program.line(READY_WITHIN_MS);
  }

  kill(): Promise<void> {
    return this.#program?.kill() ?? Promise.resolve();
  }

  /** @returns whether it ended by itself: what it held is stored, or on disk */
  async stop(): Promise<boolean> {
    return (await this.#program?.stop(STOP_WITHIN_MS)) ?? true;
  }

  /** Gives the flow again with one node renamed, which makes it anew. @param which - from 0 to 1 */
  async redeploy(kind: DeployKind, which: number): Promise<void> {
    const flow = (await this.#ask('flows')) as FlowNode[];
    const nodes = flow.filter(({ z, wires }) => z !== undefined && wires !== undefined);
    const chosen = nodes[Math.floor(which * nodes.length)];
    const renamed = flow.map((node) => (node === chosen ? { ...node, name: `${nameOf(node)}'` } : node));
    await this.#ask('flows', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Node-RED-Deployment-Type': kind },
      body: JSON.stringify(renamed),
      signal: AbortSignal.timeout(DEPLOY_WITHIN_MS),
    });
  }

  /** How many messages it holds, in its nodes and on its disk; undefined when it does not say. */
  async held(): Promise<number | undefined> {
    try {
      const { nodes } = (await this.#ask('sluice/status')) as { readonly nodes: readonly { readonly open: number }[] };
      const { inFlight = 0, spooled = 0 } = (await this.ledger()) ?? {};
      return nodes.reduce((sum, { open }) => sum + open, inFlight + spooled);
    } catch (error) {
      if (error instanceof UserError) return undefined; // it has no answer now
      throw error;
    }
  }

  /** @returns undefined where the runtime serves none */
  async ledger(): Promise<Ledger | undefined> {
    const response = await this.#fetch('sluice/ledger', {});
    if (response.status === 404) return undefined;
    if (!response.ok) throw new UserError(`expected the ledger of the runtime, got HTTP ${response.status}`);
    return (await response.json()) as Ledger;
  }

  async #ask(path: string, request: RequestInit = {}): Promise<unknown> {
    const response = await this.#fetch(path, request);
    const text = await response.text();
    if (!response.ok)
      throw new UserError(`expected an answer to ${path} of the runtime, got HTTP ${response.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  async #fetch(path: string, request: RequestInit): Promise<Response> {
    const file = JSON.parse(readFileSync(join(this.#settings.userFolder, 'instance.json'), 'utf8')) as InstanceFile;
    const headers = { ...(request.headers as Record<string, string>), Authorization: `Bearer ${file.token}` };
    try {
      const signal = request.signal ?? AbortSignal.timeout(ANSWER_WITHIN_MS);
      return await fetch(`${file.url ?? ''}${path}`, { ...request, headers, signal });
    } catch (error) {
      throw new UserError(`expected an answer to ${path} of the runtime, got ${messageOf(error)}`, { cause: error });
    }
  }
}

function nameOf({ name }: FlowNode): string {
  return typeof name === 'string' ? name : '';
}
