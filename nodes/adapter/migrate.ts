import { ConfigError, describeValue } from '../lib/errors.js';
import type { CheckedSpecification } from './define-node.js';

/**
 * A node's settings in the form of this palette's version.
 *
 * @throws ConfigError `version` for settings of a newer palette
 */
export function migrate(
  definition: Readonly<Record<string, unknown>>,
  { type, migrations = [] }: Pick<CheckedSpecification, 'type' | 'migrations'>,
): Record<string, unknown> {
  const known = migrations.length + 1;
  const given = definition['configVersion'] ?? 1;
  const isPlain = typeof given === 'string' || typeof given === 'number';
  const version = isPlain ? Number(given) : NaN;
  if (!Number.isInteger(version) || version < 1 || version > known) {
    throw new ConfigError(
      `/configVersion: expected a version of ${type} from 1 to ${known}, got ${isPlain ? given : describeValue(given)}: ` +
        'this flow was made with a newer palette; update @sluice/node-red',
      { code: 'version', path: '/configVersion' },
    );
  }
  const migrated = migrations
    .slice(version - 1)
    .reduce<Record<string, unknown>>((config, step) => step(config), { ...definition });
  return { ...migrated, configVersion: known };
}
