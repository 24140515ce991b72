import { randomUUID } from 'node:crypto';
import { access, constants, link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import { syncFolder } from '../lib/sync-folder.js';
import { checkKey, type ObjectStore, type PutOutcome } from './store.js';

/** What link(2) answers where the file system has none, as FAT. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/**
 * Objects as files below a folder. One is written under a temporary name, which begins with a dot so that Hive, Spark and
 * their like pass over what a crash may leave, made durable, and only then given its own: by a link, which unlike a
 * rename fails where that name is taken (link(2), EEXIST).
 */
export class FolderStore implements ObjectStore {
  readonly place: string;
  readonly #root: string;

  constructor(url: URL) {
    this.#root = resolve(fileURLToPath(url));
    this.place = `folder ${this.#root}`;
  }

  async put(key: string, body: Uint8Array): Promise<PutOutcome> {
    checkKey(key);
    const path = join(this.#root, ...key.split('/'));
    const folder = dirname(path);
    const partial = join(folder, `.${randomUUID()}.partial`);
    try {
      const made = await mkdir(folder, { recursive: true });
      await writeDurably(partial, body);
      const outcome = await giveName(partial, path, body);
      if (outcome !== 'taken') await this.#syncFolders(folder, made);
      return outcome;
    } catch (error) {
      throw this.#storeError(error);
    } finally {
      await rm(partial, { force: true }).catch(() => undefined); // readers pass over it; the first error is the one to tell
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
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (syscall === 'link' && NO_LINKS.has(code ?? '')) {
      return new ConfigError(`expected a file system with hard links in ${this.place}, got ${code}`, {
        code: 'no-hard-links',
        path: '/url',
        cause: error,
      });
    }
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
      case 'EISDIR':
        return new UnavailableError(`expected ${this.place} to store an object, got a folder in its place`, {
          code: 'a-folder',
          cause: error,
        });
      case 'ENOSPC':
      case 'EDQUOT':
        return new UnavailableError(`expected room for an object in ${this.place}, got ${code}: the disk is full`, {
          code: 'disk-full',
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

async function giveName(partial: string, path: string, body: Uint8Array): Promise<PutOutcome> {
  try {
    await link(partial, path);
    return 'stored';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return (await readFile(path)).equals(body) ? 'found' : 'taken';
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
