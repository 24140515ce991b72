import { join } from 'node:path';
import { LetterFolder } from '../dead-letter-queue/letter-folder.js';
import { DeadLetterQueue } from '../dead-letter-queue/queue.js';
import { Counters } from '../lib/counters.js';
import { type DeadLetter, type DeadLetterDraft, DeadLetters, type LetterFilter } from '../lib/dead-letter.js';
import { UnavailableError } from '../lib/errors.js';
import type { Log } from './define-node.js';

const LIMITS = { maxQueue: 10_000, maxQueueBytes: 64 * 1024 * 1024 };

/** Where the dead letters go of a flow that names no place for them: a folder in the user folder. */
export class LastResort extends DeadLetters {
  readonly #userDir: () => string | undefined;
  readonly #writer: string;
  readonly #log: Log;
  #queue: { readonly userDir: string; readonly letters: DeadLetterQueue } | undefined;

  /** @param writer - names this process among all that use the folder */
  constructor(userDir: () => string | undefined, writer: string, log: Log) {
    super();
    this.#userDir = userDir;
    this.#writer = writer;
    this.#log = log;
  }

  async keep(letter: DeadLetterDraft): Promise<void> {
    const letters = this.#letters();
    if (letters === undefined) {
      throw new UnavailableError('expected a user folder for dead letters, got a runtime without', {
        code: 'no-folder',
      });
    }
    await letters.keep(letter);
  }

  async find(filter: LetterFilter, count: number): Promise<DeadLetter[]> {
    return (await this.#letters()?.find(filter, count)) ?? [];
  }

  async markReplayed(ids: readonly string[]): Promise<void> {
    await this.#letters()?.markReplayed(ids);
  }

  /** None in a runtime without a user folder, as a test's may be. */
  #letters(): DeadLetterQueue | undefined {
    const userDir = this.#userDir();
    if (userDir === undefined) return undefined;
    if (this.#queue?.userDir !== userDir) this.#queue = { userDir, letters: this.#lettersIn(userDir) };
    return this.#queue.letters;
  }

  #lettersIn(userDir: string): DeadLetterQueue {
    return new DeadLetterQueue(
      {
        config: { configVersion: 1, place: 'folder', collection: '', ...LIMITS },
        counters: new Counters(),
        status: () => undefined,
        log: this.#log,
      },
      new LetterFolder(join(userDir, 'dead-letters'), `${this.#writer}.unnamed`),
    );
  }
}
