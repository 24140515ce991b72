import { existsSync } from 'node:fs';
import type { NodeContext } from '../adapter/define-node.js';
import { atMost } from '../adapter/waiting.js';
import { backoffDelay } from '../lib/backoff.js';
import type { LateOutcome } from '../lib/delivery/outcome.js';
import { RejectedError, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { spoolFile } from '../lib/spool/place.js';
import type { Counts, Gone, NewRecord, ReadLimits, SpoolRecord } from '../lib/spool/record.js';
import type { Spool } from '../lib/spool/spool.js';
import { NodeSpool, type SpoolSize } from './node-spool.js';

export interface SpoolConfig extends SpoolSize {
  readonly spool: 'off' | 'when-down' | 'always';
}

export type BacklogContext = Pick<
  NodeContext<SpoolConfig, unknown>,
  | 'id'
  | 'config'
  | 'userDir'
  | 'instance'
  | 'runId'
  | 'origin'
  | 'counters'
  | 'log'
  | 'reject'
  | 'drained'
  | 'foundSpooled'
>;

/** Why a record was not stored. `expired`: its time was over. */
export type NotStored = RejectedError | UnavailableError | 'expired';

/** What a sink does for its backlog. */
export interface BacklogPorts {
  /** Of what is read and written at a time. */
  readonly page: ReadLimits;
  /** Writes records in their order. @returns what became of those that were not stored, by their index */
  write(records: readonly SpoolRecord[]): Promise<ReadonlyMap<number, NotStored>>;
  /** A record's message, as far as the record tells it: for the dead letters. */
  messageOf(record: SpoolRecord): Message;
  /** `records` or `problem` has changed. */
  changed(): void;
}

const RETRY = { initialMs: 100, maximumMs: 2_000 };
const CLOSE_LIMIT_MS = 2_000;

/**
 * What a sink has on disk and its server has not: takes records in, and writes them as soon as the server takes them, one
 * page at a time, in order. A record leaves the disk when the server has acknowledged it, so that after a crash in between
 * it is written a second time. What the server rejects goes the way of what the sink rejects; where the node has none, to
 * the dead letters of the user folder.
 */
export class Backlog {
  readonly #context: BacklogContext;
  readonly #ports: BacklogPorts;
  readonly #spool: NodeSpool;
  #draining = Promise.resolve();
  /** Records on their way to the disk. */
  #appending = 0;
  /** Made anew for each wait: what waits on a promise that never ends is never let go of. */
  #appended = Promise.withResolvers<void>();
  #serverBack = Promise.withResolvers<void>();
  /** While the last of it is being written: who came meanwhile waits for that, and not behind it on the disk. */
  #caughtUp: PromiseWithResolvers<void> | undefined;
  /** Records that were stored without being read, and are about to be removed. */
  #settled: Gone[] = [];
  #settling = Promise.resolve();
  /** What follows the page that is being written; undefined where it is not read, or does not hold any more. */
  #ahead: Promise<readonly SpoolRecord[]> | undefined;
  /** Ends when what was written last has left the disk. */
  #removing = Promise.resolve();

  /** @returns undefined where Node-RED has no user folder, as in some tests */
  static of(context: BacklogContext, ports: BacklogPorts): Backlog | undefined {
    return context.userDir === undefined ? undefined : new Backlog(context, context.userDir, ports);
  }

  private constructor(context: BacklogContext, userDir: string, ports: BacklogPorts) {
    this.#context = context;
    this.#ports = ports;
    const file = spoolFile(userDir, context.id);
    this.#spool = new NodeSpool(context, {
      file,
      rememberIdentities: 0,
      opened: (spool) => void (this.#draining = this.#drain(spool)),
      changed: () => ports.changed(),
    });
    // Whatever the setting: what an earlier run has left is to be stored.
    if (existsSync(file)) void this.#spool.keepOpening();
  }

  /** Records on disk. */
  get counts(): Counts | undefined {
    return this.#spool.counts;
  }

  get records(): number {
    return this.#spool.records;
  }

  /** Records on disk or on their way there; undefined where there is a file that has not been read. */
  get left(): number | undefined {
    const { left } = this.#spool;
    return left === undefined ? undefined : left + this.#appending;
  }

  /** Records on their way to the disk. */
  get waiting(): number {
    return this.#appending;
  }

  /** Why the disk does not do its part. */
  get problem(): string | undefined {
    return this.#spool.problem?.message;
  }

  /** Whether something is before what comes now; what has to keep the order asks `turn` then. */
  get isBusy(): boolean {
    return this.#appending > 0 || this.records > 0 || this.#caughtUp !== undefined || this.#spool.opening !== undefined;
  }

  /**
   * Whether what comes now has to go `behind` what is on disk, to keep the order, or may go `direct`.
   *
   * @throws UnavailableError when what is there cannot be opened
   */
  async turn(): Promise<'behind' | 'direct'> {
    while (this.#spool.current === undefined && this.#spool.opening !== undefined && !this.#spool.stopping.aborted) {
      if (this.#spool.problem !== undefined) throw this.#spool.problem;
      await this.#spool.opening.catch(() => undefined); // the problem says it
    }
    while (this.#caughtUp !== undefined) await this.#caughtUp.promise;
    return this.#appending > 0 || this.records > 0 ? 'behind' : 'direct';
  }

  /**
   * Resolves when the record is durable on disk. Records keep the order of the calls.
   *
   * @param after - what is to end before
   * @returns its `seq`
   * @throws UnavailableError `spool-full` and the others of `Spool`
   */
  async append(record: NewRecord, after?: Promise<void>): Promise<number> {
    this.#appending++;
    try {
      await after;
      const spool = this.#spool.current ?? (await this.#spool.open());
      const seq = await spool.append(record);
      this.#context.counters.add('spooled');
      return seq ?? NaN; // no identities are remembered
    } catch (error) {
      if (error instanceof UnavailableError) this.#context.counters.add('refused', 1, error.code);
      throw error;
    } finally {
      this.#appending--;
      this.#appended.resolve();
      this.#ports.changed();
    }
  }

  /** A record has been stored by other means; those of one turn of the event loop are removed together. */
  settle(record: Gone): void {
    this.#ahead = undefined; // it may be in there
    if (this.#settled.push(record) > 1) return;
    this.#settling = Promise.resolve().then(async () => {
      const records = this.#settled.splice(0);
      const spool = this.#spool.current;
      if (spool === undefined) return;
      await this.#spool.persist(() => spool.remove(records.map(({ seq }) => seq)));
      this.#context.counters.add('drained', records.length);
      for (const { delivery } of records) if (delivery !== undefined) this.#context.drained(delivery, 'stored');
      this.#appended.resolve(); // for whoever waits to see what is left
      this.#ports.changed();
    });
  }

  /** The server takes writes again: no reason to wait for the next attempt. */
  serverIsBack(): void {
    this.#serverBack.resolve();
  }

  /** Goes on with the page that is being written, for a moment, and lets go of the file; what is in it stays. */
  async close(): Promise<void> {
    this.#spool.stop();
    this.#appended.resolve();
    this.#serverBack.resolve();
    this.#letIn();
    await this.#spool.opening?.catch(() => undefined); // its end begins to drain
    await atMost(CLOSE_LIMIT_MS, this.#draining);
    await this.#spool.close();
  }

  async #drain(spool: Spool): Promise<void> {
    for (let attempt = 0; ;) {
      await this.#settling;
      if (this.#spool.stopping.aborted) break;
      if (spool.counts.records === 0) {
        this.#appended = Promise.withResolvers<void>();
        await this.#appended.promise;
        continue;
      }
      this.#serverBack = Promise.withResolvers<void>();
      const all = await this.#drainPage(spool);
      this.#letIn();
      this.#ports.changed();
      if (all) attempt = 0;
      else await atMost(backoffDelay(attempt++, RETRY), this.#serverBack.promise);
    }
    await this.#removing;
  }

  /**
   * Writes one page. While it is being written the next is read, and the one before is removed: the disk and the server work
   * at the same time.
   *
   * @returns whether there is no reason to wait before the next
   */
  async #drainPage(spool: Spool): Promise<boolean> {
    const { page: limits } = this.#ports;
    try {
      const page = await (this.#ahead ?? this.#first(spool));
      this.#ahead = undefined;
      const isLast = page.length < limits.records;
      if (isLast) await this.#removing;
      if (page.length === spool.counts.records && this.#appending === 0) {
        this.#caughtUp = Promise.withResolvers<void>();
      }
      const { seq } = page.at(-1) ?? {};
      if (seq !== undefined && !isLast) {
        this.#ahead = spool.read(seq, limits);
        this.#ahead.catch(() => undefined); // who waits for it hears of it
      }
      const all = await this.#writeOnce(spool, page);
      if (!all) this.#ahead = undefined;
      // Else who came meanwhile would find it on the disk, and go behind it.
      if (isLast) await this.#removing;
      this.#spool.works();
      return all;
    } catch (error) {
      this.#ahead = undefined;
      this.#spool.report(error);
      return false;
    }
  }

  async #first(spool: Spool): Promise<readonly SpoolRecord[]> {
    await this.#removing;
    return spool.read(0, this.#ports.page);
  }

  /** @returns whether none is to be tried again */
  async #writeOnce(spool: Spool, records: readonly SpoolRecord[]): Promise<boolean> {
    const failures = await this.#ports.write(records);
    const done = new Map<SpoolRecord, LateOutcome>();
    for (const [index, record] of records.entries()) {
      const failure = failures.get(index);
      const outcome = failure === undefined ? 'stored' : await this.#outcomeOf(record, failure);
      if (outcome !== undefined) done.set(record, outcome);
    }
    await this.#removing;
    this.#removing = this.#remove(spool, done);
    return done.size === records.length;
  }

  async #remove(spool: Spool, done: ReadonlyMap<SpoolRecord, LateOutcome>): Promise<void> {
    await this.#spool.persist(() => spool.remove([...done.keys()].map(({ seq }) => seq)));
    for (const [{ delivery }, outcome] of done) {
      if (outcome === 'stored') this.#context.counters.add('drained');
      if (delivery !== undefined) this.#context.drained(delivery, outcome);
    }
  }

  async #outcomeOf(record: SpoolRecord, failure: NotStored): Promise<LateOutcome | undefined> {
    if (failure instanceof UnavailableError) return undefined;
    if (failure === 'expired') {
      this.#context.counters.add('dropped', 1, 'expired');
      return 'dropped';
    }
    const message = this.#ports.messageOf(record);
    return this.#context.reject(message, failure);
  }

  #letIn(): void {
    this.#caughtUp?.resolve();
    this.#caughtUp = undefined;
  }
}
