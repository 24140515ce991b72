import { RejectedError, UnavailableError } from '../lib/errors.js';
import { isDuplicate, type WriteFailures } from '../mongo-connection/bulk-write.js';
import type { Document } from './document.js';
import type { Newer } from './operation.js';

export interface LookUp {
  /** Whether a filter finds a document. @throws UnavailableError */
  has(collection: string, filter: Document): Promise<boolean>;
}

export interface Conditional {
  readonly newer?: Newer;
  /** How often its key was taken although what is there is older. */
  collisions: number;
}

/** Two writers that make the document of one key at once: the one that came second finds it at the next attempt. */
const MOST_COLLISIONS = 3;

/**
 * A write that asks for an older document, and finds none, tries to make one, and breaks the unique index over the key
 * where the document that is there is not older. The server says E11000, and not always of which index (FerretDB and
 * Cosmos DB do not), and a second writer may just have made the document. So what is there is looked at.
 *
 * @returns the indexes of what is outdated, and what became of the others
 */
export async function findOutdated(
  store: LookUp,
  collection: string,
  writes: readonly Conditional[],
  failures: WriteFailures,
): Promise<{ readonly outdated: ReadonlySet<number>; readonly failures: WriteFailures }> {
  const outdated = new Set<number>();
  const rest = new Map(failures);
  await Promise.all(
    [...failures].map(async ([index, failure]) => {
      const write = writes[index];
      if (write?.newer === undefined || !(failure instanceof RejectedError) || !isDuplicate(failure)) return;
      const verdict = await judge(store, collection, write.newer);
      if (verdict === 'outdated') {
        rest.delete(index);
        outdated.add(index);
      } else if (verdict instanceof UnavailableError) {
        rest.set(index, verdict);
      } else if (verdict === 'older' && ++write.collisions <= MOST_COLLISIONS) {
        rest.set(
          index,
          new UnavailableError('expected to be the only writer of a key, got another', { code: 'server' }),
        );
      }
    }),
  );
  return { outdated, failures: rest };
}

async function judge(
  store: LookUp,
  collection: string,
  { key, notOlder }: Newer,
): Promise<'outdated' | 'older' | 'none' | UnavailableError> {
  try {
    if (await store.has(collection, notOlder)) return 'outdated';
    return (await store.has(collection, key)) ? 'older' : 'none';
  } catch (error) {
    if (error instanceof UnavailableError) return error;
    throw error;
  }
}
