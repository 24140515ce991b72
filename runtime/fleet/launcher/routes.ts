import { userInfo } from 'node:os';
import { UserError } from '../../launcher/user-error.js';
import type { Routes } from './control-server.js';
import type { Fleet } from './fleet.js';
import type { FleetStatus } from './status.js';

export interface RouteSources {
  readonly fleet: Fleet;
  readonly status: () => FleetStatus;
  readonly metrics: () => Promise<string>;
  readonly down: () => void;
}

/** What commands ask of a launcher. An operation is answered with a sentence, once it is done. */
export function fleetRoutes({ fleet, status, metrics, down }: RouteSources): Routes {
  return {
    'GET /status': status,
    'GET /metrics': metrics,
    'GET /history': async () => ({ revisions: await fleet.history() }),
    'POST /scale': async ({ workers }) => ({ message: await fleet.scale(whole(workers, 0, 'a number of workers')) }),
    'POST /drain': async ({ slot, takeOver }) => ({
      message: await fleet.drain(whole(slot, 0, 'a slot'), takeOver === true),
    }),
    'POST /restart': async ({ slot }) => ({
      message: await fleet.restart(slot === undefined ? undefined : whole(slot, 0, 'a slot')),
    }),
    'POST /rollback': async ({ revision }) => {
      const wanted = whole(revision, 1, 'a revision');
      const fresh = await fleet.rollback(wanted, userInfo().username);
      return { message: `revision ${wanted} is back, as revision ${fresh}`, revision: fresh };
    },
    'POST /down': () => {
      down();
      return { message: 'the fleet stops' };
    },
  };
}

function whole(value: unknown, least: number, what: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw new UserError(`expected ${what} from ${least}, got ${JSON.stringify(value)}`);
}
