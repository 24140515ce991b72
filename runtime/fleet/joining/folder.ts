import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivate } from '../../launcher/run-file.js';
import { UserError } from '../../launcher/user-error.js';
import { UserFolder } from '../../launcher/user-folder.js';

interface MemberFile {
  readonly member: string;
  readonly fleet: string;
}

/** The user folder of a worker that joins a fleet from another machine. */
export class MemberFolder extends UserFolder {
  readonly #file: string;

  constructor(path: string) {
    super(path);
    this.#file = join(this.path, 'member.json');
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

  #write(file: MemberFile): void {
    writePrivate(this.#file, `${JSON.stringify(file)}\n`);
  }
}
