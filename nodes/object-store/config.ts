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
  conditionalWrites: Type.Boolean({
    title: 'Never replace',
    description:
      'Whether a write to a bucket asks for a new object (`If-None-Match: *`), so that none is ever replaced. Switch it off only for a server that does not implement it. A folder never replaces.',
    default: true,
    ui: { icon: 'fa-shield' },
  }),
  encryption: Type.Union(
    [
      Type.Literal('default', { title: "the bucket's own" }),
      Type.Literal('AES256', { title: 'AES256: keys of S3' }),
      Type.Literal('aws:kms', { title: 'aws:kms: a key of KMS' }),
    ],
    {
      title: 'Encryption',
      description: 'How the server encrypts objects at rest. A folder has none.',
      default: 'default',
      ui: { icon: 'fa-lock' },
    },
  ),
  kmsKeyId: Type.Optional(
    Type.String({
      title: 'KMS key',
      description: "Its id or ARN. Empty: the account's own key for S3.",
      pattern: '^[\\x21-\\x7e]+$',
      ui: { icon: 'fa-key', when: { field: 'encryption', is: ['aws:kms'] }, placeholder: 'arn:aws:kms:…' },
    }),
  ),
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
