/** All that a change must pass beside its tests. Each step says its name; the first that fails ends the run. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readNodeFolders } from '../nodes/editor/node-folder.js';
import { checkPackages } from './check-packages.js';
import { committedFiles } from './generated.js';

const root = join(import.meta.dirname, '..');

const steps: [string, () => void | Promise<void>][] = [
  ['format', () => run('prettier', '--check', '.')],
  ['build, from nothing', () => run('tsx', 'scripts/build.ts', '--clean')],
  ['types of tests and scripts', () => run('tsc', '-p', '.')],
  ['types of forms', () => run('tsc', '-p', 'nodes/editor')],
  ['lint', () => run('eslint', '.')],
  ['generated files are fresh', checkGenerated],
  ['flows and examples', () => run('sluice', 'check', 'flows', 'examples')],
  ['nothing exported, installed or kept that is not used', () => run('knip')],
  ['packages', () => checkPackages(root)],
];

for (const [name, step] of steps) {
  process.stdout.write(`\n── ${name}\n`);
  try {
    await step();
  } catch (error) {
    process.stderr.write(`check: ${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
process.stdout.write('\ncheck: all passed\n');

function run(command: string, ...parameters: string[]): void {
  const { status } = spawnSync(join(root, 'node_modules/.bin', command), parameters, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ended with ${String(status)}`);
}

async function checkGenerated(): Promise<void> {
  const nodes = await readNodeFolders(join(root, 'nodes'));
  const stale = (await committedFiles(root, nodes)).filter(
    ([path, text]) => readFileSync(join(root, path), 'utf8') !== text,
  );
  if (stale.length > 0) {
    throw new Error(
      `expected generated files to be fresh, got stale ${stale.map(([path]) => path).join(', ')}: npm run build -- --generated`,
    );
  }
}
