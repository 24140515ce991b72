import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../lib/errors.js';
import { spoolFolder, spoolOwner } from '../lib/spool/place.js';
import { Spool } from '../lib/spool/spool.js';
import { batchClock } from './batch-clock.js';
import type { Red } from './red.js';

/** Warns of spools whose node is not in the flows (any more): what they hold is kept, and nobody stores it. */
export class LeftSpools {
  readonly #red: Pick<Red, 'nodes' | 'settings' | 'log'>;
  readonly #told = new Set<string>();

  constructor(red: Pick<Red, 'nodes' | 'settings' | 'log'>) {
    this.#red = red;
  }

  /** After a deploy. Each file is told of once. */
  async report(): Promise<void> {
    const { userDir } = this.#red.settings;
    if (userDir === undefined) return;
    const folder = spoolFolder(userDir);
    const names = await readdir(folder).catch(() => []); // there has been none so far
    for (const name of names) {
      const id = spoolOwner(name);
      if (id === undefined || this.#told.has(name) || (this.#red.nodes.getNode(id) ?? null) !== null) continue;
      this.#told.add(name);
      await this.#tell(join(folder, name), id);
    }
  }

  async #tell(file: string, id: string): Promise<void> {
    const records = await countOf(file);
    if (records === 0) return;
    this.#red.log.warn(
      `a spool is left of a node that no running flow has file=${file} records=${records}: ` +
        `deploy a node with the id ${id} again and it stores them, or delete the file to give them up`,
    );
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
