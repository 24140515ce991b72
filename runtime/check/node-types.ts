import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What is known of a node type without its code being run. */
export interface NodeType {
  /** undefined: of this, and of the next two, only its code knows. */
  readonly isConfig: boolean | undefined;
  readonly inputs: number | undefined;
  readonly outputs: number | undefined;
  readonly credentials: ReadonlySet<string>;
}

export type NodeTypes = ReadonlyMap<string, NodeType>;

/** Node-RED's own nodes, by the HTML that it gives to its editor. */
export function coreTypes(): NodeTypes {
  const nodeRed = createRequire(createRequire(import.meta.url).resolve('node-red'));
  const core = join(dirname(nodeRed.resolve('@node-red/nodes/package.json')), 'core');
  const files = readdirSync(core, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.html') && !/(?:^|[\\/])(?:locales|icons|lib)[\\/]/.test(name),
  );
  const types = new Map(files.flatMap((name) => typesOfHtml(readFileSync(join(core, name), 'utf8'))));
  types.delete('unknown'); // stands in the editor for a type that is not installed
  return types;
}

/** The nodes of the packages that are installed in a user folder. @throws what the file system says of it */
export function installedTypes(userDir: string): NodeTypes {
  const modules = join(userDir, 'node_modules');
  const packages = readdirSync(modules, { withFileTypes: true })
    .filter(({ name }) => !name.startsWith('.'))
    .flatMap(({ name }) =>
      name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => join(name, inner)) : [name],
    );
  return new Map(packages.flatMap((name) => typesOfPackage(join(modules, name))));
}

function typesOfPackage(folder: string): [string, NodeType][] {
  const manifest = readIfThere(join(folder, 'package.json'));
  if (manifest === undefined) return [];
  const { 'node-red': nodeRed } = JSON.parse(manifest) as { 'node-red'?: { nodes?: Record<string, string> } };
  return Object.values(nodeRed?.nodes ?? {}).flatMap((file) =>
    typesOfHtml(readIfThere(join(folder, file.replace(/\.[cm]?js$/, '.html'))) ?? ''),
  );
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** `RED.nodes.registerType('type', { … })`: https://nodered.org/docs/creating-nodes/node-html */
function typesOfHtml(html: string): [string, NodeType][] {
  return html
    .split(/\bregisterType\(\s*(?=['"])/)
    .slice(1)
    .map((text): [string, NodeType] => {
      const [, , type = ''] = /^(['"])(.*?)\1/.exec(text) ?? [];
      const credentials = /\bcredentials\s*:\s*\{((?:[^{}]|\{[^{}]*\})*)\}/.exec(text)?.[1] ?? '';
      return [
        type,
        {
          isConfig: /\bcategory\s*:\s*['"]config['"]/.test(text),
          inputs: numberOf(/\binputs\s*:\s*(\d+)/.exec(text)),
          outputs: numberOf(/\boutputs\s*:\s*(\d+)/.exec(text)),
          credentials: new Set([...credentials.matchAll(/['"]?(\w+)['"]?\s*:\s*\{/g)].map(([, name = '']) => name)),
        },
      ];
    });
}

function numberOf(match: RegExpExecArray | null): number | undefined {
  return match?.[1] === undefined ? undefined : Number(match[1]);
}
