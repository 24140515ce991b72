import { randomUUID } from 'node:crypto';
import { access, constants, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import { checkKey, type ObjectStore } from './store.js';

/**
 * Objects as files below a folder. One is written under a temporary name, which begins with a dot so that Hive, Spark and
 * their like pass over what a crash may leave, made durable, and only then given its own.
 */
export class FolderStore implements ObjectStore {
  readonly place: string;
  readonly #root: string;

  constructor(url: URL) {
    this.#root = resolve(fileURLToPath(url));
    this.place = `folder ${this.#root}`;
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    checkKey(key);
    const path = join(this.#root, ...key.split('/'));
    const folder = dirname(path);
    const partial = join(folder, `.${randomUUID()}.partial`);
    try {
      const made = await mkdir(folder, { recursive: true });
      await writeDurably(partial, body);
      await rename(partial, path);
      await this.#syncFolders(folder, made);
    } catch (error) {
      await rm(partial, { force: true }).catch(() => undefined); // the first error is the one to tell
      throw this.#storeError(error);
    }
  }

  async check(): Promise<void> {
    try {
      await mkdir(this.#root, { recursive: true });
      await access(this.#root, constants.W_OK);
    } catch (error) {
      throw this.#storeError(error);
    }
  }

  close(): void {
    // Nothing stays open between two objects.
  }

  /**
   * A new name is durable when the folder that holds it is, and so on up. All of them each time, and not only those made
   * here: another put may have made one and not yet have come this far.
   */
  async #syncFolders(folder: string, made: string | undefined): Promise<void> {
    const top = made !== undefined && this.#root.startsWith(made) ? dirname(made) : this.#root;
    for (let at = folder; ; at = dirname(at)) {
      await syncFolder(at);
      if (at === top || at === dirname(at)) return;
    }
  }

  #storeError(error: unknown): Error {
    const code = (error as NodeJS.ErrnoException).code;
    switch (code) {
      case 'ENAMETOOLONG':
        return new RejectedError(`expected a key that ${this.place} can hold, got one with a name too long for it`, {
          code: 'key',
          cause: error,
        });
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        return new ConfigError(`expected the right to write into ${this.place}, got ${code}`, {
          code: 'access-denied',
          path: '/url',
          cause: error,
        });
      case 'ENOTDIR':
      case 'EEXIST':
        return new UnavailableError(`expected ${this.place} and its folders, got a file in the place of one`, {
          code: 'not-a-folder',
          cause: error,
        });
      default:
        return new UnavailableError(`expected ${this.place} to store an object, got ${messageOf(error)}`, {
          code: 'disk',
          cause: error,
        });
    }
  }
}

async function writeDurably(path: string, body: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(body);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return; // a folder cannot be opened there; NTFS journals the rename
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
