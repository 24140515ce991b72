/** TTL indexes: removes what has expired, a little at a time. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Catalog } from './catalog.js';

/** As MongoDB's own TTL thread (`ttlMonitorSleepSecs`). */
export const SWEEP_MS = 60_000;
/** One transaction's worth. */
const BATCH = 500;

/** Removes the documents that have expired by `now`, in ms since 1970, and resolves to their number. */
export async function sweep(catalog: Catalog, now: number): Promise<number> {
  let removed = 0;
  for (const collection of catalog.all()) {
    for (const index of collection.indexes.filter(({ expireAfterSeconds }) => expireAfterSeconds !== undefined)) {
      let batch: number;
      do {
        if (collection.dropped || !collection.indexes.includes(index)) break;
        batch = catalog.transaction(() => collection.removeExpired(index, now, BATCH));
        removed += batch;
        await breathe();
      } while (batch === BATCH);
    }
  }
  return removed;
}
