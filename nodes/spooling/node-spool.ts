import { existsSync } from 'node:fs';
import { batchClock } from '../adapter/batch-clock.js';
import type { NodeContext } from '../adapter/define-node.js';
import { pause } from '../adapter/waiting.js';
import { messageOf, UnavailableError } from '../lib/errors.js';
import type { Counts, Damage, Gone } from '../lib/spool/record.js';
import { Spool } from '../lib/spool/spool.js';

export interface SpoolSize {
  readonly spoolMaxBytes: number;
  readonly spoolWhenFull: 'block' | 'drop-oldest';
}

export type NodeSpoolContext = Pick<
  NodeContext<SpoolSize, unknown>,
  'config' | 'counters' | 'log' | 'drained' | 'foundSpooled'
>;

export interface NodeSpoolParts {
  readonly file: string;
  readonly rememberIdentities: number;
  /** Before anybody else has it. */
  opened?(spool: Spool): void | Promise<void>;
  /** `problem` has changed. */
  changed(): void;
}

const RETRY = { initialMs: 100, maximumMs: 2_000 };

/** The spool of a node: opened when it can be, and what goes wrong with it told and counted. */
export class NodeSpool {
  readonly #context: NodeSpoolContext;
  readonly #parts: NodeSpoolParts;
  readonly #stopping = new AbortController();
  #spool: Spool | undefined;
  #opening: Promise<Spool> | undefined;
  #problem: UnavailableError | undefined;

  constructor(context: NodeSpoolContext, parts: NodeSpoolParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Undefined as long as it is not open. */
  get current(): Spool | undefined {
    return this.#spool;
  }

  /** An attempt to open it that has no answer yet. */
  get opening(): Promise<Spool> | undefined {
    return this.#opening;
  }

  /** What is on disk; undefined as long as it is not open. */
  get counts(): Counts | undefined {
    return this.#spool?.counts;
  }

  /** Records on disk. */
  get records(): number {
    return this.#spool?.counts.records ?? 0;
  }

  /** The same; undefined where there is a file that has not been read. */
  get left(): number | undefined {
    return this.#spool === undefined && existsSync(this.#parts.file) ? undefined : this.records;
  }

  /** Why the disk does not do its part. */
  get problem(): UnavailableError | undefined {
    return this.#problem;
  }

  /** Aborted when the node stops to use it. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** @throws UnavailableError as `Spool.open` */
  async open(): Promise<Spool> {
    if (this.#spool !== undefined) return this.#spool;
    this.#opening ??= this.#openFile().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  /** The node's predecessor, or another process, may still have it. */
  async keepOpening(): Promise<void> {
    for (let attempt = 0; this.#spool === undefined && !this.stopping.aborted; attempt++) {
      try {
        await this.open();
      } catch (error) {
        this.report(error);
        await pause(attempt, RETRY, this.stopping);
      }
    }
  }

  /**
   * Tries until it is done: what is stored must not be stored again. Once only, when the node stops.
   *
   * @returns whether it is done
   */
  async persist(work: () => Promise<void>): Promise<boolean> {
    for (let attempt = 0; !this.stopping.aborted || attempt === 0; attempt++) {
      try {
        await work();
        if (this.#problem !== undefined) this.works();
        return true;
      } catch (error) {
        this.report(error);
        await pause(attempt, RETRY, this.stopping);
      }
    }
    return false;
  }

  /** The disk does its part (again). */
  works(): void {
    this.#problem = undefined;
    this.#parts.changed();
  }

  /** Something went wrong with it, and will be tried again. */
  report(error: unknown): void {
    if (this.stopping.aborted) return; // what was not removed is stored again
    const problem =
      error instanceof UnavailableError
        ? error
        : new UnavailableError(`expected the spool to work, got: ${messageOf(error)}`, { code: 'spool', cause: error });
    if (this.#problem?.message !== problem.message) {
      this.#context.log('error', 'the spool cannot be used, will try again', { reason: problem.message });
    }
    this.#problem = problem;
    this.#parts.changed();
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Lets go of the file; what is in it stays. */
  async close(): Promise<void> {
    this.stop();
    const spool = this.#spool ?? (await this.#opening?.catch(() => undefined));
    await spool?.close();
  }

  async #openFile(): Promise<Spool> {
    const { spoolMaxBytes, spoolWhenFull } = this.#context.config;
    const { file, rememberIdentities } = this.#parts;
    const spool = await Spool.open({
      file,
      maxBytes: spoolMaxBytes,
      whenFull: spoolWhenFull,
      rememberIdentities,
      clock: batchClock(),
      dropped: (records) => this.#drop(records, 'spool-full'),
      damaged: (damage) => this.#reportDamage(damage),
    });
    for await (const delivery of spool.deliveries()) this.#context.foundSpooled(delivery);
    await this.#parts.opened?.(spool);
    this.#spool = spool;
    this.works();
    return spool;
  }

  #drop(records: readonly Gone[], reason: string): void {
    this.#context.counters.add('dropped', records.length, reason);
    for (const { delivery } of records) if (delivery !== undefined) this.#context.drained(delivery, 'dropped');
  }

  #reportDamage({ movedTo, reason, recovered, lost }: Damage): void {
    this.#context.log('error', 'the spool was damaged; what can be read of it goes on', {
      reason,
      recovered,
      lost: lost?.length ?? 'unknown',
      damagedFile: movedTo,
    });
    if (lost === undefined) this.#context.counters.add('damaged');
    else if (lost.length > 0) this.#drop(lost, 'spool-damaged');
  }
}
