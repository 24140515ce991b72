/**
 * Builds both packages: TypeScript to `dist/` and `runtime/dist/`, and from each node's `config.ts` what Node-RED's
 * editor loads. With `--generated` it also writes the generated parts of files that are committed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build as bundle, type BuildOptions } from 'esbuild';
import { nodeHtml } from '../nodes/editor/html.js';
import { readNodeFolders, type NodeFolder } from '../nodes/editor/node-folder.js';
import { helpOf, localeOf } from '../nodes/editor/words.js';

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

const nodes = await readNodeFolders(sources);
const formPackages = new Set<string>();
for (const node of nodes) await buildNode(node);
rmSync(join(dist, 'adapter/fields.js'), { force: true }); // in each config.js now
await buildPlugin();
await buildBundled();
if (process.argv.includes('--generated')) {
  // It reads the tests' flows too, which an image is built without.
  const { committedFiles } = await import('./generated.js');
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
  const extension = node.hasEditor ? await formScript(join(node.directory, 'editor.ts'), 'editorModule') : undefined;
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
  const script = await formScript(join(sources, 'editor/browser/index.ts'), 'sluice');
  const style = readFileSync(join(sources, 'editor/browser/form.css'), 'utf8');
  writeFileSync(
    join(dist, 'adapter/plugin.html'),
    `<style>\n${style}</style>\n<script type="text/javascript">\n${script}</script>\n`,
  );
  writeFileSync(join(dist, 'adapter/plugin.licenses.txt'), licences(formPackages));
}

/** Small packages without dependencies of their own, each put into the module of `nodes/bundled` that names it. */
async function buildBundled(): Promise<void> {
  const modules = readdirSync(join(sources, 'bundled')).map((file) => file.replace(/\.ts$/, ''));
  for (const module of modules) {
    const { text, packages } = await bundled(join(sources, 'bundled', `${module}.ts`), {
      format: 'esm',
      platform: 'node',
      target: 'node22',
    });
    writeFileSync(join(dist, 'bundled', `${module}.js`), text);
    writeFileSync(join(dist, 'bundled', `${module}.licenses.txt`), licences(packages));
  }
}

async function formScript(entry: string, globalName: string): Promise<string> {
  const { text, packages } = await bundled(entry, { format: 'iife', globalName, target: 'es2022', minify: true });
  for (const name of packages) formPackages.add(name);
  return text.replaceAll('</script', '<\\/script');
}

/** A module with all that it imports, as one text, and the packages that are in it. */
async function bundled(entry: string, options: BuildOptions): Promise<{ text: string; packages: Set<string> }> {
  const { outputFiles, metafile } = await bundle({
    ...options,
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    legalComments: 'none',
  });
  const inputs = Object.keys(metafile.inputs).map((input) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]);
  return {
    text: outputFiles[0]?.text ?? '',
    packages: new Set(inputs.filter((name) => name !== undefined)),
  };
}

/** The licence of each package. */
function licences(packages: ReadonlySet<string>): string {
  return [...packages]
    .sort()
    .map((name) => {
      const folder = join(root, 'node_modules', name);
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
      if (file === undefined) throw new Error(`expected a licence in ${folder}, got none`);
      return `${name}\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
    })
    .join('\n---\n\n');
}
