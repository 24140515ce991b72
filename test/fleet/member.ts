/** A member of a fleet, in a process of its own. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FlowRevision, FlowState } from '../../runtime/fleet/flows/member.js';
import type { InstanceOptions } from '../../runtime/launcher/instance-protocol.js';
import { until } from '../sluice.js';

export type StartOptions = InstanceOptions & Required<Pick<InstanceOptions, 'fleet'>>;

export type RequestBody =
  | { readonly type: 'state' | 'history' | 'stop' }
  | { readonly type: 'rollback'; readonly revision: number }
  | { readonly type: 'running'; readonly ids: readonly string[] }
  | { readonly type: 'credentials'; readonly node: string }
  | { readonly type: 'mark'; readonly node: string; readonly mark: string }
  | { readonly type: 'environment'; readonly name: string };
export type Request = RequestBody & { readonly id: number };

export type Reply =
  | { readonly type: 'ready'; readonly url: string; readonly problem?: string }
  | { readonly type: 'deployed'; readonly deployment: string }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: string };

export type FlowNode = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

export interface MemberOptions {
  readonly folder: string;
  readonly brokerUrl: string;
  readonly fleet?: string;
  readonly slot: number;
  readonly secret?: string;
  readonly remote?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
  readonly passwordHash?: string;
  /** What an editor's new folder holds. */
  readonly flows?: readonly FlowNode[];
}

export const SECRET = 'a secret of the tests';
export const FLEET = 'press';

export class Member {
  readonly userDir: string;
  url = '';
  problem: string | undefined;
  /** How the flows were deployed, each time. */
  readonly deployments: string[] = [];
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ready = Promise.withResolvers<void>();
  #requests = 0;
  #log = '';

  private constructor(options: MemberOptions) {
    const { folder, fleet = FLEET, slot, brokerUrl, secret = SECRET, remote, passwordHash, flows } = options;
    this.userDir = join(folder, `${fleet}-${slot}`);
    if (flows !== undefined && !existsSync(this.userDir)) {
      mkdirSync(this.userDir, { recursive: true });
      writeFileSync(join(this.userDir, 'flows.json'), JSON.stringify(flows));
    }
    const { MQTT_URL, MONGODB_URI, S3_URL, ...environment } = process.env;
    this.#child = fork(join(import.meta.dirname, 'member-process.ts'), [], {
      execArgv: ['--import', 'tsx'],
      env: {
        ...environment,
        SLUICE_FLEET: fleet,
        SLUICE_SLOT: String(slot),
        SLUICE_NAME: `${fleet}-${slot}`,
        ...options.environment,
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    this.#child.on('message', (reply: Reply) => this.#take(reply));
    this.#child.once('exit', (code) => {
      const error = new Error(`the member has ended with ${code}:\n${this.#log}`);
      this.#ready.reject(error);
      for (const { reject } of this.#answers.values()) reject(error);
    });
    const start: StartOptions = {
      ...{ userDir: this.userDir, host: '127.0.0.1', port: 0, credentialSecret: 'of the tests', token: 'token' },
      ...(passwordHash !== undefined && { passwordHash }),
      fleet: { fleet, slot, brokerUrl, secret, ...(remote !== undefined && { remote }) },
    };
    this.#child.send(start);
  }

  static async start(options: MemberOptions): Promise<Member> {
    const member = new Member(options);
    await member.#ready.promise;
    return member;
  }

  /** What it has written to its log. */
  get log(): string {
    return this.#log;
  }

  state(): Promise<FlowState> {
    return this.#ask({ type: 'state' }) as Promise<FlowState>;
  }

  history(): Promise<FlowRevision[]> {
    return this.#ask({ type: 'history' }) as Promise<FlowRevision[]>;
  }

  rollback(revision: number): Promise<number> {
    return this.#ask({ type: 'rollback', revision }) as Promise<number>;
  }

  /** Those of the nodes that run. */
  running(...ids: string[]): Promise<string[]> {
    return this.#ask({ type: 'running', ids }) as Promise<string[]>;
  }

  /** Marks a running node. @returns the mark that it had: gone when the node was started anew */
  mark(node: string, mark: string): Promise<unknown> {
    return this.#ask({ type: 'mark', node, mark });
  }

  credentials(node: string): Promise<unknown> {
    return this.#ask({ type: 'credentials', node });
  }

  environment(name: string): Promise<unknown> {
    return this.#ask({ type: 'environment', name });
  }

  /** Deploys as the editor does. */
  async deploy(
    flows: readonly FlowNode[],
    credentials?: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const response = await fetch(`${this.url}flows`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Node-RED-API-Version': 'v2', ...headers },
      body: JSON.stringify({ flows, ...(credentials !== undefined && { credentials }) }),
    });
    if (!response.ok)
      throw new Error(`expected the deploy to be taken, got ${response.status} ${await response.text()}`);
  }

  /** Until it runs a revision. */
  runs(revision: number): Promise<FlowState> {
    return until(
      () => this.state(),
      (state) => state.revision === revision,
    );
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    void this.#ask({ type: 'stop' }).catch(() => undefined);
    await ended;
  }

  async kill(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(body: RequestBody): Promise<unknown> {
    const id = ++this.#requests;
    const answer = Promise.withResolvers<unknown>();
    this.#answers.set(id, answer);
    this.#child.send({ ...body, id });
    return answer.promise.finally(() => this.#answers.delete(id));
  }

  #take(reply: Reply): void {
    if (reply.type === 'ready') {
      this.url = reply.url;
      this.problem = reply.problem;
      this.#ready.resolve();
    } else if (reply.type === 'deployed') this.deployments.push(reply.deployment);
    else if (reply.error === undefined) this.#answers.get(reply.id)?.resolve(reply.value);
    else this.#answers.get(reply.id)?.reject(new Error(reply.error));
  }
}
