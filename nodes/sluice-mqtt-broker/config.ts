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
