import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivate } from '../../launcher/run-file.js';
import { UserError } from '../../launcher/user-error.js';
import { UserFolder, type InstanceFile } from '../../launcher/user-folder.js';
import { FolderLock } from './folder-lock.js';

interface MemberFile {
  readonly member: string;
  readonly fleet: string;
}

/** More workers than one machine runs. */
const MOST_PLACES = 1_000;

/** The user folder of a worker that joins a fleet from another machine. */
export class MemberFolder extends UserFolder {
  readonly #file: string;
  #lock: FolderLock | undefined;

  constructor(path: string) {
    super(path);
    this.#file = join(this.path, 'member.json');
  }

  /**
   * The lowest of the folders `1`, `2`, … that no worker runs on, for this process.
   *
   * @returns its number, too
   */
  static oneOf(path: string): { readonly folder: MemberFolder; readonly place: number } {
    for (let place = 1; place <= MOST_PLACES; place++) {
      const folder = new MemberFolder(join(path, String(place)));
      if (folder.#isOurs()) return { folder, place };
    }
    throw new UserError(`expected a folder in ${path} that no worker runs on, got ${MOST_PLACES} on which one does`);
  }

  override async claim(name: string): Promise<InstanceFile> {
    if (this.#isOurs()) return super.claim(name);
    throw new UserError(
      `expected a user folder that no instance runs on, got ${this.path}, which another process has locked: ` +
        'stop it, or choose another with --user-dir',
    );
  }

  override release(): void {
    super.release();
    this.#lock?.end();
    this.#lock = undefined;
  }

  get log(): string {
    return join(this.path, 'log');
  }

  /**
   * By what the fleet's launcher knows it again: made once.
   *
   * @throws UserError when the folder is of another fleet: its spools are that one's
   */
  member(fleet: string): string {
    if (!existsSync(this.#file)) this.#write({ member: randomUUID(), fleet });
    const file = JSON.parse(readFileSync(this.#file, 'utf8')) as MemberFile;
    if (file.fleet === fleet) return file.member;
    throw new UserError(
      `expected a folder of the fleet "${fleet}", got ${this.path}, which is of "${file.fleet}": ` +
        'choose another with --user-dir',
    );
  }

  #isOurs(): boolean {
    this.#lock ??= FolderLock.take(this.path);
    return this.#lock !== undefined;
  }

  #write(file: MemberFile): void {
    writePrivate(this.#file, `${JSON.stringify(file)}\n`);
  }
}
