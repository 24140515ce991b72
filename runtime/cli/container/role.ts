import { UserError } from '../../launcher/user-error.js';

export interface Role {
  readonly command: 'start' | 'fleet up' | 'join';
  readonly parameters: readonly string[];
}

/** A container's network is its own: others reach what listens on all of its addresses only. */
const EVERYWHERE = ['--host', '0.0.0.0'];
const PORT = '1880';
const METRICS_PORT = '9464';

/**
 * What a container is.
 *
 * @param variable - gives a variable of its environment
 * @throws UserError for a role that there is not
 */
export function roleOf(variable: (name: string) => string | undefined): Role {
  const role = variable('SLUICE_ROLE');
  switch (role) {
    case undefined:
      return { command: 'start', parameters: EVERYWHERE };
    case 'editor': {
      const isRead = variable('SLUICE_METRICS_TOKEN') !== undefined;
      return {
        command: 'fleet up',
        parameters: [...EVERYWHERE, '--workers', '0', ...(isRead ? ['--metrics-port', METRICS_PORT] : [])],
      };
    }
    case 'worker': {
      const isAlone = variable('SLUICE_SLOT') !== undefined;
      return { command: 'join', parameters: [...EVERYWHERE, '--port', PORT, ...(isAlone ? [] : ['--shared'])] };
    }
    default:
      throw new UserError(`expected SLUICE_ROLE to be editor or worker, or not to be set, got ${JSON.stringify(role)}`);
  }
}
