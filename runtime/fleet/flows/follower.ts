import { existsSync } from 'node:fs';
import { messageOf } from '../../launcher/user-error.js';
import type { FleetBus } from './bus.js';
import { Fetch } from './fetch.js';
import type { FlowState, Refusal } from './member.js';
import type { Refusals } from './refusals.js';
import { readRevision, writeRevision } from './revision-file.js';
import {
  decodeManifest,
  isSame,
  named,
  openRevision,
  UnreadableRevision,
  type Manifest,
  type Revision,
} from './revision.js';
import { encodeRunning } from './running.js';
import type { WorkerFlows } from './worker-flows.js';

export interface FollowerPorts {
  readonly bus: FleetBus;
  readonly flows: WorkerFlows;
  readonly refusals: Refusals;
  readonly slot: number;
  /** Where the last good flows are kept. */
  readonly file: string;
  readonly info: (sentence: string) => void;
  readonly warn: (sentence: string) => void;
}

/** How long a worker waits for what the broker has before it starts with what it has itself. */
const FIRST_LIMIT_MS = 3_000;

/**
 * A worker's side: takes each revision that is verified, whole and greater than the one before, runs it, and goes on with
 * the last good one where it does not start.
 */
export class Follower {
  readonly #ports: FollowerPorts;
  /** Runs, and has been started without a fault. */
  #good: Revision | undefined;
  /** The greatest that was verified. */
  #wanted: Manifest | undefined;
  #fetch: Fetch | undefined;
  /** Why what is wanted does not run; of a message that is nobody's, only until the next good one. */
  #problem: string | undefined;
  #work: Promise<void> = Promise.resolve();
  readonly #settled = Promise.withResolvers<void>();
  /** Whether something is wrong with what the broker has of what is wanted. */
  #isMissing = false;
  #isPaused = false;

  constructor(ports: FollowerPorts) {
    this.#ports = ports;
  }

  /** Starts the flows that the broker has, else the last good ones. Resolves when they run, or there are none. */
  async start(): Promise<void> {
    const { bus } = this.#ports;
    this.#good = this.#lastGood();
    this.#wanted = this.#good?.manifest;
    bus.subscribe(bus.topics.manifest, (_topic, body, raw) => {
      if (raw.length > 0 && !this.#isPaused) this.#offered(body);
    });
    bus.onSynced(() => {
      this.#report();
      if (this.#fetch === undefined) this.#settled.resolve();
    });
    bus.open();
    const patience = setTimeout(() => this.#settled.resolve(), FIRST_LIMIT_MS);
    await this.#settled.promise;
    clearTimeout(patience);
    await this.#enqueue(async () => {
      if (this.#good !== undefined && !this.#ports.flows.isRunning) await this.#goBack(this.#good);
    });
  }

  state(): Omit<FlowState, 'refused'> {
    const running = this.#good?.manifest;
    return {
      revision: running?.revision ?? 0,
      wanted: this.#wanted?.revision ?? 0,
      ...(running !== undefined && { author: running.author, time: running.time }),
      ...(this.#problem !== undefined && { problem: this.#problem }),
    };
  }

  /** Takes nothing from now on. */
  pause(): void {
    this.#isPaused = true;
    this.#fetch?.end();
  }

  /** A manifest has come. */
  #offered(body: Buffer | undefined): void {
    if (body === undefined) {
      this.#refuse('forged', "expected a flow manifest signed with this fleet's secret, got another message");
      return;
    }
    let manifest: Manifest;
    try {
      manifest = decodeManifest(body);
    } catch (error) {
      this.#refuse('forged', messageOf(error));
      return;
    }
    const known = this.#wanted;
    if (known !== undefined && manifest.revision <= known.revision) this.#compare(manifest, known);
    else this.#get(manifest);
  }

  /** One that is not greater. What a broker retains comes again with each connection: that is no news. */
  #compare(manifest: Manifest, known: Manifest): void {
    const running = this.#good?.manifest;
    if (isSame(manifest, known)) {
      if (running !== undefined && isSame(running, known)) this.#problem = undefined;
    } else if (manifest.revision === known.revision) {
      this.#refuse(
        'conflict',
        `expected one revision ${manifest.revision}, by ${known.author}, got another by ${manifest.author}`,
      );
    } else {
      this.#refuse('older', `expected a revision greater than ${known.revision}, got ${named(manifest)}`);
    }
  }

