import Type, { type Static } from 'typebox';
import { queueFields, spoolFields } from '../adapter/fields.js';
import type { FieldHint, PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

/** The server's: https://www.mongodb.com/docs/manual/core/index-ttl/ */
const MOST_SECONDS = 2_147_483_647;
/** The server's for `bucketMaxSpanSeconds`: https://www.mongodb.com/docs/manual/core/timeseries/timeseries-granularity/ */
const MOST_BUCKET_SECONDS = 31_536_000;
const KEYED = ['upsert', 'update', 'update-message', 'delete'];

const field = (description: string, placeholder: string) =>
  Type.String({
    title: 'Field',
    description,
    default: '',
    pattern: '^[^$.\\u0000][^.\\u0000]*(\\.[^$.\\u0000][^.\\u0000]*)*$',
    ui: { placeholder },
  });

/** Where a value comes from and what it becomes: cells of a row. */
const valueCells = (when: FieldHint['when']) => ({
  source: Type.Union(
    [
      Type.Literal('path', { title: 'path' }),
      Type.Literal('template', { title: 'template' }),
      Type.Literal('constant', { title: 'constant' }),
    ],
    { title: 'From', description: 'What the value is read as.', default: 'path', ui: { when } },
  ),
  value: Type.String({
    title: 'Value',
    description:
      'A path into the message (`payload.uuid`, `topic[0]`, `receivedAt`, `instance`), a template over it, or the value itself.',
    default: '',
    ui: { placeholder: 'payload.uuid', when },
  }),
  type: Type.Union(
    [
      Type.Literal('any', { title: 'as it is' }),
      Type.Literal('text', { title: 'text' }),
      Type.Literal('number', { title: 'number' }),
      Type.Literal('boolean', { title: 'boolean' }),
      Type.Literal('date', { title: 'date' }),
    ],
    {
      title: 'Type',
      description: 'What the value becomes; one that cannot is rejected.',
      default: 'any',
      ui: { when },
    },
  ),
});

const mappingRow = Type.Object({
  field: field('The name in the document; dots make nested documents.', 'deviceUID'),
  ...valueCells(undefined),
});

/** https://www.mongodb.com/docs/manual/reference/operator/update/ */
const OPERATORS = [
  Type.Literal('$set', { title: '$set: the value' }),
  Type.Literal('$setOnInsert', { title: '$setOnInsert: the value, when the document is new' }),
  Type.Literal('$unset', { title: '$unset: no such field' }),
  Type.Literal('$inc', { title: '$inc: add the value' }),
  Type.Literal('$mul', { title: '$mul: multiply by the value' }),
  Type.Literal('$min', { title: '$min: the value, when it is less' }),
  Type.Literal('$max', { title: '$max: the value, when it is more' }),
  Type.Literal('$push', { title: '$push: append the value to a list' }),
  Type.Literal('$addToSet', { title: '$addToSet: append the value, when the list lacks it' }),
  Type.Literal('$pull', { title: '$pull: take the value out of a list' }),
  Type.Literal('$currentDate', { title: "$currentDate: the server's time" }),
] as const;
const WITHOUT_VALUE: readonly string[] = ['$unset', '$currentDate'];

const operatorRow = Type.Object({
  operator: Type.Union([...OPERATORS], {
    title: 'Operator',
    description: 'What is done to the field.',
    default: '$set',
  }),
  field: field('The field of the document that is there; dots lead into nested ones.', 'count'),
  ...valueCells({
    field: 'operator',
    is: OPERATORS.map(({ const: name }): string => name).filter((name) => !WITHOUT_VALUE.includes(name)),
  }),
});

const indexRow = Type.Object({
  keys: Type.String({
    title: 'Keys',
    description: 'Fields with their direction: `deviceUID:1,date:-1`; also `text`, `hashed` and `2dsphere`.',
    default: '',
    pattern: '^\\s*[^\\s:,$]+:(-?1|text|hashed|2dsphere)(\\s*,\\s*[^\\s:,$]+:(-?1|text|hashed|2dsphere))*\\s*$',
    ui: { placeholder: 'deviceUID:1,date:-1' },
  }),
  unique: Type.Boolean({
    title: 'Unique',
    description: 'Whether a second document with the same keys is rejected.',
    default: false,
  }),
  expireAfterSeconds: Type.Optional(
    Type.Integer({
      title: 'Expire after (s)',
      description:
        'For an index on one field with a date (TTL): after how many seconds from that date the server removes a document; empty: never.',
      minimum: 0,
      maximum: MOST_SECONDS,
      ui: { placeholder: 'never' },
    }),
  ),
});

export const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1, ui: { control: 'hidden' } }),
  name: Type.Optional(
    Type.String({ title: 'Name', description: 'What this node is called in the editor.', ui: { icon: 'fa-tag' } }),
  ),
  connection: Type.String({
    title: 'Connection',
    description: 'The MongoDB server and the database.',
    minLength: 1,
    default: '',
    ui: { control: 'node', node: 'mongo-connection', icon: 'fa-database' },
  }),
  collection: Type.String({
    title: 'Collection',
    description:
      'Its name, or a template over the message: `devices`, `{topic[0]}`. A time-series collection, and one that is sharded on another key, does not keep a message that comes again from being a second document.',
    format: 'template',
    minLength: 1,
    default: 'devices',
    ui: { icon: 'fa-table', placeholder: 'devices' },
  }),
  operation: Type.Union(
    [
      Type.Literal('insert', { title: 'insert: a document for each message' }),
      Type.Literal('upsert', { title: 'upsert: a document for each key' }),
      Type.Literal('update', { title: 'update: operators on the document of each key' }),
      Type.Literal('update-message', { title: 'update by the message: it brings the operators' }),
      Type.Literal('delete', { title: 'delete: the document with the key goes' }),
    ],
    {
      title: 'Operation',
      description:
        'What a message does: it is a document of its own, the newest state of the document with its key, a change of it, or its end. An update makes the document where none has the key.',
      default: 'insert',
      ui: { icon: 'fa-pencil' },
    },
  ),
  ordered: Type.Boolean({
    title: 'In order',
    description:
      'Whether documents are inserted in the order of arrival: one write at a time for each collection. What has a key is always written in order.',
    default: false,
    ui: { icon: 'fa-sort-numeric-asc', when: { field: 'operation', is: ['insert'] } },
  }),
  key: Type.Array(Type.String({ title: 'Path', format: 'path', ui: { placeholder: 'deviceUID' } }), {
    title: 'Key',
    description:
      'The fields of the document by which the one that is there is found; a unique index over them keeps it one.',
    default: [],
    maxItems: 16,
    ui: { icon: 'fa-key', when: { field: 'operation', is: KEYED } },
  }),
  update: Type.Union(
    [
      Type.Literal('replace', { title: 'replace: the document becomes the new one' }),
      Type.Literal('set', { title: 'set: only the fields that the new one has' }),
    ],
    {
      title: 'Update',
      description: 'What an upsert does to the document that is there.',
      default: 'replace',
      ui: { icon: 'fa-refresh', when: { field: 'operation', is: ['upsert'] } },
    },
  ),
  operators: Type.Array(operatorRow, {
    title: 'Operators',
    description:
      'What is done to the document with the key. A row whose value the message does not have is left out. Of a message that comes again, `$inc`, `$mul` and `$push` count twice: its identity does not protect them; _Newer only_ with a number that grows does.',
    default: [],
    maxItems: 100,
    ui: { icon: 'fa-list', when: { field: 'operation', is: ['update'] } },
  }),
  updatePath: Type.String({
    title: 'Update at',
    description:
      'Where the message has its update document (`{"$inc": {"count": 1}}`). What is said of `$inc`, `$mul` and `$push` in rows holds here too: a message that comes again counts twice.',
    format: 'path',
    default: 'payload.update',
    ui: { icon: 'fa-code', placeholder: 'payload.update', when: { field: 'operation', is: ['update-message'] } },
  }),
  newerOnly: Type.Optional(
    Type.String({
      title: 'Newer only',
      description:
        'A field of the document that grows: an event time or a sequence number. A message whose value is not above the stored one changes nothing (`outdated`). The sink makes a unique index over the key and holds messages until it is there. Empty: the last that comes wins.',
      format: 'path',
      ui: {
        icon: 'fa-history',
        placeholder: 'the last that comes wins',
        when: { field: 'operation', is: ['upsert', 'update', 'update-message'] },
      },
    }),
  ),
  document: Type.Union(
    [
      Type.Literal('payload', { title: 'the payload as it is' }),
      Type.Literal('mapping', { title: 'the fields below' }),
    ],
    { title: 'Document', description: 'What is stored.', default: 'payload', ui: { icon: 'fa-file-o' } },
  ),
  mapping: Type.Array(mappingRow, {
    title: 'Fields',
    description:
      'The fields of the document and where each comes from. A field that the message does not have is left out.',
    default: [
      { field: 'date', source: 'path', value: 'receivedAt', type: 'date' },
      { field: 'deviceUID', source: 'path', value: 'payload.uuid', type: 'any' },
      { field: 'value', source: 'path', value: 'payload.value', type: 'any' },
      { field: 'gatewayID', source: 'path', value: 'instance', type: 'any' },
    ],
    maxItems: 200,
    ui: { icon: 'fa-list', when: { field: 'document', is: ['mapping'] } },
  }),
  dateFields: Type.Array(Type.String({ title: 'Path', format: 'path', ui: { placeholder: 'measured.at' } }), {
    title: 'Dates',
    description:
      'The fields of the document to store as dates: texts in ISO 8601 (UTC where no offset is given), or numbers of milliseconds since 1970.',
    default: [],
    maxItems: 50,
    ui: { icon: 'fa-calendar' },
  }),
  indexes: Type.Array(indexRow, {
    title: 'Indexes',
    description: 'Made when the flow is deployed, where they are not there yet.',
    default: [],
    maxItems: 32,
    ui: { icon: 'fa-sort-amount-asc' },
  }),
  timeSeries: Type.Boolean({
    title: 'Time series',
    description:
      'Whether the collection is made as a time series where it is not there. Messages wait until it is; a server without time series is an error that is shown. Only inserts; and `_id` is not kept unique.',
    default: false,
    ui: { icon: 'fa-line-chart' },
  }),
  timeField: Type.String({
    title: 'Time field',
    description: 'The field of each document with its time; it becomes a date, and a document without it is rejected.',
    default: 'date',
    pattern: '^[^$.\\u0000][^.\\u0000]*$',
    ui: { icon: 'fa-clock-o', placeholder: 'date', when: { field: 'timeSeries', is: [true] } },
  }),
  metaField: Type.Optional(
    Type.String({
      title: 'Meta field',
      description: 'The field that says which series a document belongs to, such as the device; it rarely changes.',
      pattern: '^[^$.\\u0000][^.\\u0000]*$',
      ui: { icon: 'fa-tag', placeholder: 'deviceUID', when: { field: 'timeSeries', is: [true] } },
    }),
  ),
  granularity: Type.Union(
    [
      Type.Literal('seconds', { title: 'seconds' }),
      Type.Literal('minutes', { title: 'minutes' }),
      Type.Literal('hours', { title: 'hours' }),
    ],
    {
      title: 'Granularity',
      description: 'How far apart the documents of one series are, about.',
      default: 'seconds',
      ui: { icon: 'fa-arrows-h', when: { field: 'timeSeries', is: [true] } },
    },
  ),
  bucketMaxSpan: Type.Optional(
    Type.Integer({
      title: 'Bucket span',
      description: 'In place of the granularity: the most time that one bucket holds (MongoDB 6.3 and newer).',
      minimum: 1,
      maximum: MOST_BUCKET_SECONDS,
      ui: { icon: 'fa-arrows-h', unit: 's', placeholder: 'by granularity', when: { field: 'timeSeries', is: [true] } },
    }),
  ),
  expireAfterSeconds: Type.Optional(
    Type.Integer({
      title: 'Expire after',
      description: 'After how many seconds from its time a document of the time series is removed; empty: never.',
      minimum: 1,
      maximum: MOST_SECONDS,
      ui: { icon: 'fa-hourglass-end', unit: 's', placeholder: 'never', when: { field: 'timeSeries', is: [true] } },
    }),
  ),
  maxCollections: Type.Integer({
    title: 'Collections',
    description:
      'The most collections that a template may lead to, from start to stop; a message for one more is rejected.',
    default: 1_000,
    minimum: 1,
    maximum: 100_000,
    ui: { icon: 'fa-table' },
  }),
  maxBatchCount: Type.Integer({
    title: 'Batch',
    description: 'The most documents in one write.',
    default: 500,
    minimum: 1,
    maximum: 1_000,
    ui: { icon: 'fa-cubes', unit: 'documents' },
  }),
  maxBatchBytes: Type.Integer({
    title: 'Batch size',
    description: 'The most bytes (BSON) in one write; a larger document goes alone.',
    default: 4_194_304,
    minimum: 1_024,
    maximum: 15_728_640,
    ui: { icon: 'fa-cubes', unit: 'bytes' },
  }),
  maxBatchWait: Type.Integer({
    title: 'Batch time',
    description:
      'For how many milliseconds a document waits for others while a write is under way; when none is, it goes at once.',
    default: 10,
    minimum: 0,
    maximum: 10_000,
    ui: { icon: 'fa-clock-o', unit: 'ms' },
  }),
  maxInFlight: Type.Integer({
    title: 'Writes at a time',
    description:
      'The most writes under way at the same time. What is written in order goes one after the other within a collection.',
    default: 4,
    minimum: 1,
    maximum: 64,
    ui: { icon: 'fa-exchange' },
  }),
  ...queueFields('messages that wait for a write', 'messages'),
  ...spoolFields('the database'),
  deadLetters,
});

export type Config = Static<typeof config>;
export type MappingRow = Static<typeof mappingRow>;
export type OperatorRow = Static<typeof operatorRow>;
export type IndexRow = Static<typeof indexRow>;

export const palette: PaletteEntry = {
  label: 'mongo sink',
  category: 'Sluice',
  color: '#a9cf8f',
  icon: 'mongo-sink.svg',
  inputs: 1,
  outputs: ['stored', 'rejected'],
  labelField: 'collection',
};
