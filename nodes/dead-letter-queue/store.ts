import type { RejectedError, UnavailableError } from '../lib/errors.js';
import type { DeadLetter } from '../lib/dead-letter.js';

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
   * @throws UnavailableError
   */
  last(count: number): Promise<DeadLetter[]>;
  close(): Promise<void>;
}
