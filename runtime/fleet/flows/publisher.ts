import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../launcher/user-error.js';
import type { FleetBus } from './bus.js';
import type { FlowDocument } from './document.js';
import type { History } from './history.js';
import type { FlowState } from './member.js';
import type { Refusals } from './refusals.js';
import { decodeManifest, encodeManifest, isSame, makeRevision, named, openRevision } from './revision.js';
import type { Manifest, Revision } from './revision.js';
import { decodeRunning, type Running } from './running.js';

/** What the editor instance has deployed. */
export interface Deployment {
  readonly document: FlowDocument;
  readonly author: string;
  readonly rollbackOf?: number;
  /** What it has started with: nobody has asked for it to be published anew. */
  readonly isStart: boolean;
}

export interface PublisherPorts {
  readonly bus: FleetBus;
  readonly history: History;
  readonly refusals: Refusals;
  readonly info: (sentence: string) => void;
  readonly warn: (sentence: string) => void;
  /** A worker has said what it runs. */
  readonly onRunning: (running: Running) => void;
}

/** How many chunks are on their way unanswered: below what brokers take (HiveMQ: 10). */
const WINDOW = 8;
/** From something wrong on the broker to its repair: whoever goes on doing it, this is the most that it costs. */
const REPAIR_MS = 1_000;

/**
 * The editor instance's side: publishes each deploy as the next revision, the manifest last, and sees to it that the
 * broker retains that. Of two editors the one with the greater revision wins; the other says so until its next deploy.
 */
export class Publisher {
  readonly #ports: PublisherPorts;
  /** The newest of ours. */
  #latest: Revision | undefined;
  /** What the broker retains, as far as it has shown it; undefined for nothing that anybody should run. */
  #retained: Manifest | undefined;
  /** Of our own revisions the one that came back last: all that came before it was published before it. */
  #echoed = 0;
  /** The greatest number that a member has named. */
  #greatest = 0;
  /** Deployed, and not published yet. */
  #pending: Deployment | undefined;
  /** Why it could not be published. */
  #failure: string | undefined;
  #repair: NodeJS.Timeout | undefined;
  /** Once after the start of the process all of it is sent: a manifest that is there says nothing of its chunks. */
  #hasSent = false;
  #isPublishing = false;
  #isPaused = false;
  readonly #waiters: ((revision: number) => void)[] = [];

