import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this store is called in the editor.' })),
  url: Type.String({
    title: 'URL',
    description:
      'A bucket, `s3://bucket/prefix?endpoint=&region=&pathStyle=`, or a folder of this machine, `file:///dir`. The endpoint is that of an S3-compatible server; without one it is AWS.',
    default: '${S3_URL}',
    format: 'object-store-url',
    ui: { icon: 'fa-globe', placeholder: 's3://bucket/prefix?region=eu-central-1' },
  }),
});

export const credentials = Type.Object({
  accessKeyId: Type.Optional(
    Type.String({
      title: 'Access key id',
      description:
        "Whose rights are used. Empty: the AWS SDK's own chain (environment, shared files, the role of the machine).",
      ui: { icon: 'fa-user', secret: false },
    }),
  ),
  secretAccessKey: Type.Optional(
    Type.String({
      title: 'Secret access key',
      description: 'Kept in the encrypted credentials, never in the flow.',
      ui: { icon: 'fa-lock' },
    }),
  ),
});

export type Config = Static<typeof config>;
export type Credentials = Static<typeof credentials>;

export const palette: PaletteEntry = {
  label: 'object-store',
  category: 'config',
  inputs: 0,
  outputs: [],
  labelField: 'url',
};
