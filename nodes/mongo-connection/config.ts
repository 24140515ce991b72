import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(
    Type.String({
      title: 'Name',
      description: 'What this connection is called in the editor.',
      ui: { icon: 'fa-tag' },
    }),
  ),
  // No format or pattern here: what they say of a value repeats it, and this one may hold a password.
  uri: Type.String({
    title: 'URI',
    description:
      'The connection string: `mongodb://` or `mongodb+srv://`, hosts, database and options; take one with a password from the environment, or give user and password below.',
    default: '${MONGODB_URI}',
    minLength: 1,
    ui: { icon: 'fa-globe', placeholder: 'mongodb://localhost:27017/iot' },
  }),
  database: Type.Optional(
    Type.String({
      title: 'Database',
      description: 'The name of the database; empty: the one in the path of the URI.',
      pattern: '^[^/\\\\. "$*<>:|?\\u0000]{1,63}$',
      ui: { icon: 'fa-database', placeholder: 'from the URI' },
    }),
  ),
  writeConcern: Type.String({
    title: 'Write concern',
    description:
      'How many members of the replica set have a write before it counts as stored: `majority`, or a number from 1 (whatever the URI says).',
    default: 'majority',
    pattern: '^(majority|[1-9][0-9]?)$',
    ui: { icon: 'fa-check-circle', placeholder: 'majority' },
  }),
  journal: Type.Boolean({
    title: 'Journal',
    description:
      'Whether a write counts as stored only when it is in the journal on disk, so that it outlives a power cut.',
    default: true,
    ui: { icon: 'fa-hdd-o' },
  }),
  writeTimeout: Type.Integer({
    title: 'Write timeout',
    description:
      'For how many milliseconds a server that was found may take for a write and its write concern; then it is tried again.',
    default: 10_000,
    minimum: 100,
    maximum: 600_000,
    ui: { icon: 'fa-clock-o', unit: 'ms' },
  }),
  serverSelectionTimeout: Type.Integer({
    title: 'Server timeout',
    description:
      'After how many milliseconds without a server that takes writes an attempt has failed, and the nodes that use this connection say so.',
    default: 5_000,
    minimum: 100,
    maximum: 120_000,
    ui: { icon: 'fa-clock-o', unit: 'ms' },
  }),
  appName: Type.String({
    title: 'App name',
    description: 'What the server calls this client in its log and in `currentOp`.',
    default: 'sluice',
    minLength: 1,
    maxLength: 128,
    ui: { icon: 'fa-id-badge' },
  }),
});

export const credentials = Type.Object({
  user: Type.Optional(
    Type.String({
      title: 'User',
      description: 'The user name, where the server asks for one; it comes before the one in the URI.',
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
  label: 'mongo-connection',
  category: 'config',
  inputs: 0,
  outputs: [],
  labelField: 'database',
};
