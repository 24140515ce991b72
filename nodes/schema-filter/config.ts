import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  schema: Type.String({
    title: 'Schema',
    description: 'What the messages must match.',
    minLength: 1,
    default: '',
    ui: { control: 'node', node: 'message-schema', icon: 'fa-file-text-o' },
  }),
  property: Type.String({
    title: 'Property',
    description: 'The part of the message that is checked: a path such as `payload` or `payload.reading`.',
    format: 'path',
    default: 'payload',
    ui: { icon: 'fa-ellipsis-h' },
  }),
  deadLetters,
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = {
  label: 'schema filter',
  category: 'Sluice',
  color: '#9bd0c7',
  icon: 'schema-filter.svg',
  inputs: 1,
  outputs: ['valid', 'rejected'],
};
