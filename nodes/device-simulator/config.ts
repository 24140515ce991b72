import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';

const fault = Type.Object({
  fault: Type.Union(
    [
      Type.Literal('malformed', { title: 'malformed: bytes that are no JSON' }),
      Type.Literal('missing-field', { title: 'missing field' }),
      Type.Literal('out-of-range', { title: 'out of range' }),
      Type.Literal('duplicate', { title: 'duplicate: the same again' }),
      Type.Literal('gap', { title: 'gap: a sequence number is skipped' }),
      Type.Literal('reorder', { title: 'reorder: overtaken by the next' }),
      Type.Literal('late', { title: 'late: a time in the past' }),
      Type.Literal('clock-skew', { title: 'clock skew: a device’s clock is off' }),
      Type.Literal('disconnect', { title: 'disconnect: the connection breaks' }),
    ],
    { title: 'Fault', description: 'What is wrong with a message.', default: 'malformed' },
  ),
  share: Type.Number({
    title: 'Share',
    description: 'Of the messages, from 0 to 1; of the devices for clock skew.',
    default: 0.01,
    minimum: 0,
    maximum: 1,
  }),
});

const ranged = ['integer', 'uniform', 'walk', 'sine', 'step'];

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  broker: Type.Optional(
    Type.String({
      title: 'Broker',
      description: 'Where the devices publish. None: the messages leave by the output.',
      ui: { control: 'node', node: 'sluice-mqtt-broker', icon: 'fa-globe' },
    }),
  ),
  devices: Type.Integer({
    title: 'Devices',
    description: 'How many devices there are, each with a uuid of its own that stays the same for a seed.',
    default: 3,
    minimum: 1,
    maximum: 1_000_000,
    ui: { icon: 'fa-microchip' },
  }),
  rate: Type.Number({
    title: 'Rate',
    description: 'Messages a second, for each device.',
    default: 2,
    exclusiveMinimum: 0,
    maximum: 100_000,
    ui: { icon: 'fa-tachometer', unit: 'messages/s' },
  }),
  ramp: Type.Number({
    title: 'Ramp',
    description: 'The devices start one after the other, over so many seconds. 0: all at once.',
    default: 0,
    minimum: 0,
    maximum: 86_400,
    ui: { icon: 'fa-signal', unit: 's' },
  }),
  topic: Type.String({
    title: 'Topic',
    description: 'A template over the device: `{uuid}`, `{index}`.',
    format: 'template',
    default: 'device/{uuid}',
    ui: { icon: 'fa-rss' },
  }),
  qos: Type.Union([Type.Literal(0, { title: '0' }), Type.Literal(1, { title: '1' }), Type.Literal(2, { title: '2' })], {
    title: 'QoS',
    description: 'The quality of service of what is published.',
    default: 1,
    ui: { icon: 'fa-check-circle' },
  }),
  schema: Type.Optional(
    Type.String({
      title: 'Schema',
      description: 'Payloads are made to match it. None: `{"uuid": …, "value": …}`, with values as below.',
      ui: { control: 'node', node: 'message-schema', icon: 'fa-file-text-o' },
    }),
  ),
  model: Type.Union(
    [
      Type.Literal('integer', { title: 'whole number between minimum and maximum' }),
      Type.Literal('uniform', { title: 'number between minimum and maximum' }),
      Type.Literal('constant', { title: 'constant' }),
      Type.Literal('walk', { title: 'random walk between minimum and maximum' }),
      Type.Literal('sine', { title: 'sine between minimum and maximum' }),
      Type.Literal('step', { title: 'steps from minimum to maximum, and again' }),
      Type.Literal('sequence', { title: 'a sequence, and again' }),
    ],
    {
      title: 'Value',
      description: 'How a device makes its values.',
      default: 'integer',
      ui: { icon: 'fa-line-chart' },
    },
  ),
  minimum: Type.Number({
    title: 'Minimum',
    description: 'The lowest value.',
    default: 20,
    ui: { icon: 'fa-arrow-down', when: { field: 'model', is: ranged } },
  }),
  maximum: Type.Number({
    title: 'Maximum',
    description: 'The highest value.',
    default: 30,
    ui: { icon: 'fa-arrow-up', when: { field: 'model', is: ranged } },
  }),
  step: Type.Number({
    title: 'Step',
    description: 'The greatest change from one value to the next (random walk), or each change (steps).',
    default: 1,
    exclusiveMinimum: 0,
    ui: { icon: 'fa-arrows-v', when: { field: 'model', is: ['walk', 'step'] } },
  }),
  period: Type.Number({
    title: 'Period',
    description: 'How long a sine takes, in seconds of the device’s own time (messages by rate).',
    default: 60,
    exclusiveMinimum: 0,
    ui: { icon: 'fa-clock-o', unit: 's', when: { field: 'model', is: ['sine'] } },
  }),
  values: Type.Array(Type.Number({ title: 'Value', default: 0 }), {
    title: 'Values',
    description: 'The values of a sequence, or the one of a constant.',
    minItems: 1,
    default: [20],
    ui: { icon: 'fa-list-ol', when: { field: 'model', is: ['constant', 'sequence'] } },
  }),
  seq: Type.Boolean({
    title: 'Add seq',
    description: 'Whether the payload has `seq`: 1, 2, 3, … for each device.',
    default: false,
    ui: { icon: 'fa-sort-numeric-asc' },
  }),
  ts: Type.Boolean({
    title: 'Add ts',
    description: 'Whether the payload has `ts`: the time at the device (ISO 8601, UTC, milliseconds).',
    default: false,
    ui: { icon: 'fa-clock-o' },
  }),
  messageId: Type.Boolean({
    title: 'Add id',
    description:
      'Whether the payload has `id`: what MQTT 5 carries as `message-id`, for MQTT 3.1.1, which has no properties.',
    default: false,
    ui: { icon: 'fa-key' },
  }),
  faults: Type.Array(fault, {
    title: 'Faults',
    description: 'What goes wrong, and how often. A message has one fault at most, and says which.',
    default: [],
    maxItems: 9,
    ui: { icon: 'fa-bug' },
  }),
  lateBy: Type.Number({
    title: 'Late by',
    description: 'How far in the past the time of a late message lies, in seconds.',
    default: 600,
    exclusiveMinimum: 0,
    maximum: 1e9,
    ui: { icon: 'fa-history', unit: 's' },
  }),
  skew: Type.Number({
    title: 'Clock skew',
    description: 'How far a clock that is off goes ahead or behind, in seconds.',
    default: 300,
    exclusiveMinimum: 0,
    maximum: 1e9,
    ui: { icon: 'fa-clock-o', unit: 's' },
  }),
  seed: Type.String({
    title: 'Seed',
    description: 'Devices and values are the same for the same seed.',
    minLength: 1,
    default: 'sluice',
    ui: { icon: 'fa-random' },
  }),
  run: Type.Optional(
    Type.String({
      title: 'Run',
      description:
        'Part of each message id, so that a second start does not look like duplicates of the first. Empty: new at each start.',
      ui: { icon: 'fa-flag-checkered', placeholder: 'new at each start' },
    }),
  ),
  autoStart: Type.Boolean({
    title: 'Start by itself',
    description: 'Whether the devices start with the flow, when this instance’s ingests have their subscriptions.',
    default: true,
    ui: { icon: 'fa-play' },
  }),
  limit: Type.Integer({
    title: 'Stop after',
    description: 'How many messages are made in all. 0: no end.',
    default: 0,
    minimum: 0,
    ui: { icon: 'fa-stop', unit: 'messages' },
  }),
  burst: Type.Integer({
    title: 'Burst',
    description: 'How many messages a burst makes at once.',
    default: 100,
    minimum: 1,
    maximum: 10_000_000,
    ui: { icon: 'fa-bolt', unit: 'messages' },
  }),
  button: Type.Union(
    [Type.Literal('toggle', { title: 'starts and stops' }), Type.Literal('burst', { title: 'makes a burst' })],
    {
      title: 'Button',
      description: 'What the node’s button does.',
      default: 'toggle',
      ui: { icon: 'fa-hand-pointer-o' },
    },
  ),
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = {
  label: 'device simulator',
  category: 'Sluice',
  color: '#9bd0c7',
  icon: 'device-simulator.svg',
  inputs: 1,
  outputs: ['message'],
  button: { action: 'button' },
};
