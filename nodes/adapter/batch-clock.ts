import { AsyncLocalStorage } from 'node:async_hooks';
import type { BatchClock } from '../lib/batch.js';

/** What follows from a batch belongs to no message: it runs outside of the asynchronous context of the one that started it. */
export function batchClock(): BatchClock {
  const detached = AsyncLocalStorage.snapshot();
  return {
    now: () => performance.now(),
    soon: (run) => void setImmediate(() => detached(run)),
    later: (run, milliseconds) => {
      const timer = setTimeout(() => detached(run), milliseconds);
      return () => clearTimeout(timer);
    },
  };
}
