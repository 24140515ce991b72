import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Batcher, type BatchClock } from '../batch.js';
import type { DeliveryTag } from '../delivery/outcome.js';
import { messageOf, UnavailableError } from '../errors.js';
import { makeFolder } from '../sync-folder.js';
import type { SpoolFileOptions } from './file.js';
import {
  bytesOf,
  pack,
  unpack,
  type Counts,
  type Damage,
  type Gone,
  type NewRecord,
  type ReadLimits,
  type SpooledDelivery,
  type SpoolRecord,
} from './record.js';
import type { Answer, Commands } from './thread-protocol.js';

export interface SpoolOptions extends SpoolFileOptions {
  readonly clock: BatchClock;
  /** Told of records that went for newer ones (`drop-oldest`), before those are appended. */
  dropped(records: readonly Gone[]): void;
  /** Told of a file that was found damaged: it was set aside, and what can be read of it is in the spool. */
  damaged(damage: Damage): void;
}

interface Waiting {
  readonly record: NewRecord;
  readonly appended: PromiseWithResolvers<number | undefined>;
}

/**
 * Records that share a transaction, and so an fsync. While one is under way, others gather for the next; on a fast disk some more
 * time costs a window of 20 messages nothing, and a large one has fewer transactions (`bench/window.ts`, `npm run bench -- pipeline`).
 */
const BATCH = { maxCount: 500, maxBytes: 4 * 1024 * 1024, maxWaitMs: 50, maxInFlight: 1, gatherMs: 2 };
/** What waits for its fsync, in memory. */
const QUEUE = { maxQueue: 100_000, maxQueueBytes: 64 * 1024 * 1024 };
const DELIVERIES_PAGE = 10_000;
const YOUNG_MB = 8;

/**
 * A durable queue in one SQLite file, first in first out:
 *
 *     const spool = await Spool.open({ file, maxBytes, whenFull, rememberIdentities: 0, clock, dropped, damaged });
 *     const seq = await spool.append({ at: Date.now(), delivery: tagOf(message), body });  // it is on the disk
 *     for (let after = 0; ; after = page.at(-1).seq) {
 *       const page = await spool.read(after, { records: 500, bytes: 4_194_304 });          // reading removes nothing
 *       …                                                                                  // store it elsewhere, then
 *       await spool.remove(page.map(({ seq }) => seq));                                    // one transaction
 *     }
 *     await spool.close();
 *
 * Records can be put in as a bundle, which is read, kept together and removed as one, whatever came in between.
 *
 * What was appended outlives kill -9 and a loss of power; what was read and not removed is there again after a restart.
 * Appends that come together, or while the disk is busy, share a transaction and an fsync; a lone one goes at once. The
 * file is open for this spool alone. It lives in a thread of its own, because an fsync takes milliseconds
 * (`bench/spool-delay.ts`), and grows to about `maxBytes`; its room is used again, and given back to the disk once it is
 * empty.
 *
 * Every method rejects with an UnavailableError when the disk does not do its part (`spool-disk-full`, `spool-disk`), and
 * goes on when it does again; what was not done then has left nothing behind.
 */
export class Spool {
  readonly file: string;
  readonly #options: SpoolOptions;
  readonly #worker: Worker;
  readonly #batcher: Batcher<Waiting>;
  readonly #asked = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 1;
  #counts: Counts = { records: 0, bytes: 0, oldestAt: undefined };
  #ended: UnavailableError | undefined;

  /**
   * Opens a file, or makes one, with its folder.
   *
   * @throws UnavailableError `spool-in-use` when another process has it, `spool-version` when it is of a newer Sluice,
   *   `spool-disk-full`, `spool-disk`
   */
  static async open(options: SpoolOptions): Promise<Spool> {
    await makeSpoolFolder(options.file);
    const spool = new Spool(options);
    const { file, maxBytes, whenFull, rememberIdentities } = options;
    try {
      await spool.#ask('open', { file, maxBytes, whenFull, rememberIdentities });
      return spool;
    } catch (error) {
      await spool.#worker.terminate();
      throw error;
    }
  }

