import type { RejectedError, UnavailableError } from '../lib/errors.js';
import type { DeadLetter, LetterFilter } from '../lib/dead-letter.js';

/** Where a queue keeps its letters: a folder or a collection. */
export interface LetterStore {
  /** What a sentence calls it. Never a secret. */
  readonly place: string;
  /**
   * Keeps letters; resolves when they are durable, and says of each that is not why, by its index. A letter that is there
   * already, by its id, counts as kept. Never rejects.
   */
  append(letters: readonly DeadLetter[]): Promise<ReadonlyMap<number, RejectedError | UnavailableError>>;
  /**
   * The last letters, the newest first.
   *
   * @param maxBytes - of their payloads; the first is given whatever its size
   * @throws UnavailableError
   */
  last(count: number, maxBytes: number): Promise<DeadLetter[]>;
  /** The last letters that a filter finds; else as `last`. */
  find(filter: LetterFilter, count: number, maxBytes: number): Promise<DeadLetter[]>;
  /** Says of letters that their messages have been replayed; what it does not have does not matter. @throws UnavailableError */
  markReplayed(ids: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** About what a letter takes. */
export function sizeOf({ message }: DeadLetter): number {
  return Buffer.byteLength(message.payload?.data ?? '');
}

/** Of some letters the newest, as `last` gives them. */
export function newest(letters: readonly DeadLetter[], count: number, maxBytes: number): DeadLetter[] {
  const sorted = letters.toSorted((a, b) => (a.id < b.id ? 1 : -1)).slice(0, count);
  let bytes = 0;
  const beyond = sorted.findIndex((letter, index) => (bytes += sizeOf(letter)) > maxBytes && index > 0);
  return beyond === -1 ? sorted : sorted.slice(0, beyond);
}
