import { ConfigError } from '../lib/errors.js';

/** What a node says that cannot use the config node that its settings name at `path`. */
export function configNodeError(type: string, path: string, got: string): ConfigError {
  return new ConfigError(`${path}: expected a node of type ${type}, got ${got}`, { code: 'config-node', path });
}
