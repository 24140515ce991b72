import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  queue: Type.String({
    title: 'Dead letters',
    description: 'Where the messages are kept.',
    minLength: 1,
    default: '',
    ui: { control: 'node', node: 'dead-letter-queue', icon: 'fa-inbox' },
  }),
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = {
  label: 'dead letter',
  category: 'Sluice',
  color: '#d9b3b0',
  icon: 'dead-letter.svg',
  inputs: 1,
  outputs: [],
};
