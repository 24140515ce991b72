import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.String({
    title: 'Name',
    description: 'What the schema is called, in the editor and in rejections.',
    minLength: 1,
    default: 'message',
    ui: { icon: 'fa-tag' },
  }),
  version: Type.String({
    title: 'Version',
    description: 'The version of the schema, as rejections name it.',
    minLength: 1,
    default: '1',
    ui: { icon: 'fa-code-fork' },
  }),
  schema: Type.String({
    title: 'JSON Schema',
    description:
      'The schema (draft-07; 2019-09 and 2020-12 by `$schema`). Formats such as `date-time`, `uuid`, `email` are checked.',
    format: 'json',
    default: '{\n  "type": "object",\n  "required": [],\n  "properties": {}\n}',
    ui: { control: 'json', icon: 'fa-file-text-o' },
  }),
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = { label: 'message-schema', category: 'config', inputs: 0, outputs: [] };