  #get(manifest: Manifest): void {
    this.#wanted = manifest;
    this.#fetch?.end();
    this.#fetch = new Fetch(this.#ports.bus, manifest, {
      complete: (revision) => {
        this.#fetch = undefined;
        this.#isMissing = false;
        void this.#enqueue(() => this.#take(revision));
      },
      refused: (reason, sentence) => {
        this.#isMissing = true;
        this.#refuse(reason, sentence);
        this.#settled.resolve();
      },
    });
    this.#isMissing = false;
  }

  async #take(revision: Revision): Promise<void> {
    const { flows, refusals, info, bus } = this.#ports;
    const { manifest } = revision;
    if (manifest !== this.#wanted || this.#isPaused) return; // a greater one has come
    try {
      const document = openRevision(bus.keys, revision);
      const failure = await flows.start(document);
      if (failure === undefined) {
        this.#good = revision;
        this.#problem = undefined;
        this.#keep(revision);
        info(`the flows are ${named(manifest)} of ${manifest.time}`);
      } else {
        const sentence = `${named(manifest)} does not start here: ${failure.sentence}`;
        this.#problem = `${sentence}: ${this.#goingOn()}`;
        refusals.add(failure.reason, this.#problem);
        await this.#goBack(this.#good);
      }
    } catch (error) {
      this.#refuse(error instanceof UnreadableRevision ? 'forged' : 'not-started', messageOf(error));
    }
    this.#settled.resolve();
    this.#report();
  }

  /** They run, whether or not there is room for them on the disk. */
  #keep(revision: Revision): void {
    const { file, bus, warn } = this.#ports;
    try {
      writeRevision(file, bus.keys, revision);
    } catch (error) {
      this.#problem = `${named(revision.manifest)} runs, and cannot be kept for the next start: ${messageOf(error)}`;
      warn(this.#problem);
    }
  }

  /** Runs what ran before, or nothing. */
  async #goBack(good: Revision | undefined): Promise<void> {
    const { flows, bus } = this.#ports;
    if (good === undefined) {
      await flows.startNothing();
      return;
    }
    const failure = await flows.start(openRevision(bus.keys, good));
    if (failure === undefined) return;
    this.#problem = `the last good flows, ${named(good.manifest)}, do not start either: ${failure.sentence}`;
    this.#ports.refusals.add(failure.reason, this.#problem);
  }

  #lastGood(): Revision | undefined {
    const { file, bus } = this.#ports;
    if (!existsSync(file)) return undefined;
    try {
      const revision = readRevision(file, bus.keys);
      openRevision(bus.keys, revision);
      return revision;
    } catch (error) {
      this.#problem = `the last good flows cannot be used: ${messageOf(error)}`;
      this.#ports.refusals.add('forged', this.#problem);
      return undefined;
    }
  }

  #refuse(reason: Refusal, sentence: string): void {
    this.#problem = `refused: ${sentence}: ${this.#goingOn()}`;
    this.#ports.refusals.add(reason, this.#problem);
    this.#report();
  }

  #goingOn(): string {
    return this.#good === undefined ? 'nothing runs' : `revision ${this.#good.manifest.revision} goes on running`;
  }

  /** One after the other: Node-RED deploys one at a time. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work);
    return this.#work;
  }

  #report(): void {
    const { bus, slot } = this.#ports;
    if (!bus.isSynced) return;
    const { revision, wanted, problem } = this.state();
    const running = { slot, revision, wanted, isMissing: this.#isMissing, ...(problem !== undefined && { problem }) };
    bus.publish(bus.topics.running(slot), encodeRunning(running), false);
  }
}
