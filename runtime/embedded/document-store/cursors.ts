/** Cursors: results of which the client fetches one batch after the other. */
import { randomBytes } from 'node:crypto';
import { CommandError } from './errors.js';

/** MongoDB's: the first batch when none is asked for, and the most bytes of one. */
const FIRST_BATCH = 101;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
/** What stands before a document in a batch: its type, and its index as text with a NUL. */
const ENTRY_BYTES = 10;
/** MongoDB's `cursorTimeoutMillis`. */
const IDLE_MS = 600_000;

/** https://www.mongodb.com/docs/manual/reference/command/getMore/: what is over. */
const EXHAUSTED = 0n;

class Cursor {
  busy = false;
  used = performance.now();
  #waiting: Buffer[] = [];

  constructor(
    readonly ns: string,
    readonly results: AsyncGenerator<Buffer[], void>,
  ) {}

  /** At most so many documents, and a batch's bytes; one at least, if there is one. Gives whether that was all. */
  async take(most: number): Promise<{ batch: Buffer[]; exhausted: boolean }> {
    const batch: Buffer[] = [];
    let bytes = 0;
    for (;;) {
      while (this.#waiting.length === 0) {
        if (batch.length >= most) return { batch, exhausted: false };
        const next = await this.results.next();
        if (next.done === true) return { batch, exhausted: true };
        this.#waiting = next.value.reverse();
      }
      const next = this.#waiting.at(-1);
      if (next === undefined) continue;
      if (batch.length >= most || (batch.length > 0 && bytes + next.length + ENTRY_BYTES > MAX_BATCH_BYTES)) {
        return { batch, exhausted: false };
      }
      this.#waiting.pop();
      batch.push(next);
      bytes += next.length + ENTRY_BYTES;
    }
  }
}

export interface Batch {
  /** 0 when there is no more. */
  readonly id: bigint;
  readonly batch: readonly Buffer[];
}

export class Cursors {
  readonly #open = new Map<bigint, Cursor>();

  /** @param single whether the client wants the first batch only */
  async open(
    ns: string,
    results: AsyncGenerator<Buffer[], void>,
    batchSize: number | undefined,
    single = false,
  ): Promise<Batch> {
    const cursor = new Cursor(ns, results);
    const { batch, exhausted } = await cursor.take(batchSize ?? FIRST_BATCH);
    if (exhausted || single) {
      await results.return(undefined);
      return { id: EXHAUSTED, batch };
    }
    const id = randomBytes(8).readBigInt64LE() & 0x7fff_ffff_ffff_ffffn;
    this.#open.set(id, cursor);
    return { id, batch };
  }

  /** Throws CursorNotFound, Unauthorized for another namespace, CursorInUse. */
  async more(id: bigint, ns: string, batchSize: number | undefined): Promise<Batch> {
    const cursor = this.#open.get(id);
    if (cursor === undefined) throw new CommandError('CursorNotFound', `cursor id ${id.toString()} not found`);
    if (cursor.ns !== ns) {
      throw new CommandError(
        'Unauthorized',
        `Requested getMore on namespace '${ns}', but cursor belongs to a different namespace ${cursor.ns}`,
      );
    }
    if (cursor.busy) throw new CommandError('CursorInUse', `cursor id ${id.toString()} is already in use`);
    cursor.busy = true;
    try {
      const { batch, exhausted } = await cursor.take(batchSize ?? Infinity);
      if (exhausted) this.#open.delete(id);
      return { id: exhausted ? EXHAUSTED : id, batch };
    } catch (error) {
      this.#open.delete(id);
      throw error;
    } finally {
      cursor.busy = false;
      cursor.used = performance.now();
    }
  }

  /** Gives false when there is none of that id in the namespace. */
  kill(id: bigint, ns: string): boolean {
    return this.#open.get(id)?.ns === ns && this.#open.delete(id);
  }

  /** Closes those that nobody has used for ten minutes. */
  closeIdle(): void {
    const since = performance.now() - IDLE_MS;
    for (const [id, cursor] of this.#open) if (!cursor.busy && cursor.used < since) this.#open.delete(id);
  }
}
