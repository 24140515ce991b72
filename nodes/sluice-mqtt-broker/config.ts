import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this broker is called in the editor.' })),
  url: Type.String({
    title: 'URL',
    description:
      'Where the broker listens: `mqtt://`, `mqtts://`, `ws://` or `wss://`, host and port. User and password may stand in it where it comes from the environment.',
    default: '${MQTT_URL}',
    format: 'mqtt-url',
    ui: { icon: 'fa-globe', placeholder: 'mqtt://localhost:1883' },
  }),
  protocol: Type.Union(
    [
      Type.Literal('auto', { title: '5, else 3.1.1' }),
      Type.Literal('5', { title: 'MQTT 5' }),
      Type.Literal('3.1.1', { title: 'MQTT 3.1.1' }),
    ],
    {
      title: 'Protocol',
      description: '`auto` speaks MQTT 5, and 3.1.1 with a broker that refuses version 5.',
      default: 'auto',
      ui: { icon: 'fa-exchange' },
    },
  ),
  clientId: Type.Optional(
    Type.String({
      title: 'Client id',
      description:
        'By what the broker knows this client and its session. Empty: made from the name of the instance and the id of this node, so that it stays the same over restarts. The connection that publishes adds `-out`.',
      maxLength: 65_531, // [MQTT-1.5.4], with room for -out
      ui: { icon: 'fa-id-badge', placeholder: 'from the name of the instance' },
    }),
  ),
  cleanStart: Type.Boolean({
    title: 'Clean start',
    description:
      'Whether each connection begins a new session. Otherwise the broker keeps what arrives while this client is away.',
    default: false,
    ui: { icon: 'fa-eraser' },
  }),
  sessionExpiry: Type.Integer({
    title: 'Session expiry',
    description:
      'For how many seconds the broker keeps the session of a client that is away (MQTT 5; with 3.1.1 the broker decides). 4294967295: for ever.',
    default: 604_800,
    minimum: 0,
    maximum: 4_294_967_295,
    ui: { icon: 'fa-hourglass-half', unit: 's', when: { field: 'cleanStart', is: [false] } },
  }),
  keepalive: Type.Integer({
    title: 'Keepalive',
    description:
      'The longest pause between two packets, in seconds, after which both sides know that the connection is gone. 0: none.',
    default: 30,
    minimum: 0,
    maximum: 65_535,
    ui: { icon: 'fa-heartbeat', unit: 's' },
  }),
  verify: Type.Boolean({
    title: 'Verify',
    description:
      'Whether the certificate of the broker is checked (`mqtts://`, `wss://`). Without, whoever answers is taken for the broker and is given the password: for a test only.',
    default: true,
    ui: { icon: 'fa-shield', warnWhen: [false] },
  }),
  ca: Type.Optional(
    Type.String({
      title: 'CA certificate',
      description:
        'Who may sign the certificate of the broker, in place of the authorities that Node.js knows: PEM, pasted (its line breaks may get lost), or the absolute path of a file, which is read at each deploy.',
      ui: { icon: 'fa-certificate', placeholder: '/etc/ssl/ca.pem, or -----BEGIN CERTIFICATE-----' },
    }),
  ),
  certificate: Type.Optional(
    Type.String({
      title: 'Certificate',
      description:
        'Our own, where the broker asks for one, with those between it and its authority behind it: PEM or the path of a file, as above. Its key is below.',
      ui: { icon: 'fa-id-card-o', placeholder: '/etc/ssl/gateway.pem, or -----BEGIN CERTIFICATE-----' },
    }),
  ),
  serverName: Type.Optional(
    Type.String({
      title: 'Server name',
      description:
        'The name that the certificate of the broker must have, and that the broker is told (SNI), where it is not the host of the URL.',
      pattern: '^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$',
      ui: { icon: 'fa-tag', placeholder: 'the host of the URL' },
    }),
  ),
  topicAliases: Type.Boolean({
    title: 'Topic aliases',
    description:
      'Whether long topics are sent as numbers, where the broker takes some (MQTT 5), and taken as numbers from it. Saves bytes on slow lines.',
    default: false,
    ui: { icon: 'fa-compress' },
  }),
  will: Type.Object(
    {
      topic: Type.Optional(
        Type.String({
          title: 'Topic',
          description: 'Empty: there is no will.',
          format: 'topic-name',
          ui: { placeholder: 'none' },
        }),
      ),
      payload: Type.String({ title: 'Payload', description: 'A text; it may be empty.', default: '' }),
      qos: Type.Union(
        [Type.Literal(0, { title: '0' }), Type.Literal(1, { title: '1' }), Type.Literal(2, { title: '2' })],
        { title: 'QoS', description: 'The quality of service of the will.', default: 1 },
      ),
      retain: Type.Boolean({
        title: 'Retain',
        description: 'Whether the broker keeps it for those who subscribe later.',
        default: false,
      }),
      delay: Type.Integer({
        title: 'Delay (s)',
        description:
          'For how many seconds the broker waits for the client to come back (MQTT 5). The end of the session ends it.',
        default: 0,
        minimum: 0,
        maximum: 4_294_967_295,
      }),
    },
    {
      title: 'Last will',
      description:
        'What the broker publishes when the connection that publishes is lost; not when it is ended in order. With a will that connection is made even where no node publishes.',
      default: { payload: '', qos: 1, retain: false, delay: 0 },
      ui: { icon: 'fa-bell-o' },
    },
  ),
});

export const credentials = Type.Object({
  user: Type.Optional(
    Type.String({
      title: 'User',
      description: 'The user name, where the broker asks for one.',
      ui: { icon: 'fa-user', secret: false },
    }),
  ),
  password: Type.Optional(
    Type.String({
      title: 'Password',
      description: 'Kept in the encrypted credentials, never in the flow.',
      ui: { icon: 'fa-lock' },
    }),
  ),
  key: Type.Optional(
    Type.String({
      title: 'Key',
      description: 'The private key of our own certificate: PEM or the path of a file, as there.',
      ui: { icon: 'fa-key' },
    }),
  ),
  passphrase: Type.Optional(
    Type.String({
      title: 'Passphrase',
      description: 'What opens the key, where it is encrypted.',
      ui: { icon: 'fa-lock' },
    }),
  ),
});

export type Config = Static<typeof config>;
export type Credentials = Static<typeof credentials>;

export const palette: PaletteEntry = {
  label: 'mqtt-broker',
  category: 'config',
  inputs: 0,
  outputs: [],
  labelField: 'url',
};
