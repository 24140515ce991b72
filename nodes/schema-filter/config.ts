import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

const row = Type.Object({
  topic: Type.String({
    title: 'Topic filter',
    description: 'The messages that the row is for.',
    format: 'topic-filter',
    default: '#',
  }),
  schema: Type.String({
    title: 'Schema',
    description: 'What they must match.',
    minLength: 1,
    default: '',
    ui: { control: 'node', node: 'message-schema' },
  }),
});

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  schemas: Type.Array(row, {
    title: 'By topic',
    description: 'Schemas for some topics. The first row whose filter matches decides.',
    default: [],
    maxItems: 16,
    ui: { icon: 'fa-list' },
  }),
  unmatched: Type.Union(
    [
      Type.Literal('schema', { title: 'must match the schema below' }),
      Type.Literal('reject', { title: 'are rejected' }),
      Type.Literal('pass', { title: 'pass unchecked' }),
    ],
    {
      title: 'Other topics',
      description: 'What becomes of a message whose topic no row matches. Without rows: of all messages.',
      default: 'schema',
      ui: { icon: 'fa-question' },
    },
  ),
  schema: Type.Optional(
    Type.String({
      title: 'Schema',
      description: 'What messages of other topics must match.',
      default: '',
      ui: {
        control: 'node',
        node: 'message-schema',
        icon: 'fa-file-text-o',
        when: { field: 'unmatched', is: ['schema'] },
      },
    }),
  ),
  property: Type.String({
    title: 'Property',
    description: 'The part of the message that is checked: a path such as `payload` or `payload.reading`.',
    format: 'path',
    default: 'payload',
    ui: { icon: 'fa-ellipsis-h' },
  }),
  coerce: Type.Boolean({
    title: 'Coerce types',
    description: 'Makes of "22.5" the number 22.5 where the schema asks for one, and so on.',
    default: false,
    ui: { icon: 'fa-exchange' },
  }),
  defaults: Type.Boolean({
    title: 'Defaults',
    description: 'Gives a missing property the `default` of its schema.',
    default: false,
    ui: { icon: 'fa-plus-square-o' },
  }),
  strip: Type.Boolean({
    title: 'Strip',
    description: 'Takes away the properties that the schema does not name.',
    default: false,
    ui: { icon: 'fa-scissors' },
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
