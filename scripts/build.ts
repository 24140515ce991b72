/**
 * Builds both packages: TypeScript to `dist/` and `runtime/dist/`, and from each node's `config.ts` what Node-RED's
 * editor loads. With `--generated` it also writes the generated parts of files that are committed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build as bundle } from 'esbuild';
import { nodeHtml } from '../nodes/editor/html.js';
import { readNodeFolders, type NodeFolder } from '../nodes/editor/node-folder.js';
import { helpOf, localeOf } from '../nodes/editor/words.js';
import { committedFiles } from './generated.js';

const root = join(import.meta.dirname, '..');
const sources = join(root, 'nodes');
const dist = join(root, 'dist');

if (process.argv.includes('--clean')) {
  for (const directory of [dist, join(root, 'runtime/dist')]) rmSync(directory, { recursive: true, force: true });
}
const compiler = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-b', 'nodes', 'runtime'],
  { cwd: root, stdio: 'inherit' },
);
if (compiler.status !== 0) process.exitCode = 1; // it has said where, and has written what it could

const bundledPackages = new Set<string>();
const nodes = await readNodeFolders(sources);
for (const node of nodes) await buildNode(node);
await buildPlugin();
if (process.argv.includes('--generated')) {
  for (const [path, text] of await committedFiles(root, nodes)) writeFileSync(join(root, path), text);
}

async function buildNode(node: NodeFolder): Promise<void> {
  const out = join(dist, node.type);
  const locale = join(out, 'locales/en-US');
  mkdirSync(locale, { recursive: true });
  // TypeBox is a build tool: the palette carries what it made.
  const { config, credentials, palette } = node;
  const exported = Object.entries({ config, credentials, palette }).filter(([, value]) => value !== undefined);
  writeFileSync(
    join(out, 'config.js'),
    exported.map(([name, value]) => `export const ${name} = ${JSON.stringify(value, null, 2)};\n`).join(''),
  );
  const extension = node.hasEditor ? await bundled(join(node.directory, 'editor.ts'), 'editorModule') : undefined;
  writeFileSync(
    join(out, `${node.type}.html`),
    nodeHtml(node, extension === undefined ? undefined : `${extension}\nconst { extension } = editorModule;`),
  );
  writeFileSync(join(locale, `${node.type}.json`), `${JSON.stringify(localeOf(node), null, 2)}\n`);
  writeFileSync(join(locale, `${node.type}.html`), helpOf(node));
  const icons = join(node.directory, 'icons');
  if (existsSync(icons)) cpSync(icons, join(out, 'icons'), { recursive: true });
}

async function buildPlugin(): Promise<void> {
  const script = await bundled(join(sources, 'editor/browser/index.ts'), 'sluice');
  const style = readFileSync(join(sources, 'editor/browser/form.css'), 'utf8');
  writeFileSync(
    join(dist, 'adapter/plugin.html'),
    `<style>\n${style}</style>\n<script type="text/javascript">\n${script}</script>\n`,
  );
  writeFileSync(join(dist, 'adapter/plugin.licenses.txt'), licences());
}

async function bundled(entry: string, globalName: string): Promise<string> {
  const result = await bundle({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    format: 'iife',
    globalName,
    target: 'es2022',
    minify: true,
    legalComments: 'none',
  });
  for (const input of Object.keys(result.metafile.inputs)) {
    const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (name !== undefined) bundledPackages.add(name);
  }
  return (result.outputFiles[0]?.text ?? '').replaceAll('</script', '<\\/script');
}

/** The licence of each package whose code is in a form's script. */
function licences(): string {
  return [...bundledPackages]
    .sort()
    .map((name) => {
      const folder = join(root, 'node_modules', name);
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      if (file === undefined) throw new Error(`expected a licence in ${folder}, got none`);
      return `${name}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
    })
    .join('\n---\n\n');
}
