import Type, { type Static } from 'typebox';
import { queueFields, spoolFields } from '../adapter/fields.js';
import type { PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

const userProperty = Type.Object({
  name: Type.String({ title: 'Name', description: 'The name of the property.', default: '', minLength: 1 }),
  value: Type.String({
    title: 'Value',
    description: 'A template over the message; where a field is missing, the property is left out.',
    format: 'template',
    default: '',
    ui: { placeholder: '{payload.site}' },
  }),
});

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  broker: Type.String({
    title: 'Broker',
    description: 'Where the messages go.',
    minLength: 1,
    default: '',
    ui: { control: 'node', node: 'sluice-mqtt-broker', icon: 'fa-globe' },
  }),
  topic: Type.Optional(
    Type.String({
      title: 'Topic',
      description: 'A template over the message: `alert/{payload.uuid}`, `{topic}/raw`. Empty: `msg.topic`.',
      format: 'topic-template',
      ui: { icon: 'fa-rss', placeholder: 'msg.topic' },
    }),
  ),
  payload: Type.Optional(
    Type.String({
      title: 'Payload',
      description:
        'A template over the message; `{{` and `}}` stand for braces: `{{"value":{payload.value}}}`. Empty: `msg.payload`.',
      format: 'template',
      ui: { icon: 'fa-file-text-o', placeholder: 'msg.payload' },
    }),
  ),
  qos: Type.Union(
    [
      Type.Literal('message', { title: 'as msg.qos says, else 1' }),
      Type.Literal(0, { title: '0: at most once' }),
      Type.Literal(1, { title: '1: at least once' }),
      Type.Literal(2, { title: '2: exactly once to the broker' }),
    ],
    {
      title: 'QoS',
      description: 'The quality of service. At 0 nothing says that a message has arrived.',
      default: 1,
      ui: { icon: 'fa-check-circle' },
    },
  ),
  retain: Type.Union(
    [
      Type.Literal('message', { title: 'as msg.retain says, else no' }),
      Type.Literal(false, { title: 'no' }),
      Type.Literal(true, { title: 'yes' }),
    ],
    {
      title: 'Retain',
      description: 'Whether the broker keeps the message for those who subscribe later, one for each topic.',
      default: false,
      ui: { icon: 'fa-thumb-tack' },
    },
  ),
  contentType: Type.Optional(
    Type.String({
      title: 'Content type',
      description: 'What the payload is (MQTT 5), such as `application/json`: a template. Empty: `msg.contentType`.',
      format: 'template',
      ui: { icon: 'fa-file-code-o', placeholder: 'msg.contentType' },
    }),
  ),
  messageExpiry: Type.Optional(
    Type.Integer({
      title: 'Expiry',
      description:
        'For how many seconds the broker keeps the message for those who are away (MQTT 5). Empty: `msg.messageExpiryInterval`.',
      minimum: 1,
      maximum: 4_294_967_295,
      ui: { icon: 'fa-hourglass-end', unit: 's', placeholder: 'msg.messageExpiryInterval' },
    }),
  ),
  responseTopic: Type.Optional(
    Type.String({
      title: 'Response topic',
      description: 'Where an answer is to go (MQTT 5): a template over the message. Empty: `msg.responseTopic`.',
      format: 'topic-template',
      ui: { icon: 'fa-reply', placeholder: 'msg.responseTopic' },
    }),
  ),
  correlationData: Type.Optional(
    Type.String({
      title: 'Correlation',
      description:
        'What an answer is to carry (MQTT 5): a template over the message. Empty: `msg.correlationData`, a buffer or a text.',
      format: 'template',
      ui: { icon: 'fa-link', placeholder: 'msg.correlationData' },
    }),
  ),
  userProperties: Type.Array(userProperty, {
    title: 'User properties',
    description: 'More of them than `msg.userProperties` (MQTT 5); these come first.',
    default: [],
    maxItems: 50,
    ui: { icon: 'fa-tags' },
  }),
  messageId: Type.Boolean({
    title: 'Message id',
    description:
      'Whether `msg.identity` goes along as the user property `message-id` (MQTT 5), so that the message is the same to who receives it twice.',
    default: true,
    ui: { icon: 'fa-key' },
  }),
  expectSubscriber: Type.Boolean({
    title: 'Expect a subscriber',
    description:
      'Whether the status warns when the broker says that nobody has a subscription for a message (MQTT 5). It is counted in any case.',
    default: false,
    ui: { icon: 'fa-users' },
  }),
  ...queueFields('messages that wait for the broker or for its answer', 'messages'),
  maxWait: Type.Integer({
    title: 'Wait',
    description: 'For how many seconds a message waits for the broker and its answer; then it fails.',
    default: 60,
    minimum: 1,
    maximum: 86_400,
    ui: { icon: 'fa-clock-o', unit: 's' },
  }),
  ...spoolFields('the broker'),
  deadLetters,
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = {
  label: 'mqtt publish',
  category: 'Sluice',
  color: '#9bd0c7',
  icon: 'mqtt-publish.svg',
  inputs: 1,
  outputs: ['published', 'rejected'],
  labelField: 'topic',
};
