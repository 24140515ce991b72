import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  broker: Type.String({
    title: 'Broker',
    description: 'Where the messages come from.',
    minLength: 1,
    default: '',
    ui: { control: 'node', node: 'sluice-mqtt-broker', icon: 'fa-globe' },
  }),
  topics: Type.Array(Type.String({ title: 'Topic filter', format: 'topic-filter', ui: { placeholder: 'device/#' } }), {
    title: 'Topic filters',
    description: 'What to subscribe to: `+` stands for one level, `#` for all that follow.',
    minItems: 1,
    default: ['device/#'],
    ui: { icon: 'fa-rss' },
  }),
  qos: Type.Union(
    [
      Type.Literal(0, { title: '0: at most once' }),
      Type.Literal(1, { title: '1: at least once' }),
      Type.Literal(2, { title: '2: exactly once to this client' }),
    ],
    {
      title: 'QoS',
      description: 'The highest quality of service that is asked for.',
      default: 1,
      ui: { icon: 'fa-check-circle' },
    },
  ),
  group: Type.Optional(
    Type.String({
      title: 'Shared group',
      description: 'The group of a shared subscription: the broker then divides the messages among its members.',
      format: 'share-name',
      ui: { icon: 'fa-users', placeholder: 'none' },
    }),
  ),
  decode: Type.Union(
    [
      Type.Literal('json', { title: 'JSON' }),
      Type.Literal('text', { title: 'text (UTF-8)' }),
      Type.Literal('buffer', { title: 'buffer' }),
    ],
    {
      title: 'Payload',
      description: 'What the payload is. One that is not leaves by the second output, as a buffer, with the reason.',
      default: 'json',
      ui: { icon: 'fa-file-code-o' },
    },
  ),
  strict: Type.Boolean({
    title: 'Strict JSON',
    description:
      'Whether JSON must be I-JSON (RFC 7493): also refuses an object with one name twice, of which all but the last would be lost, and half of a surrogate pair.',
    default: false,
    ui: { icon: 'fa-balance-scale', when: { field: 'decode', is: ['json'] } },
  }),
  identity: Type.Optional(
    Type.String({
      title: 'Identity',
      description:
        'What makes a message the same message when the broker gives it again: a template such as `{payload.uuid}:{payload.seq}`. The MQTT 5 user property `message-id` comes first. With neither the message gets a UUIDv7: stable across retries, not across a redelivery by the broker.',
      format: 'template',
      ui: { icon: 'fa-key', placeholder: '{payload.uuid}:{payload.seq}' },
    }),
  ),
  maxInFlight: Type.Integer({
    title: 'Window',
    description:
      'How many messages may be open (received and not acknowledged). CONNECT carries it as receiveMaximum. HiveMQ CE has never more than 50 open: set that there, so that a full window is seen.',
    default: 1_000,
    minimum: 1,
    maximum: 65_535,
    ui: { icon: 'fa-tasks', unit: 'messages' },
  }),
  eventTime: Type.String({
    title: 'Event time',
    description:
      'Where a message says when it was made: a path to milliseconds since 1970 or to ISO 8601 text, also `userProperties.ts`. How old messages are when they arrive tells whether an instance keeps up; where they do not say it, no age is told.',
    default: 'payload.ts',
    format: 'path',
    ui: { icon: 'fa-clock-o', placeholder: 'payload.ts' },
  }),
  timeLimit: Type.Integer({
    title: 'Time limit',
    description:
      'For how long a node that is not of Sluice may keep a message; then the message has failed and becomes a dead letter. A message that waits for a server is not counted.',
    default: 120,
    minimum: 1,
    maximum: 86_400,
    ui: { icon: 'fa-hourglass-half', unit: 's' },
  }),
  deadLetters,
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = {
  label: 'mqtt ingest',
  category: 'Sluice',
  color: '#9bd0c7',
  icon: 'mqtt-ingest.svg',
  inputs: 0,
  outputs: ['message', 'undecodable'],
  labelField: 'topics',
};
