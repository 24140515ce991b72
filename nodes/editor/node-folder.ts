import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { FieldHint, PaletteEntry } from '../adapter/palette.js';

/** A field as `config.ts` writes it: JSON Schema with the words for its row. */
export interface FieldSchema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly anyOf?: readonly FieldSchema[];
  readonly items?: FieldSchema;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  readonly ui?: FieldHint;
}

/** One node's folder, read: all that its HTML, locale and reference are made of. */
export interface NodeFolder {
  readonly type: string;
  readonly directory: string;
  readonly config: FieldSchema;
  readonly credentials: FieldSchema | undefined;
  readonly palette: PaletteEntry;
  /** `<type>.md`; its first paragraph is the summary. */
  readonly help: string;
  /** Whether the folder has an `editor.ts` of its own. */
  readonly hasEditor: boolean;
}

/** What Node-RED keeps on a node itself. */
const RESERVED = new Set([
  'id',
  'type',
  'x',
  'y',
  'z',
  'd',
  'g',
  'l',
  'w',
  'h',
  'wires',
  'info',
  'env',
  'inputs',
  'icon',
  'credentials',
]);

export async function readNodeFolders(root: string): Promise<NodeFolder[]> {
  const types = readdirSync(root).filter((name) => existsSync(join(root, name, 'config.ts')));
  return Promise.all(types.map((type) => readNodeFolder(join(root, type), type)));
}

async function readNodeFolder(directory: string, type: string): Promise<NodeFolder> {
  const module = (await import(join(directory, 'config.ts'))) as Record<string, unknown>;
  const plain = JSON.parse(JSON.stringify(module)) as {
    config: FieldSchema;
    credentials?: FieldSchema;
    palette: PaletteEntry;
  };
  for (const name of Object.keys(plain.config.properties ?? {})) {
    if (RESERVED.has(name))
      throw new Error(`${type}: expected a field name that Node-RED does not use itself, got ${name}`);
  }
  return {
    type,
    directory,
    config: plain.config,
    credentials: plain.credentials,
    palette: plain.palette,
    help: readFileSync(join(directory, `${type}.md`), 'utf8').trim(),
    hasEditor: existsSync(join(directory, 'editor.ts')),
  };
}

/** The fields that have a row in the form, credentials last. */
export function formFields(
  node: NodeFolder,
): { name: string; field: FieldSchema; credential: boolean; required: boolean }[] {
  const of = (schema: FieldSchema | undefined, credential: boolean) =>
    Object.entries(schema?.properties ?? {})
      .filter(([, field]) => field.ui?.control !== 'hidden')
      .map(([name, field]) => ({ name, field, credential, required: schema?.required?.includes(name) === true }));
  return [...of(node.config, false), ...of(node.credentials, true)];
}

export function summaryOf(node: NodeFolder): string {
  return (node.help.split(/\n\s*\n/)[0] ?? '').replaceAll('\n', ' ');
}
