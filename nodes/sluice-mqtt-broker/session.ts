import type { NodeContext } from '../adapter/define-node.js';
import type { Config, Credentials } from './config.js';

/** Whose session it is, and for how long the broker keeps it. */
export interface Session {
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds. */
  readonly sessionExpiry: number;
}

/** In place of 0, with which a session ends with its connection: a week, in seconds. */
const LONG = 604_800;

type SessionContext = Pick<NodeContext<Config, Credentials>, 'id' | 'instance' | 'config' | 'log'> &
  Partial<Pick<NodeContext<Config, Credentials>, 'fleet'>>;

/**
 * In a fleet a session always outlives its connection, and is of one instance only: what a broker has given to a member of
 * a shared group waits for that member, and mosquitto drops it where its session ends, or begins anew.
 */
export function sessionOf({ id, instance, fleet, config, log }: SessionContext): Session {
  const { clientId, cleanStart, sessionExpiry } = config;
  if (fleet === undefined) {
    return { clientId: clientId ?? `sluice-${instance}-${id}`, cleanStart, sessionExpiry };
  }
  if (cleanStart) log('warn', 'in a fleet no session begins anew: clean start is not done', { fleet: fleet.name });
  return {
    clientId: clientId === undefined ? `sluice-${fleet.name}-${fleet.slot}-${id}` : `${clientId}-${fleet.slot}`,
    cleanStart: false,
    sessionExpiry: sessionExpiry > 0 ? sessionExpiry : LONG,
  };
}
