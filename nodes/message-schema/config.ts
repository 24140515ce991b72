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
  source: Type.Union(
    [Type.Literal('inline', { title: 'in this node' }), Type.Literal('file', { title: 'a file of the project' })],
    {
      title: 'Kept',
      description: 'Where the schema is: in the flow, or in a file that is read at each deploy.',
      default: 'inline',
      ui: { icon: 'fa-folder-open-o' },
    },
  ),
  file: Type.Optional(
    Type.String({
      title: 'File',
      description:
        "The path of a JSON file from the folder of the active project, where Node-RED's projects are on, else from Node-RED's user folder. It cannot lead out of that folder.",
      default: '',
      ui: { icon: 'fa-file-o', placeholder: 'schemas/reading.json', when: { field: 'source', is: ['file'] } },
    }),
  ),
  schema: Type.String({
    title: 'JSON Schema',
    description:
      'The schema (draft-07; 2019-09 and 2020-12 by `$schema`). Formats such as `date-time`, `uuid`, `email` are checked.',
    format: 'json',
    default: '{\n  "type": "object",\n  "required": [],\n  "properties": {}\n}',
    ui: { control: 'json', icon: 'fa-file-text-o', when: { field: 'source', is: ['inline'] } },
  }),
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = { label: 'message-schema', category: 'config', inputs: 0, outputs: [] };