  constructor(ports: PublisherPorts) {
    const { bus, history } = ports;
    this.#ports = ports;
    this.#latest = history.newest();
    this.#greatest = this.#latest?.manifest.revision ?? 0;
    bus.subscribe(bus.topics.manifest, (_topic, body, raw) => this.#manifestCame(body, raw));
    bus.subscribe(bus.topics.running('+'), (_topic, body) => this.#runningCame(body));
    bus.onLost(() => (this.#retained = undefined));
    bus.onSynced(() => void this.#publish());
  }

  state(): Omit<FlowState, 'refused'> {
    const manifest = this.#latest?.manifest;
    const problem = this.#lostTo() ?? this.#failure;
    return {
      revision: manifest?.revision ?? 0,
      wanted: Math.max(manifest?.revision ?? 0, this.#retained?.revision ?? 0),
      ...(manifest !== undefined && { author: manifest.author, time: manifest.time }),
      ...(problem !== undefined && { problem }),
    };
  }

  /** The flows have been deployed. Published at once, or when the broker is back. @returns its revision, once published */
  deployed(deployment: Deployment): Promise<number> {
    this.#pending = deployment;
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiters.push(resolve);
    void this.#publish();
    return promise;
  }

  /** Publishes nothing from now on. */
  pause(): void {
    this.#isPaused = true;
    clearTimeout(this.#repair);
  }

  async #publish(): Promise<void> {
    if (this.#isPublishing || this.#isPaused || !this.#ports.bus.isSynced) return;
    this.#isPublishing = true;
    try {
      // What is deployed meanwhile is the next one.
      for (let next = this.#next(); next !== undefined; next = this.#next()) await this.#send(next);
      this.#failure = undefined;
    } catch (error) {
      this.#retained = undefined;
      this.#failure = `the flows could not be published: ${messageOf(error)}`;
      this.#ports.warn(this.#failure);
    } finally {
      this.#isPublishing = false;
    }
  }

  /** A deploy, or once more what the broker should have; undefined when all is as it should be. */
  #next(): Revision | undefined {
    const pending = this.#pending;
    if (pending !== undefined && this.#isNews(pending)) {
      const revision = this.#make(pending);
      this.#pending = undefined;
      return revision;
    }
    this.#pending = undefined;
    const lost = this.#lostTo();
    if (lost !== undefined && pending !== undefined) this.#ports.warn(lost);
    if (this.#latest === undefined || lost !== undefined) return undefined;
    const isThere = this.#retained !== undefined && isSame(this.#retained, this.#latest.manifest);
    if (!isThere || !this.#hasSent) return this.#latest;
    for (const resolve of this.#waiters.splice(0)) resolve(this.#latest.manifest.revision);
    return undefined;
  }

  #isNews({ document, isStart }: Deployment): boolean {
    if (this.#latest === undefined || (this.#lostTo() !== undefined && !isStart)) return true;
    return !isDeepStrictEqual(openRevision(this.#ports.bus.keys, this.#latest), document);
  }

  #make({ document, author, rollbackOf }: Deployment): Revision {
    const { bus, history } = this.#ports;
    const about = { revision: ++this.#greatest, author, time: new Date().toISOString() };
    const revision = makeRevision(
      bus.keys,
      { ...about, ...(rollbackOf !== undefined && { rollbackOf }) },
      document,
      bus.payloadBytes,
    );
    // Before it is published: after a crash in between, it is published again.
    history.add(revision);
    this.#latest = revision;
    return revision;
  }

  /** Chunks first: a manifest names only what is there. */
  async #send({ manifest, chunks }: Revision): Promise<void> {
    const { bus, info } = this.#ports;
    const { revision } = manifest;
    this.#hasSent = true;
    const body = encodeManifest(manifest);
    if (body.length > bus.payloadBytes) {
      throw new Error(
        `expected a broker that takes packets of ${body.length} bytes for the manifest of these flows, got one that takes ${bus.payloadBytes}`,
      );
    }
    const left = chunks.entries();
    const sendChunks = async (): Promise<void> => {
      for (const [index, chunk] of left) await bus.publishNow(bus.topics.chunk(revision, index), chunk, true);
    };
    await Promise.all(Array.from({ length: WINDOW }, sendChunks));
    this.#retained = manifest; // until the broker shows another
    await bus.publishNow(bus.topics.manifest, body, true);
    info(`published ${named(manifest)}: ${manifest.nodes} nodes, ${manifest.size} bytes in ${chunks.length} chunks`);
    await this.#clearOld();
  }

  /** Of the one before a slow worker may still be getting the chunks; those before that have had their time. */
  async #clearOld(): Promise<void> {
    const { bus, history } = this.#ports;
    const old = history.list()[2];
    if (old === undefined) return;
    for (let index = 0; index < old.chunks; index++) await bus.clear(bus.topics.chunk(old.revision, index));
  }

  /** What the broker retains has come, ours too. */
  #manifestCame(body: Buffer | undefined, raw: Buffer): void {
    const { refusals } = this.#ports;
    const manifest = manifestIn(body);
    if (manifest === undefined) {
      this.#retained = undefined;
      if (raw.length > 0) {
        refusals.add(
          'forged',
          "refused: expected a flow manifest signed with this fleet's secret, got another message",
        );
      }
      this.#repairSoon();
      return;
    }
    const wasLost = this.#lostTo();
    const latest = this.#latest?.manifest;
    this.#retained = manifest;
    this.#greatest = Math.max(this.#greatest, manifest.revision);
    if (latest === undefined) return;
    if (isSame(manifest, latest)) this.#echoed = manifest.revision;
    else if (manifest.revision === latest.revision) this.#sameNumber(manifest, latest);
    else if (manifest.revision < latest.revision) {
      if (this.#ports.bus.isSynced && !this.#isPublishing) {
        refusals.add('older', `refused: expected revision ${latest.revision}, got ${named(manifest)}`);
      }
      this.#repairSoon();
    } else if (wasLost === undefined && this.#ports.bus.isSynced) this.#ports.warn(this.#lostTo() ?? '');
  }

  /** Two editors have given one number: the one that was second takes the next. */
  #sameNumber(manifest: Manifest, latest: Manifest): void {
    const { refusals, bus } = this.#ports;
    refusals.add(
      'conflict',
      `expected one revision ${latest.revision}, by ${latest.author}, got another by ${manifest.author}`,
    );
    if (this.#echoed === latest.revision || this.#latest === undefined) {
      this.#repairSoon();
      return;
    }
    const { author, rollbackOf } = latest;
    const document = openRevision(bus.keys, this.#latest);
    this.#latest = undefined;
    this.#pending ??= { document, author, isStart: false, ...(rollbackOf !== undefined && { rollbackOf }) };
    void this.#publish();
  }

  /** Workers may have run greater ones than this folder and the broker remember: they will take none but a greater one. */
  #runningCame(body: Buffer | undefined): void {
    const running = body === undefined ? undefined : decodeRunning(body);
    if (running === undefined) return;
    this.#greatest = Math.max(this.#greatest, running.revision, running.wanted);
    this.#ports.onRunning(running);
    const latest = this.#latest;
    if (latest === undefined || this.#lostTo() !== undefined) return;
    if (running.isMissing === true && running.wanted === latest.manifest.revision) {
      this.#retained = undefined;
      this.#repairSoon();
    }
    if (running.revision <= latest.manifest.revision) return;
    const { author } = latest.manifest;
    this.#latest = undefined;
    this.#pending ??= { document: openRevision(this.#ports.bus.keys, latest), author, isStart: false };
    void this.#publish();
  }

  #repairSoon(): void {
    if (this.#latest === undefined) return;
    this.#repair ??= setTimeout(() => {
      this.#repair = undefined;
      void this.#publish();
    }, REPAIR_MS);
  }

  /** The sentence of an editor whose flows are not those of the fleet. */
  #lostTo(): string | undefined {
    const [ours, theirs] = [this.#latest?.manifest.revision, this.#retained];
    if (ours === undefined || theirs === undefined || theirs.revision <= ours) return undefined;
    return (
      `the fleet runs ${named(theirs)} of ${theirs.time}, which this editor has not made: ` +
      `its own are revision ${ours}, and replace the others with the next deploy`
    );
  }
}

function manifestIn(body: Buffer | undefined): Manifest | undefined {
  if (body === undefined) return undefined;
  try {
    return decodeManifest(body);
  } catch {
    return undefined; // signed, but of another version: no editor of this fleet should be
  }
}
