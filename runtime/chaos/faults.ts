import { setTimeout as delay } from 'node:timers/promises';
import type { Phase } from './phase.js';
import type { PlannedFault } from './plan.js';

/** A fault that was carried out. */
export interface DoneFault extends PlannedFault {
  /** Seconds since the first message, from its beginning until all runs again. */
  readonly from: number;
  readonly to: number;
}

/**
 * Does it, and puts it right again: also when told to end in the middle.
 *
 * @throws UserError when something does not come back
 */
export async function carryOut(
  { kind, seconds, which }: PlannedFault,
  phase: Phase,
  signal: AbortSignal,
): Promise<void> {
  const { instance, broker, store, lines, disk } = phase;
  const away = (): Promise<void> => delay(seconds * 1_000, undefined, { signal });
  switch (kind) {
    case 'kill-runtime':
      await instance.kill();
      await away();
      return instance.start();
    case 'kill-store':
      await store.own?.kill();
      await away();
      return store.own?.start();
    case 'stop-store':
      store.own?.signal('SIGSTOP');
      return away().finally(() => store.own?.signal('SIGCONT'));
    case 'kill-broker':
    case 'restart-broker':
      await broker.own?.down();
      await away();
      return broker.own?.start();
    case 'cut-broker':
    case 'cut-store': {
      const line = kind === 'cut-broker' ? lines.broker : lines.store;
      await line?.cut();
      await away();
      return line?.open();
    }
    case 'full-disk':
      await disk?.fill();
      return away().finally(() => disk?.free());
    case 'redeploy-full':
      return instance.redeploy('full', which);
    case 'redeploy-flows':
      return instance.redeploy('flows', which);
    case 'redeploy-nodes':
      return instance.redeploy('nodes', which);
  }
}
