import Type, { type Static } from 'typebox';
import { spoolSizeFields } from '../adapter/fields.js';
import type { PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

const column = Type.Object({
  header: Type.String({
    title: 'Column',
    description: 'Its name in the header line.',
    default: '',
    minLength: 1,
    ui: { placeholder: 'temperature' },
  }),
  path: Type.String({
    title: 'Path',
    description: 'Its value: `payload.temperature`, `topic[0]`, `identity`, `receivedAt`, `instance`.',
    default: '',
    format: 'path',
    ui: { placeholder: 'payload.temperature' },
  }),
});

/** Amazon S3 User Guide, "Categorizing your objects using tags". */
const TAG_TEXT = '^[\\p{L}\\p{N}\\p{Z}_.:/=+@-]*$';

const tag = Type.Object({
  name: Type.String({
    title: 'Tag',
    default: '',
    minLength: 1,
    maxLength: 128,
    pattern: TAG_TEXT,
    ui: { placeholder: 'retention' },
  }),
  value: Type.String({ title: 'Value', default: '', maxLength: 256, pattern: TAG_TEXT, ui: { placeholder: '90d' } }),
});

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(Type.String({ title: 'Name', description: 'What this node is called in the editor.' })),
  store: Type.String({
    title: 'Object store',
    description: 'The bucket or folder that the objects go to.',
    minLength: 1,
    default: '',
    ui: { control: 'node', node: 'object-store', icon: 'fa-archive' },
  }),
  key: Type.String({
    title: 'Object key',
    description:
      'A template over the message, with `{year}`, `{month}`, `{day}`, `{hour}` of the event time in UTC, `{instance}`, `{batch}`, which makes each object its own and must be there, and `{suffix}` for its end, such as `.ndjson.gz`; values are percent-encoded outside `A-Za-z0-9._=-`.',
    default: '{topic[0]}/year={year}/month={month}/day={day}/hour={hour}/{instance}-{batch}{suffix}',
    minLength: 1,
    maxLength: 1_024,
    format: 'template',
    ui: { icon: 'fa-sitemap' },
  }),
  eventTime: Type.Optional(
    Type.String({
      title: 'Event time',
      description:
        'Where a message says when it happened: a path to milliseconds since 1970 or to ISO 8601 text. Empty, missing or impossible: the time of receipt.',
      format: 'path',
      ui: { icon: 'fa-clock-o', placeholder: 'payload.ts' },
    }),
  ),
  format: Type.Union(
    [Type.Literal('ndjson', { title: 'NDJSON: a line of JSON each' }), Type.Literal('csv', { title: 'CSV' })],
    {
      title: 'Format',
      description: 'How an object holds its messages, one a line; the suffix says it, `.ndjson` or `.csv`.',
      default: 'ndjson',
      ui: { icon: 'fa-file-text-o' },
    },
  ),
  line: Type.Union(
    [
      Type.Literal('envelope', { title: 'identity, topic, receivedAt and payload' }),
      Type.Literal('payload', { title: 'the payload alone' }),
    ],
    {
      title: 'Line',
      description:
        'What each line of NDJSON holds: `envelope` keeps the identity, by which readers find what came twice; `payload` does not.',
      default: 'envelope',
      ui: { icon: 'fa-align-left', when: { field: 'format', is: ['ndjson'] } },
    },
  ),
  columns: Type.Array(column, {
    title: 'Columns',
    description:
      'Of CSV, from left to right. Objects and lists become JSON, dates ISO 8601, buffers base64; what is missing or null stays empty.',
    minItems: 1,
    default: ['identity', 'topic', 'receivedAt', 'payload'].map((name) => ({ header: name, path: name })),
    ui: { icon: 'fa-columns', when: { field: 'format', is: ['csv'] } },
  }),
  header: Type.Boolean({
    title: 'Header line',
    description: 'Whether each object begins with the names of the columns.',
    default: true,
    ui: { icon: 'fa-header', when: { field: 'format', is: ['csv'] } },
  }),
  escapeFormulas: Type.Boolean({
    title: 'Guard formulas',
    description:
      "Whether a text that begins with `=`, `+`, `-`, `@`, tab or return gets a `'` before it, so that no spreadsheet runs it. Off, because databases would read another text than was sent.",
    default: false,
    ui: { icon: 'fa-shield', when: { field: 'format', is: ['csv'] } },
  }),
  compression: Type.Union(
    [
      Type.Literal('gzip', { title: 'gzip' }),
      Type.Literal('zstd', { title: 'zstd' }),
      Type.Literal('none', { title: 'none' }),
    ],
    {
      title: 'Compression',
      description: 'How objects are compressed; readers tell it from the end of the key, `.gz`, `.zst` or none.',
      default: 'gzip',
      ui: { icon: 'fa-compress' },
    },
  ),
  storageClass: Type.Optional(
    Type.String({
      title: 'Storage class',
      description:
        "S3's, as `STANDARD_IA` or `INTELLIGENT_TIERING`, or a name of the server's own. Empty: the default of the bucket. A folder has none.",
      pattern: '^[A-Za-z0-9_.-]+$',
      ui: { icon: 'fa-archive', placeholder: 'STANDARD' },
    }),
  ),
  tags: Type.Array(tag, {
    title: 'Tags',
    description:
      'Of each object in a bucket, for lifecycle rules, rights and bills. They take the right `s3:PutObjectTagging`.',
    maxItems: 10,
    default: [],
    ui: { icon: 'fa-tags' },
  }),
  maxRecords: Type.Integer({
    title: 'Records',
    description: 'An object is stored when it holds so many records.',
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000,
    ui: { icon: 'fa-list-ol', unit: 'records' },
  }),
  maxBytes: Type.Integer({
    title: 'Size',
    description: 'An object is stored before it grows beyond so many bytes, uncompressed; a larger record goes alone.',
    default: 8_388_608,
    minimum: 1_024,
    maximum: 268_435_456,
    ui: { icon: 'fa-arrows-v', unit: 'bytes' },
  }),
  maxAgeSeconds: Type.Number({
    title: 'Age',
    description:
      'An object is stored so many seconds after its first record. No message waits for it: until then it is in the spool.',
    default: 10,
    minimum: 0.05,
    maximum: 3_600,
    ui: { icon: 'fa-hourglass-half', unit: 's' },
  }),
  maxBufferedBytes: Type.Integer({
    title: 'Memory',
    description:
      'The most bytes of objects that are on their way to the store at a time, uncompressed: as many of the size of the form as fit, four at most. A larger record is rejected.',
    default: 67_108_864,
    minimum: 65_536,
    maximum: 2_147_483_647,
    ui: { icon: 'fa-database', unit: 'bytes' },
  }),
  ...spoolSizeFields(),
  deadLetters,
});

export type Config = Static<typeof config>;

export const palette: PaletteEntry = {
  label: 's3 sink',
  category: 'Sluice',
  color: '#e7b98a',
  icon: 's3-sink.svg',
  inputs: 1,
  outputs: ['stored', 'rejected'],
  labelField: 'store',
};
