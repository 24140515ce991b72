/** Flows in a Node-RED process of their own, with probes that say what arrives and what is settled. */
import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Instance } from '../../nodes/adapter/instance.js';
import type { Leave } from '../../nodes/adapter/leave.js';
import type { LedgerReport } from '../../nodes/adapter/ledger-report.js';
import type { Message } from '../../nodes/lib/message.js';
import type { Arrival } from './probes.js';

export type FlowNode = Record<string, unknown> & { id: string; type: string };
export type Deployment = 'full' | 'flows' | 'nodes';

export interface Settled {
  readonly source: string;
  readonly payload: unknown;
}

type RequestBody =
  | { readonly type: 'deploy'; readonly flows: readonly FlowNode[]; readonly deployment: Deployment }
  | { readonly type: 'send' | 'send-in-deploy'; readonly source: string; readonly messages: readonly Message[] }
  | { readonly type: 'let-go'; readonly sinks: string; readonly error?: string | undefined }
  | { readonly type: 'turns'; readonly count: number }
  | { readonly type: 'leave'; readonly timeoutMs: number }
  | { readonly type: 'ledger' }
  | { readonly type: 'status' };

export type Request = RequestBody & { readonly id: number };

export type Reply =
  | { readonly type: 'started' }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: string }
  | { readonly type: 'arrived'; readonly arrival: Arrival }
  | { readonly type: 'refused'; readonly arrival: Arrival }
  | { readonly type: 'settled'; readonly settled: Settled }
  | { readonly type: 'log'; readonly level: number; readonly text: string };

/** More turns of the event loop than anything takes that a node does at once. */
const TURNS = 50;

export class Runtime {
  readonly arrivals: Arrival[] = [];
  /** What sinks have given back with an error, each time. */
  readonly refused: Arrival[] = [];
  readonly settled: Settled[] = [];
  readonly logged: string[] = [];
  readonly #child: ChildProcess;
  readonly #userDir: string;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  #requests = 0;

  private constructor(environment: NodeJS.ProcessEnv) {
    this.#userDir = mkdtempSync(join(tmpdir(), 'sluice-delivery-'));
    this.#child = fork(join(import.meta.dirname, 'runtime-process.ts'), [this.#userDir], {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.on('message', (reply: Reply) => this.#take(reply));
    this.#child.once('exit', (code) => {
      for (const { reject } of this.#answers.values()) reject(new Error(`the runtime has ended with ${code}`));
    });
  }

  /** @param environment - variables, which flows see too */
  static async start(environment: NodeJS.ProcessEnv = {}): Promise<Runtime> {
    const runtime = new Runtime(environment);
    await once(runtime.#changes, 'started');
    return runtime;
  }

  /** As `kill -9` does. */
  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
    rmSync(this.#userDir, { recursive: true, force: true });
  }

  /** Forgets what it has seen. */
  forget(): void {
    for (const list of [this.arrivals, this.refused, this.settled, this.logged]) list.length = 0;
  }

  async deploy(flows: readonly FlowNode[], deployment: Deployment = 'full'): Promise<void> {
    await this.#ask({ type: 'deploy', flows, deployment });
  }

  async send(source: string, messages: readonly Message[]): Promise<void> {
    await this.#ask({ type: 'send', source, messages });
  }

  /** In the next deploy, when the nodes that it closes are gone and those in their places are not there yet. */
  async sendInDeploy(source: string, messages: readonly Message[]): Promise<void> {
    await this.#ask({ type: 'send-in-deploy', source, messages });
  }

  /** Sinks whose ids begin so let go of what they have: it is stored, or has failed. */
  async letGo(sinks = '', error?: string): Promise<void> {
    await this.#ask({ type: 'let-go', sinks, error });
  }

  /** What nodes do at once, they have done. */
  async quiet(): Promise<void> {
    await this.#ask({ type: 'turns', count: TURNS });
  }

  /** Leaves its fleet for good, as far as it can in that time. The process goes on. */
  async leave(timeoutMs: number): Promise<Leave> {
    return (await this.#ask({ type: 'leave', timeoutMs })) as Leave;
  }

  async status(): Promise<ReturnType<Instance['report']>> {
    return (await this.#ask({ type: 'status' })) as ReturnType<Instance['report']>;
  }

  async ledger(): Promise<LedgerReport> {
    return (await this.#ask({ type: 'ledger' })) as LedgerReport;
  }

  /** Resolves when that is so. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#changes, 'change');
  }

  #ask(body: RequestBody): Promise<unknown> {
    const answer = Promise.withResolvers<unknown>();
    const id = this.#requests++;
    this.#answers.set(id, answer);
    this.#child.send({ ...body, id });
    return answer.promise;
  }

  #take(reply: Reply): void {
    switch (reply.type) {
      case 'started':
        this.#changes.emit('started');
        return;
      case 'answer': {
        const answer = this.#answers.get(reply.id);
        this.#answers.delete(reply.id);
        if (reply.error === undefined) answer?.resolve(reply.value);
        else answer?.reject(new Error(reply.error));
        return;
      }
      case 'arrived':
        this.arrivals.push(reply.arrival);
        break;
      case 'refused':
        this.refused.push(reply.arrival);
        break;
      case 'settled':
        this.settled.push(reply.settled);
        break;
      case 'log':
        this.logged.push(reply.text);
        break;
    }
    this.#changes.emit('change');
  }
}
