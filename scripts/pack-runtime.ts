/**
 * What stands in the runtime's package and not in its folder: the flows, the licence, and the palette's exact version
 * in place of `file:..`. Called before and after `npm pack` and `npm publish`.
 */
import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const runtime = join(root, 'runtime');
const manifestPath = join(runtime, 'package.json');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const manifest = readFileSync(manifestPath, 'utf8');

switch (process.argv[2]) {
  case 'before':
    cpSync(join(root, 'flows'), join(runtime, 'flows'), { recursive: true });
    copyFileSync(join(root, 'LICENSE'), join(runtime, 'LICENSE'));
    rewrite('file:..', version);
    break;
  case 'after':
    rmSync(join(runtime, 'flows'), { recursive: true, force: true });
    rmSync(join(runtime, 'LICENSE'), { force: true });
    rewrite(version, 'file:..');
    break;
  default:
    throw new Error(`expected before or after, got ${String(process.argv[2])}`);
}

function rewrite(from: string, to: string): void {
  const changed = manifest.replace(`"@sluice/node-red": "${from}"`, `"@sluice/node-red": "${to}"`);
  if (changed === manifest) throw new Error(`expected the runtime to depend on @sluice/node-red ${from}, got another`);
  writeFileSync(manifestPath, changed);
}
