import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as prettier from 'prettier';
import type { NodeFolder } from '../nodes/editor/node-folder.js';
import { conformanceTable } from './conformance-table.js';
import { referenceOf, tableRow } from '../nodes/editor/words.js';

/** The files that hold generated parts and are committed, as they should be: `[path, text]`. */
export async function committedFiles(root: string, nodes: readonly NodeFolder[]): Promise<[string, string][]> {
  const order = [
    ...['device-simulator', 'mqtt-ingest', 'schema-filter', 'fan-out-router', 'mongo-sink', 's3-sink'],
    ...['mqtt-publish', 'dead-letter'],
  ];
  const rank = ({ type }: NodeFolder): number => (order.includes(type) ? order.indexOf(type) : order.length);
  const sorted = [...nodes].sort((a, b) => rank(a) - rank(b) || a.type.localeCompare(b.type));

  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    'node-red': Record<string, unknown>;
  };
  manifest['node-red'] = {
    ...manifest['node-red'],
    plugins: { sluice: 'dist/adapter/plugin.js' },
    nodes: Object.fromEntries(sorted.map(({ type }) => [type, `dist/${type}/${type}.js`])),
  };
  const table = ['| node | kind | what it does |', '| --- | --- | --- |', ...sorted.map(tableRow)].join('\n');
  const readme = between(readFileSync(join(root, 'README.md'), 'utf8'), 'nodes', table);
  const delivery = between(readFileSync(join(root, 'docs/delivery.md'), 'utf8'), 'conformance', conformanceTable());
  const reference = `# The nodes\n\nGenerated from each node's \`config.ts\` and page by \`npm run build -- --generated\`.\n\n${sorted.map(referenceOf).join('\n')}`;

  const files: [string, string][] = [
    ['package.json', `${JSON.stringify(manifest, null, 2)}\n`],
    ['README.md', readme],
    ['docs/nodes.md', reference],
    ['docs/delivery.md', delivery],
    ...['flows', 'examples'].flatMap((folder) => completeFlows(root, folder, nodes)),
  ];
  return Promise.all(
    files.map(async ([path, text]): Promise<[string, string]> => {
      const options = await prettier.resolveConfig(join(root, path));
      return [path, await prettier.format(text, { ...options, filepath: path })];
    }),
  );
}

/** Replaces what stands between `<!-- name:begin -->` and `<!-- name:end -->`. */
function between(text: string, name: string, content: string): string {
  const pattern = new RegExp(`(<!-- ${name}:begin -->)[^]*(<!-- ${name}:end -->)`);
  if (!pattern.test(text))
    throw new Error(`expected the marks <!-- ${name}:begin --> and <!-- ${name}:end -->, got none`);
  return text.replace(pattern, `$1\n${content}\n$2`);
}

/** Flow files with every field of our nodes, as the editor exports them: what a file leaves out is the default. */
function completeFlows(root: string, folder: string, nodes: readonly NodeFolder[]): [string, string][] {
  const schemas = new Map(nodes.map(({ type, config }) => [type, config]));
  const complete = (node: Record<string, unknown>): Record<string, unknown> => {
    const fields = Object.entries(schemas.get(String(node['type']))?.properties ?? {});
    const missing = fields.filter(([name]) => !(name in node)).map(([name, field]) => [name, field.default ?? '']);
    const { x, y, wires, ...rest } = { ...node, ...(Object.fromEntries(missing) as Record<string, unknown>) };
    return { ...rest, ...(x !== undefined && { x, y }), ...(wires !== undefined && { wires }) };
  };
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const flow = JSON.parse(readFileSync(join(root, folder, name), 'utf8')) as Record<string, unknown>[];
      return [`${folder}/${name}`, JSON.stringify(flow.map(complete), null, 2)];
    });
}
