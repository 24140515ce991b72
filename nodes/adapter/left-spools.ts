import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../lib/errors.js';
import { spoolFolder, spoolOwner } from '../lib/spool/place.js';
import { Spool } from '../lib/spool/spool.js';
import { batchClock } from './batch-clock.js';
import type { Red } from './red.js';

/** A spool whose node is not in the flows. */
export interface LeftSpool {
  readonly id: string;
  readonly file: string;
  /** How many records it holds, or why that is not known. */
  readonly records: number | string;
}

/** Spools whose node is not in the flows (any more): what they hold is kept, and nobody stores it. */
export class LeftSpools {
  readonly #red: Pick<Red, 'nodes' | 'settings' | 'log'>;
  readonly #told = new Set<string>();

  constructor(red: Pick<Red, 'nodes' | 'settings' | 'log'>) {
    this.#red = red;
  }

  /** After a deploy: warns of each file that holds something, once. */
  async report(): Promise<void> {
    for (const { id, file, records } of await this.find((name) => this.#isNew(name))) {
      if (records === 0) continue;
      this.#red.log.warn(
        `a spool is left of a node that no running flow has file=${file} records=${records}: ` +
          `deploy a node with the id ${id} again and it stores them, or delete the file to give them up`,
      );
    }
  }

  async find(such: (name: string) => boolean = () => true): Promise<LeftSpool[]> {
    const { userDir } = this.#red.settings;
    if (userDir === undefined) return [];
    const folder = spoolFolder(userDir);
    const names = await readdir(folder).catch(() => []); // there has been none so far
    const found: LeftSpool[] = [];
    for (const name of names) {
      const id = spoolOwner(name);
      if (id === undefined || (this.#red.nodes.getNode(id) ?? null) !== null || !such(name)) continue;
      const file = join(folder, name);
      found.push({ id, file, records: await countOf(file) });
    }
    return found;
  }

  #isNew(name: string): boolean {
    const isNew = !this.#told.has(name);
    this.#told.add(name);
    return isNew;
  }
}

/** How many records a spool holds, or why that is not known. */
async function countOf(file: string): Promise<number | string> {
  try {
    const spool = await Spool.open({
      file,
      maxBytes: 0,
      whenFull: 'block',
      rememberIdentities: 0,
      clock: batchClock(),
      dropped: () => undefined,
      damaged: () => undefined,
    });
    const { records } = spool.counts;
    await spool.close();
    return records;
  } catch (error) {
    return `unknown (${messageOf(error)})`;
  }
}
