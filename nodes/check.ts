/** What the `sluice` command shares with the nodes: every type of the palette, the check of its settings, and words. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compileCheck, type SettingsCheck } from './adapter/check-settings.js';
import type { NodeModule } from './adapter/define-node.js';
import type { PaletteEntry } from './adapter/palette.js';
import type { SettingsSchema } from './lib/settings.js';

export type { Reference } from './adapter/check-settings.js';
export type { CheckPorts } from './adapter/define-node.js';

export type { JsonataEngine } from './lib/jsonata.js';
export { describeValue, messageOf } from './lib/errors.js';
export { runsOnEditor } from './lib/runs-on.js';

/** A node type of this palette. */
export interface PaletteNode {
  readonly check: SettingsCheck;
  readonly palette: PaletteEntry;
  /** The names of its settings, and of its credentials, which no flow holds. */
  readonly fields: ReadonlySet<string>;
  readonly credentials: ReadonlySet<string>;
}

/** Every node type that Node-RED loads of this package, by its name. */
export async function readPalette(): Promise<ReadonlyMap<string, PaletteNode>> {
  const root = join(import.meta.dirname, '..');
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    'node-red': { nodes: Record<string, string> };
  };
  const nodes = Object.values(manifest['node-red'].nodes).map(async (file) => {
    const entry = join(root, file);
    const { default: load } = (await import(pathToFileURL(entry).href)) as { default: NodeModule };
    const { palette } = (await import(pathToFileURL(join(dirname(entry), 'config.js')).href)) as {
      palette: PaletteEntry;
    };
    const { type, config, credentials } = load.specification;
    return [
      type,
      {
        check: compileCheck(load.specification),
        palette,
        fields: namesOf(config),
        credentials: namesOf(credentials ?? {}),
      },
    ] as const;
  });
  return new Map(await Promise.all(nodes));
}

function namesOf(schema: SettingsSchema): ReadonlySet<string> {
  return new Set(Object.keys(schema.properties ?? {}));
}
