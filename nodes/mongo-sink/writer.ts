import type { AnyBulkWriteOperation } from 'mongodb';
import type { Counters } from '../lib/counters.js';
import { UnavailableError } from '../lib/errors.js';
import { isDuplicateId, type WriteFailures } from '../mongo-connection/bulk-write.js';
import type { CollectionSetup } from './collection-setup.js';
import type { Config } from './config.js';
import { type Conditional, findOutdated, type LookUp } from './outdated.js';

/** What the writer needs of a database: `MongoConnection`. */
export interface WriteStore extends LookUp {
  write(
    collection: string,
    operations: readonly AnyBulkWriteOperation[],
    options: { readonly ordered: boolean },
  ): Promise<WriteFailures>;
}

/** What is to be written for one message. */
export interface Write extends Conditional {
  readonly operation: AnyBulkWriteOperation;
  readonly collection: string;
  /** It is on its way to the disk, and counts when its record is stored. */
  readonly spooling?: boolean;
}

interface WriterParts {
  readonly config: Pick<Config, 'operation' | 'newerOnly'>;
  readonly store: WriteStore;
  readonly setup: CollectionSetup;
  readonly counters: Counters;
  /** Whether each write of a batch has to wait for those before it. */
  readonly ordered: boolean;
  /** Whether one that waits for its collection to be made is told so, and does not wait. */
  readonly impatient: boolean;
}

const NONE: ReadonlySet<number> = new Set();

/** Writes batches, and counts what was stored: what the server has taken, and what it had before. */
export class Writer {
  readonly #parts: WriterParts;

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** @returns what was not stored, by its index */
  async write(collection: string, writes: readonly Write[]): Promise<WriteFailures> {
    const { config, store, setup, counters, ordered, impatient } = this.#parts;
    const ready = setup.ready(collection);
    if (ready !== undefined) {
      await (impatient ? Promise.race([ready, setup.whenHeld(collection)]) : ready);
      const held = impatient ? setup.heldFor(collection) : undefined;
      if (held !== undefined) {
        const failure = new UnavailableError(held, { code: 'setup' });
        return new Map(writes.map((_write, index) => [index, failure]));
      }
    }
    counters.add('batches');
    const operations = writes.map(({ operation }) => operation);
    const refused = await store.write(collection, operations, { ordered });
    const { outdated, failures } =
      refused.size === 0 || config.newerOnly === undefined
        ? { outdated: NONE, failures: refused }
        : await findOutdated(store, collection, writes, refused);
    const inserts = config.operation === 'insert';
    const notStored = new Map([...failures].filter(([, failure]) => !(inserts && isDuplicateId(failure))));
    for (const [index, { spooling }] of writes.entries()) {
      if (spooling === true || notStored.has(index)) continue;
      counters.add('stored');
      if (failures.has(index)) counters.add('duplicate');
      if (outdated.has(index)) counters.add('outdated');
    }
    return notStored;
  }
}
