/** Packages of others, for the tests alone: in a folder of their own, which a runtime of the tests takes as its user's. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../contrib');
/** Where they are. */
export const CONTRIB = join(folder, 'node_modules');

/** Installs them where they are missing. @returns why that cannot be done; undefined when they are there */
export function installContrib(): string | undefined {
  if (existsSync(join(CONTRIB, '.package-lock.json'))) return undefined;
  const parameters = ['ci', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts'];
  const { status, stderr, error } = spawnSync('npm', parameters, { encoding: 'utf8' });
  if (status === 0) return undefined;
  const reason = error?.message ?? /^npm error (?!code).*$/m.exec(stderr)?.[0] ?? `npm ended with ${status}`;
  return `the packages of test/contrib/package.json could not be installed: ${reason}`;
}
