import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunFile, type RunningProcess } from '../../launcher/run-file.js';
import { UserError } from '../../launcher/user-error.js';
import { UserFolder } from '../../launcher/user-folder.js';
import { EDITOR_SLOT } from '../identity.js';
import { checkedSecret, givenSecret } from '../secret.js';

/** `<user folder>/fleet.json`: how a command finds the launcher of a fleet. */
export interface FleetFile extends RunningProcess {
  readonly fleet: string;
}

/** The user folder of a fleet: that of its editor instance, with what its launcher keeps beside. */
export class FleetFolder extends UserFolder {
  readonly file: RunFile<FleetFile>;
  readonly #secretFile: string;

  constructor(path: string) {
    super(path);
    this.file = new RunFile(join(this.path, 'fleet.json'));
    this.#secretFile = join(this.path, 'fleet-secret');
  }

  get slotTable(): string {
    return join(this.path, 'slots.json');
  }

  /** The user folder of an instance: for the editor instance, this one. */
  slot(slot: number): UserFolder {
    return slot === EDITOR_SLOT ? this : new UserFolder(join(this.path, 'slots', String(slot)));
  }

  log(slot: number): string {
    return join(this.path, 'slots', String(slot), 'log');
  }

  /** The one of the environment, else the folder's own. @throws UserError where there is none, or one that others can read */
  secret(): string {
    const given = givenSecret();
    if (given !== undefined) return given;
    if (!existsSync(this.#secretFile)) {
      throw new UserError(
        `expected a secret in SLUICE_FLEET_SECRET or ${this.#secretFile}, got none: sluice fleet up makes one`,
      );
    }
    const mode = statSync(this.#secretFile).mode & 0o777;
    if ((mode & 0o077) !== 0) {
      throw new UserError(
        `expected ${this.#secretFile} to be for its owner only, got mode ${mode.toString(8)}: chmod 600 it`,
      );
    }
    return checkedSecret(readFileSync(this.#secretFile, 'utf8').trim(), this.#secretFile);
  }

  /** As `secret`, and made where there is none. */
  secretOrNew(): string {
    if (givenSecret() === undefined && !existsSync(this.#secretFile)) {
      mkdirSync(this.path, { recursive: true });
      writeFileSync(this.#secretFile, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
    }
    return this.secret();
  }
}
