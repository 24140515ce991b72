import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** SQLite's own number for a file that another process has locked. */
const SQLITE_BUSY = 5;

/**
 * Keeps a folder for one process, also where others are in containers that have the same volume: there, a process id says
 * nothing. The lock is SQLite's, on a file of its own; the kernel ends it with the process.
 */
export class FolderLock {
  readonly #file: DatabaseSync;

  private constructor(file: DatabaseSync) {
    this.#file = file;
  }

  /** @returns undefined when another process has it */
  static take(folder: string): FolderLock | undefined {
    mkdirSync(folder, { recursive: true });
    const file = new DatabaseSync(join(folder, 'lock'));
    try {
      file.exec('BEGIN EXCLUSIVE');
      return new FolderLock(file);
    } catch (error) {
      file.close();
      if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
      throw error;
    }
  }

  end(): void {
    this.#file.close();
  }
}
