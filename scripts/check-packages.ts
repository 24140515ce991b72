import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from '../test/servers/server.js';

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

/** What each package may hold, and nothing else. */
const PALETTE =
  /^(package\.json|README\.md|LICENSE|dist\/.+\.(js|html|svg)|dist\/.+\/locales\/.+\.json|dist\/.+\.licenses\.txt|examples\/.+\.json)$/;
const RUNTIME = /^(package\.json|README\.md|LICENSE|bin\/sluice\.js|dist\/.+\.js|flows\/.+\.json)$/;
const MOST_DEPENDENCIES = 6;
const READY_LIMIT_MS = 60_000;

/** Packs both packages, looks into them, installs them into an empty folder and runs `sluice start` there. */
export async function checkPackages(root: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-packages-'));
  try {
    const palette = pack(root, folder, [], PALETTE);
    const runtime = pack(root, folder, ['-w', 'runtime'], RUNTIME);
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
    const count = Object.keys(dependencies).length;
    if (count > MOST_DEPENDENCIES)
      throw new Error(`expected at most ${MOST_DEPENDENCIES} dependencies of the palette, got ${count}`);
    writeFileSync(join(folder, 'package.json'), '{"private":true}\n');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', `./${palette}`, `./${runtime}`], {
      cwd: folder,
      stdio: 'inherit',
    });
    await startAndStop(folder);
    await loadInNodeRed(root, folder, palette);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function pack(root: string, folder: string, parameters: readonly string[], allowed: RegExp): string {
  const output = execFileSync(
    'npm',
    ['pack', '--json', '--loglevel=error', '--foreground-scripts=false', `--pack-destination=${folder}`, ...parameters],
    {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const parsed = JSON.parse(output.slice(output.indexOf('\n[') + 1 || output.indexOf('['))) as Packed[];
  const [packed] = parsed;
  if (packed === undefined) throw new Error('expected npm pack to make a package, got none');
  const strangers = packed.files.filter(({ path }) => !allowed.test(path));
  if (strangers.length > 0)
    throw new Error(
      `expected no other files in ${packed.filename}, got ${strangers.map(({ path }) => path).join(', ')}`,
    );
  process.stdout.write(`${packed.filename}: ${packed.files.length} files\n`);
  return packed.filename;
}

/** The palette alone, as its user installs it: into an empty user folder of a Node-RED that knows nothing of Sluice. */
async function loadInNodeRed(root: string, folder: string, palette: string): Promise<void> {
  const userDir = join(folder, 'user-folder');
  mkdirSync(userDir);
  writeFileSync(join(userDir, 'package.json'), '{"private":true}\n');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', join('..', palette)], {
    cwd: userDir,
    stdio: 'inherit',
  });
  const port = await freePort();
  const red = join(root, 'node_modules/node-red/red.js');
  const child = spawn(process.execPath, [red, '--userDir', userDir, '--port', String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_LIMIT_MS);
  try {
    for await (const line of createInterface({ input: child.stdout })) if (line.includes('Started flows')) break;
    const ask = async (path: string): Promise<unknown> =>
      (await fetch(`http://127.0.0.1:${port}/${path}`, { headers: { Accept: 'application/json' } })).json();
    const sets = (await ask('nodes')) as { module: string; types: string[]; err?: string }[];
    const ours = sets.filter(({ module }) => module === '@sluice/node-red');
    const failed = ours
      .filter(({ err }) => err !== undefined)
      .map(({ types, err }) => `${types.join(', ')}: ${String(err)}`);
    if (failed.length > 0) throw new Error(`expected every node to load in Node-RED, got ${failed.join('; ')}`);
    const { 'node-red': declared } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      'node-red': { nodes: object };
    };
    const types = ours.flatMap((set) => set.types).sort();
    const library = (await ask('library/examples/flows/@sluice/node-red/')) as { fn: string }[];
    const examples = library.map(({ fn }) => fn).sort();
    for (const [what, got] of Object.entries({ types, examples })) {
      if (got.join() !== Object.keys(declared.nodes).sort().join()) {
        throw new Error(`expected the ${what} of all nodes in Node-RED, got ${got.join(', ') || 'none'}`);
      }
    }
    process.stdout.write(`in Node-RED: ${types.length} nodes and their examples\n`);
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

async function startAndStop(folder: string): Promise<void> {
  const started = Date.now();
  const bin = join(folder, 'node_modules/@sluice/runtime/bin/sluice.js');
  const child = spawn(
    process.execPath,
    [bin, 'start', '--json', '--port', '0', '--mqtt-port', '0', '--mongodb-port', '0'],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_LIMIT_MS);
  try {
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])])) as [string];
    const { ready, editor } = JSON.parse(line || '{"ready":false}') as { ready: boolean; editor: string };
    if (!ready) throw new Error('expected the installed sluice start to be ready, got its end');
    process.stdout.write(`installed: ready after ${Date.now() - started} ms\n`);
    const response = await fetch(`${editor}sluice/status`);
    const { nodes } = (await response.json()) as { nodes: unknown[] };
    if (nodes.length === 0) throw new Error('expected the default flow to run, got no nodes');
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`expected exit code 0 after SIGTERM, got ${String(code)}`);
  } finally {
    clearTimeout(timer);
    if (child.exitCode === null) child.kill('SIGKILL');
  }
}