  private constructor(options: SpoolOptions) {
    this.file = options.file;
    this.#options = options;
    // Tests run the sources as they are.
    const entry = import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js';
    // Its garbage is short-lived: without a bound its young generation alone takes 48 MB.
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB };
    this.#worker = new Worker(new URL(entry, import.meta.url), { name: 'sluice spool', resourceLimits });
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#onAnswer(answer));
    this.#worker.on('error', (error) => this.#end(messageOf(error)));
    this.#worker.on('exit', () => this.#end('it is closed'));
    this.#batcher = new Batcher({ ...BATCH, ...QUEUE }, options.clock, (waiting) => this.#write(waiting));
  }

  /** As of the last answer. */
  get counts(): Counts {
    return this.#counts;
  }

  /**
   * Puts a record at the end. It is durable when this resolves.
   *
   * @returns its `seq`; undefined when its identity is one that is remembered, and it was not put in
   * @throws UnavailableError `spool-full`, where the oldest records are not to go for it, or all of them have been read;
   *   `spool-busy` when too much waits for the disk
   */
  append(record: NewRecord): Promise<number | undefined> {
    const appended = Promise.withResolvers<number | undefined>();
    if (!this.#batcher.offer({ record, appended }, bytesOf(record))) {
      appended.reject(
        new UnavailableError(`expected the disk to keep up, got ${this.#batcher.queued} records that wait for it`, {
          code: 'spool-busy',
        }),
      );
    }
    return appended.promise;
  }

  /** The next records after one (0: from the first), in order. What was read is not dropped for newer records. */
  async read(after: number, limits: ReadLimits): Promise<SpoolRecord[]> {
    return unpack(await this.#ask('read', after, limits));
  }

  /** Those of the records that are still there, in the given order. */
  async get(seqs: readonly number[]): Promise<SpoolRecord[]> {
    return unpack(await this.#ask('get', seqs));
  }

  /** Takes records out, all in one transaction; one that is not there is as if it was. */
  async remove(seqs: readonly number[]): Promise<void> {
    if (seqs.length > 0) await this.#ask('remove', seqs);
  }

  /** The ids of the bundles that records belong to, the lowest first. */
  async bundles(): Promise<number[]> {
    return this.#ask('bundles');
  }

  /**
   * Says, durably, that a bundle is being stored elsewhere: nothing of it is dropped from now on.
   *
   * @returns what was given about it; undefined where it has no record, or the file was damaged
   */
  async takeBundle(id: number): Promise<string | undefined> {
    return this.#ask('takeBundle', id);
  }

  /** Puts something else in the place of what is kept about a bundle. */
  async changeBundle(id: number, about: string): Promise<void> {
    await this.#ask('changeBundle', id, about);
  }

  /** The next records of a bundle after one (0: from the first), in order. */
  async readBundle(id: number, after: number, limits: ReadLimits): Promise<SpoolRecord[]> {
    return unpack(await this.#ask('readBundle', id, after, limits));
  }

  /**
   * Takes all records of a bundle out, in one transaction.
   *
   * @param forget - `identities`: what has one of these is put in again when it comes
   */
  async removeBundle(id: number, forget?: 'identities'): Promise<void> {
    await this.#ask('removeBundle', id, forget !== undefined);
  }

  /** The deliveries that records belong to, each once. Bodies are not read. */
  async *deliveries(): AsyncGenerator<SpooledDelivery> {
    for (let after: DeliveryTag | undefined; ;) {
      const page = await this.#ask('deliveries', after, DELIVERIES_PAGE);
      yield* page;
      const last = page.at(-1);
      if (last === undefined) return;
      after = { source: last.source, number: last.number };
    }
  }

  /** Writes what was appended, and lets go of the file. */
  async close(): Promise<void> {
    await this.#batcher.drain();
    if (this.#ended !== undefined) return;
    try {
      await this.#ask('close');
    } finally {
      await this.#worker.terminate();
    }
  }

  async #write(waiting: readonly Waiting[]): Promise<void> {
    try {
      const { seqs, dropped } = await this.#ask('append', pack(waiting.map(({ record }) => record)));
      if (dropped.length > 0) this.#options.dropped(dropped);
      for (const [index, { appended }] of waiting.entries()) {
        if (index < seqs.length) appended.resolve(seqs[index]);
        else appended.reject(this.#full());
      }
    } catch (error) {
      for (const { appended } of waiting) appended.reject(error);
    }
  }

  #full(): UnavailableError {
    return new UnavailableError(
      `expected room for a record in the spool, got ${this.#counts.bytes} of ${this.#options.maxBytes} bytes in use`,
      { code: 'spool-full' },
    );
  }

  #ask<K extends keyof Commands>(command: K, ...parameters: Parameters<Commands[K]>): Promise<ReturnType<Commands[K]>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    this.#asked.set(id, answer);
    this.#worker.ref(); // an answer that is awaited keeps the process, as a file that is being written does
    const [first] = parameters as readonly unknown[];
    const bodies = command === 'append' ? (first as { bodies: Uint8Array<ArrayBuffer> }).bodies : undefined;
    this.#worker.postMessage({ id, command, parameters }, bodies === undefined ? [] : [bodies.buffer]);
    return answer.promise as Promise<ReturnType<Commands[K]>>;
  }

  #onAnswer({ id, result, error, counts, damages }: Answer): void {
    const answer = this.#asked.get(id);
    this.#asked.delete(id);
    if (this.#asked.size === 0) this.#worker.unref();
    if (counts !== undefined) this.#counts = counts;
    for (const damage of damages) this.#options.damaged(damage);
    if (error === undefined) answer?.resolve(result);
    else if (error.code === undefined) answer?.reject(new Error(error.message));
    else answer?.reject(new UnavailableError(error.message, { code: error.code }));
  }

  #end(reason: string): void {
    this.#ended ??= new UnavailableError(`expected the spool ${this.file} to be open, got: ${reason}`, {
      code: 'spool-closed',
    });
    for (const answer of this.#asked.values()) answer.reject(this.#ended);
    this.#asked.clear();
  }
}

async function makeSpoolFolder(file: string): Promise<void> {
  try {
    await makeFolder(dirname(file));
  } catch (error) {
    throw new UnavailableError(`expected a folder for the spool ${file}, got: ${messageOf(error)}`, {
      code: 'spool-disk',
      cause: error,
    });
  }
}
