import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../launcher/user-error.js';
import type { FleetKeys } from '../keys.js';
import type { FlowDocument } from './document.js';
import type { FlowRevision } from './member.js';
import { openRevision, type Manifest, type Revision } from './revision.js';
import { readRevision, writeRevision } from './revision-file.js';

const MOST_REVISIONS = 50;
const FILE = /^(\d+)\.flow$/;

/** The revisions that this editor has published, in a folder of its owner's: a file each, sealed as they travel. */
export class History {
  readonly #folder: string;
  readonly #keys: FleetKeys;
  /** The newest first. */
  readonly #manifests: Manifest[] = [];

  /** What is wrong with files that cannot be used; they are left where they are. */
  readonly damages: string[] = [];

  constructor(folder: string, keys: FleetKeys) {
    this.#folder = folder;
    this.#keys = keys;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const numbers = readdirSync(folder).flatMap((name) => FILE.exec(name)?.[1] ?? []);
    for (const number of numbers.map(Number).sort((a, b) => b - a)) {
      try {
        this.#manifests.push(this.#read(number).manifest);
      } catch (error) {
        this.damages.push(`a revision of the flow history cannot be used: ${messageOf(error)}`);
      }
    }
  }

  list(): FlowRevision[] {
    return this.#manifests.map(({ revision, author, time, nodes, size, chunks, rollbackOf }) => ({
      revision,
      author,
      time,
      nodes,
      bytes: size,
      chunks: chunks.length,
      ...(rollbackOf !== undefined && { rollbackOf }),
    }));
  }

  newest(): Revision | undefined {
    const [newest] = this.#manifests;
    return newest === undefined ? undefined : this.#read(newest.revision);
  }

  /** @returns undefined for one that is not kept */
  document(revision: number): FlowDocument | undefined {
    return existsSync(this.#path(revision)) ? openRevision(this.#keys, this.#read(revision)) : undefined;
  }

  add(revision: Revision): void {
    writeRevision(this.#path(revision.manifest.revision), this.#keys, revision);
    this.#manifests.unshift(revision.manifest);
    for (const old of this.#manifests.splice(MOST_REVISIONS)) rmSync(this.#path(old.revision), { force: true });
  }

  #read(revision: number): Revision {
    return readRevision(this.#path(revision), this.#keys);
  }

  #path(revision: number): string {
    return join(this.#folder, `${revision}.flow`);
  }
}
