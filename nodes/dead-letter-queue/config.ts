import Type, { type Static } from 'typebox';
import { queueFields } from '../adapter/fields.js';
import type { PaletteEntry } from '../adapter/palette.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this queue is called in the editor.' })),
  place: Type.Union(
    [
      Type.Literal('folder', { title: 'a folder of this machine' }),
      Type.Literal('mongodb', { title: 'a MongoDB collection' }),
    ],
    {
      title: 'Kept in',
      description: 'Where the letters are kept.',
      default: 'folder',
      ui: { icon: 'fa-archive' },
    },
  ),
  folder: Type.Optional(
    Type.String({
      title: 'Folder',
      description:
        'An absolute path. Empty: `dead-letters` in the user folder of Node-RED. With MongoDB it takes the letters that the collection refuses.',
      pattern: '^(/|[A-Za-z]:[/\\\\])',
      ui: { icon: 'fa-folder-o', placeholder: 'dead-letters' },
    }),
  ),
  connection: Type.Optional(
    Type.String({
      title: 'Connection',
      description: 'The MongoDB server and the database.',
      default: '',
      ui: {
        control: 'node',
        node: 'mongo-connection',
        icon: 'fa-database',
        when: { field: 'place', is: ['mongodb'] },
      },
    }),
  ),
  collection: Type.String({
    title: 'Collection',
    description: 'The name of the collection.',
    minLength: 1,
    default: 'dead_letters',
    ui: { icon: 'fa-table', when: { field: 'place', is: ['mongodb'] } },
  }),
  ...queueFields('letters that wait to be kept while the store is away', 'letters'),
});

/** The row by which a node chooses its queue. */
export const deadLetters = Type.Optional(
  Type.String({
    title: 'Dead letters',
    description:
      'Where messages are kept that this node will never take, and that fail in it. A wired rejected output comes first. None: Catch nodes get them.',
    default: '',
    ui: { control: 'node', node: 'dead-letter-queue', icon: 'fa-inbox' },
  }),
);

export type Config = Static<typeof config>;

export const palette: PaletteEntry = { label: 'dead-letter-queue', category: 'config', inputs: 0, outputs: [] };
