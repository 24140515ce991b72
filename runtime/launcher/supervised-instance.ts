import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { Child } from './child.js';
import { environment } from './environment.js';
import type { FleetOptions, InstanceReply, InstanceRequest } from './instance-protocol.js';
import { takenSentence } from './ports.js';
import { Supervisor } from './supervisor.js';
import type { InstanceFile, UserFolder } from './user-folder.js';

export interface InstanceSettings {
  /** What it is, for sentences. */
  readonly what: string;
  readonly folder: UserFolder;
  readonly file: InstanceFile;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly environment: NodeJS.ProcessEnv;
  readonly fleet?: FleetOptions;
  /** Where its stderr goes. Default: to ours. */
  readonly stderr?: Writable;
  readonly say: (sentence: string) => void;
}

type InstanceChild = Child<InstanceReply, InstanceRequest>;

/** Longer than Node-RED gives a node to close (15 s), and the drain, or the leave, before it. */
const STOP_LIMIT_MS = { drain: 40_000, leave: 60_000 };

/** A Node-RED process that is kept running. Its address is known, and stands in the folder's file, when it has started. */
export class SupervisedInstance {
  readonly #settings: InstanceSettings;
  readonly #supervisor: Supervisor<InstanceChild>;
  readonly #listeners: ((message: InstanceReply) => void)[] = [];
  readonly #launchListeners: (() => void)[] = [];
  #port: number;
  #url = '';

  constructor(settings: InstanceSettings) {
    this.#settings = settings;
    this.#port = settings.port;
    this.#supervisor = new Supervisor(
      settings.what,
      () => this.#launch(),
      (child) => this.#ready(child),
      settings.say,
    );
  }

  get url(): string {
    return this.#url;
  }

  /** Resolves with a sentence when it has ended and will not be started again. */
  get failed(): Promise<string> {
    return this.#supervisor.failed;
  }

  /** @param listener - told of what any of its processes says */
  onMessage(listener: (message: InstanceReply) => void): void {
    this.#listeners.push(listener);
  }

  /** @param listener - told whenever a process is started */
  onLaunch(listener: () => void): void {
    this.#launchListeners.push(listener);
  }

  /** @throws UserError when it ends before it has started */
  async start(): Promise<void> {
    await this.#supervisor.start();
  }

  /** A start that is tried again when it fails. Resolves when it runs, has failed for good, or is stopped. */
  async keep(): Promise<void> {
    await this.#supervisor.keep();
  }

  /** @returns whether there was one to ask */
  send(request: InstanceRequest): boolean {
    const { child } = this.#supervisor;
    child?.send(request);
    return child !== undefined;
  }

  /** SIGKILL: it is started again. */
  kill(): void {
    this.#supervisor.child?.kill();
  }

  /**
   * Lets it finish what is under way and ends it.
   *
   * @param how - `leave`: as one that does not come back to its fleet
   * @returns whether it ended as it should
   */
  async stop(how: 'drain' | 'leave' = 'drain'): Promise<boolean> {
    const child = this.#supervisor.release();
    if (child === undefined) return true;
    child.send({ type: 'drain', leave: how === 'leave' });
    const clean = await child.endedWithin(STOP_LIMIT_MS[how]);
    const { what, say } = this.#settings;
    if (!clean) say(`${what} did not stop as it should: what it held is lost`);
    return clean;
  }

  #launch(): InstanceChild {
    const { what, folder, file, host, environment: variables, fleet, stderr, say } = this.#settings;
    const passwordHash = environment('SLUICE_ADMIN_PASSWORD_HASH');
    const program = join(import.meta.dirname, 'instance-process.js');
    const child: InstanceChild = new Child(what, program, [], variables, stderr);
    for (const listener of this.#launchListeners) listener();
    child.onMessage((message) => {
      if (message.type === 'port-taken') say(takenSentence(fleet === undefined ? 'the editor' : what, message.port));
      for (const listener of this.#listeners) listener(message);
    });
    child.send({
      type: 'start',
      options: {
        userDir: folder.path,
        host,
        port: this.#port,
        credentialSecret: folder.credentialSecret(),
        token: file.token,
        ...(passwordHash !== undefined && { passwordHash }),
        ...(fleet !== undefined && { fleet }),
      },
    });
    return child;
  }

  async #ready(child: InstanceChild): Promise<void> {
    const { what, folder, file, fleet, say } = this.#settings;
    const { url, problem } = await child.next('ready');
    this.#url = url;
    this.#port = Number(new URL(url).port || 80);
    folder.write({ ...file, url });
    if (problem !== undefined)
      say(fleet === undefined ? `${problem}: open the editor at ${url}` : `${what}: ${problem}`);
  }
}
