import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

const condition = Type.Object({
  property: Type.String({
    title: 'Property',
    description: 'A path into the message: `payload.value`, `topic`, `userProperties.site`.',
    format: 'path',
    default: 'payload.value',
  }),
  comparison: Type.Union(
    [
      Type.Literal('eq', { title: '=' }),
      Type.Literal('ne', { title: '≠' }),
      Type.Literal('gt', { title: '>' }),
      Type.Literal('ge', { title: '≥' }),
      Type.Literal('lt', { title: '<' }),
      Type.Literal('le', { title: '≤' }),
      Type.Literal('in', { title: 'is one of' }),
      Type.Literal('contains', { title: 'contains' }),
      Type.Literal('starts', { title: 'starts with' }),
      Type.Literal('ends', { title: 'ends with' }),
      Type.Literal('matches', { title: 'matches regex' }),
      Type.Literal('exists', { title: 'is there' }),
      Type.Literal('missing', { title: 'is missing' }),
    ],
    { title: 'Comparison', description: 'How the property is compared with the value.', default: 'eq' },
  ),
  value: Type.Optional(
    Type.String({
      title: 'Value',
      description:
        'A number, `true`, `false`, `null`, a text, or "5" for the text 5. For `is one of`: values with commas between.',
      default: '',
    }),
  ),
});

const rule = Type.Object({
  name: Type.String({
    title: 'Rule',
    description: 'Names the output, the count and errors.',
    minLength: 1,
    default: 'all',
  }),
  topic: Type.Optional(
    Type.String({
      title: 'Topic filter',
      description: 'The rule looks only at messages whose topic matches. Empty: at all.',
      format: 'topic-filter',
      ui: { placeholder: 'any topic' },
    }),
  ),
  enabled: Type.Boolean({
    title: 'On',
    description: 'A rule that is off sends nothing; its output stays.',
    default: true,
  }),
  match: Type.Union(
    [
      Type.Literal('all', { title: 'all (and)' }),
      Type.Literal('any', { title: 'any (or)' }),
      Type.Literal('jsonata', { title: 'JSONata' }),
    ],
    {
      title: 'Conditions',
      description:
        'Whether all conditions must hold, or one, or an expression. A rule without conditions matches every message of its topics.',
      default: 'all',
    },
  ),
  conditions: Type.Array(condition, {
    title: 'If',
    description: 'What must hold.',
    default: [],
    ui: { when: { field: 'match', is: ['all', 'any'] } },
  }),
  expression: Type.Optional(
    Type.String({
      title: 'JSONata',
      description:
        'An expression over the message that is true or false: `payload.value > 28 and $contains(topic, "north")`.',
      format: 'jsonata',
      ui: {
        control: 'jsonata',
        placeholder: 'payload.value > 28',
        when: { field: 'match', is: ['jsonata'] },
      },
    }),
  ),
});

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  mode: Type.Union(
    [
      Type.Literal('all', { title: 'every rule that matches' }),
      Type.Literal('first', { title: 'the first rule that matches' }),
    ],
    {
      title: 'Send to',
      description: 'Whether a message goes to every rule that matches, in parallel, or to the first only.',
      default: 'all',
      ui: { icon: 'fa-random' },
    },
  ),
  rules: Type.Array(rule, {
    title: 'Rules',
    description: 'Each rule has an output of its own, in this order.',
    minItems: 1,
    default: [{ name: 'all', enabled: true, match: 'all', conditions: [] }],
    ui: { icon: 'fa-list' },
  }),
  sample: Type.Optional(
    Type.String({
      title: 'Sample',
      description: 'A message as JSON, to see in this form which rules match it. Not used when the flow runs.',
      default: '{\n  "topic": "device/a",\n  "payload": { "value": 22 }\n}',
      ui: { control: 'json', icon: 'fa-flask' },
    }),
  ),
  outputs: Type.Integer({
    title: 'Outputs',
    description: 'An output for each rule, one for no match, one for errors. The form keeps it.',
    default: 3,
    minimum: 3,
    ui: { control: 'hidden' },
  }),
  deadLetters,
});

export type Config = Static<typeof config>;
export type Rule = Static<typeof rule>;
export type Condition = Static<typeof condition>;

export const palette: PaletteEntry = {
  label: 'fan out router',
  category: 'Sluice',
  color: '#9bd0c7',
  icon: 'fan-out-router.svg',
  inputs: 1,
  outputs: ['all', 'no match', 'error'],
};
