import { ConfigError } from '../lib/errors.js';

/** Which instance of which fleet this process is. It always comes back as the same one. */
export interface Fleet {
  readonly name: string;
  readonly slot: number;
}

/** The slot of the instance with the editor. Workers have 1 and up, and share what comes in. */
export const EDITOR_SLOT = 0;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/**
 * What `SLUICE_FLEET` and `SLUICE_SLOT` say of this process; undefined where it is in no fleet.
 *
 * @throws ConfigError `fleet`: under a wrong name or slot it would take the messages of another
 */
export function fleetOf(environment: NodeJS.ProcessEnv): Fleet | undefined {
  const { SLUICE_FLEET: name = '', SLUICE_SLOT: slot = '' } = environment;
  if (name === '' && slot === '') return undefined;
  if (!NAME.test(name)) {
    throw wrong('SLUICE_FLEET', 'the name of the fleet, of at most 63 letters, digits, _ and -', name);
  }
  if (!/^\d{1,9}$/.test(slot)) {
    throw wrong('SLUICE_SLOT', 'the number of the instance in its fleet (0: the one with the editor)', slot);
  }
  return { name, slot: Number(slot) };
}

function wrong(variable: string, expected: string, got: string): ConfigError {
  const text = got === '' ? 'nothing' : JSON.stringify(got);
  return new ConfigError(`${variable}: expected ${expected}, got ${text}`, { code: 'fleet' });
}
