import type { InstanceReply } from '../../launcher/instance-protocol.js';
import { SupervisedInstance, type InstanceSettings } from '../../launcher/supervised-instance.js';
import { UserError } from '../../launcher/user-error.js';
import type { InstanceReport } from '../report/instance-report.js';
import type { WorkersNode } from '../report/node-report.js';

/**
 * - `starting`: also again, after it has ended
 * - `failed`: it ended too often, and is not started any more
 */
export type ProcessState = 'starting' | 'running' | 'draining' | 'leaving' | 'stopped' | 'failed';

/** An instance that says nothing for so long hangs, though its process lives. */
const SILENT_MS = 15_000;
/** To its first word: Node-RED loads every node that is installed. */
const FIRST_WORD_MS = 90_000;
const LOOK_EVERY_MS = 1_000;
const ANSWER_WITHIN_MS = 10_000;

export interface SlotSettings extends InstanceSettings {
  readonly onReport: (report: InstanceReport) => void;
  /** Told why it is not started any more. */
  readonly onFailure?: (sentence: string) => void;
}

/** The process of a slot on this machine: kept running, killed when it hangs, and stopped or restarted when asked. */
export class SlotProcess {
  readonly #settings: SlotSettings;
  readonly #requests = new Map<number, (message: InstanceReply) => void>();
  #instance: SupervisedInstance | undefined;
  #state: ProcessState = 'stopped';
  #report: InstanceReport | undefined;
  #heardAt = 0;
  #watch: NodeJS.Timeout | undefined;
  #runs = 0;
  #hangs = 0;
  #failure: string | undefined;
  #begun = false;

  constructor(settings: SlotSettings) {
    this.#settings = settings;
  }

  get state(): ProcessState {
    return this.#state;
  }

  /** The last one. */
  get report(): InstanceReport | undefined {
    return this.#report;
  }

  /** Why it is not started any more. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** How often it was started again because it had ended, or hung. */
  get restarts(): number {
    return Math.max(0, this.#runs - 1);
  }

  get hangs(): number {
    return this.#hangs;
  }

  get url(): string {
    return this.#instance?.url ?? '';
  }

  /** Resolves when it runs, or has failed for good. */
  async start(): Promise<void> {
    const instance = new SupervisedInstance(this.#settings);
    this.#instance = instance;
    this.#state = 'starting';
    this.#failure = undefined;
    this.#runs = 0;
    instance.onLaunch(() => {
      this.#runs++;
      this.#await(FIRST_WORD_MS);
      if (this.#state === 'running') this.#state = 'starting';
    });
    instance.onMessage((message) => {
      if (instance === this.#instance) this.#onMessage(message);
    });
    this.#watch = setInterval(() => this.#killSilent(instance), LOOK_EVERY_MS);
    void instance.failed.then((why) => this.#fail(why));
    await instance.keep();
  }

  /** @returns whether it ended as it should; after a leave, whether it has ended its sessions too */
  async stop(how: 'drain' | 'leave'): Promise<boolean> {
    clearInterval(this.#watch);
    if (this.#instance === undefined) return true;
    const failed = this.#state === 'failed';
    const running = this.#instance;
    this.#state = how === 'leave' ? 'leaving' : 'draining';
    const clean = await running.stop(how);
    this.#state = failed ? 'failed' : 'stopped';
    return how === 'leave' ? !failed && this.#report?.state === 'left' : clean;
  }

  /** There are workers who take what its devices send, from now on. */
  begin(): void {
    this.#begun = true;
    this.#instance?.send({ type: 'begin' });
  }

  /** Tells the editor instance what runs on the workers, and how it does there. */
  show(nodes: readonly WorkersNode[]): void {
    this.#instance?.send({ type: 'workers-nodes', nodes });
  }

  /** Asks the process something. @throws UserError when it says no, or nothing */
  async ask(request: { type: 'history' } | { type: 'rollback'; revision: number; author: string }): Promise<unknown> {
    const id = Math.max(0, ...this.#requests.keys()) + 1;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const none = new UserError(`expected an answer from ${this.#settings.what}, got none`);
    const timer = setTimeout(() => reject(none), ANSWER_WITHIN_MS);
    this.#requests.set(id, (message) => {
      if (message.type === 'answer') resolve(message.value);
      else if (message.type === 'refusal') reject(new UserError(message.sentence));
    });
    if (this.#instance?.send({ ...request, id }) !== true) reject(none);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#requests.delete(id);
    }
  }

  #onMessage(message: InstanceReply): void {
    if (message.type === 'answer' || message.type === 'refusal') this.#requests.get(message.id)?.(message);
    if (message.type === 'ready' && this.#state === 'starting') this.#state = 'running';
    if (message.type === 'ready' && this.#begun) this.begin();
    if (message.type !== 'report') return;
    this.#await(SILENT_MS);
    this.#report = message.report;
    this.#settings.onReport(message.report);
  }

  /** Its next word should come within so long. */
  #await(ms: number): void {
    this.#heardAt = performance.now() - SILENT_MS + ms;
  }

  #killSilent(instance: SupervisedInstance): void {
    if (this.#state !== 'running' && this.#state !== 'starting') return;
    if (performance.now() - this.#heardAt < SILENT_MS) return;
    const { what, say } = this.#settings;
    this.#hangs++;
    this.#await(FIRST_WORD_MS);
    say(`${what} has said nothing for ${SILENT_MS / 1_000} s although its process lives: it is killed`);
    instance.kill();
  }

  #fail(why: string): void {
    clearInterval(this.#watch);
    this.#state = 'failed';
    this.#failure = why;
    this.#settings.say(`${why}: it is not started again`);
    this.#settings.onFailure?.(why);
  }
}
