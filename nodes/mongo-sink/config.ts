import Type, { type Static } from 'typebox';
import type { PaletteEntry } from '../adapter/palette.js';
import { deadLetters } from '../dead-letter-queue/config.js';

const mappingRow = Type.Object({
  field: Type.String({
    title: 'Field',
    description: 'The name in the document; dots make nested documents.',
    default: '',
    pattern: '^[^$.\\u0000][^.\\u0000]*(\\.[^$.\\u0000][^.\\u0000]*)*$',
    ui: { placeholder: 'deviceUID' },
  }),
  source: Type.Union(
    [
      Type.Literal('path', { title: 'path' }),
      Type.Literal('template', { title: 'template' }),
      Type.Literal('constant', { title: 'constant' }),
    ],
    { title: 'From', description: 'What the value is read as.', default: 'path' },
  ),
  value: Type.String({
    title: 'Value',
    description:
      'A path into the message (`payload.uuid`, `topic[0]`, `receivedAt`, `instance`), a template over it, or the value itself.',
    default: '',
    ui: { placeholder: 'payload.uuid' },
  }),
  type: Type.Union(
    [
      Type.Literal('any', { title: 'as it is' }),
      Type.Literal('text', { title: 'text' }),
      Type.Literal('number', { title: 'number' }),
      Type.Literal('boolean', { title: 'boolean' }),
      Type.Literal('date', { title: 'date' }),
    ],
    { title: 'Type', description: 'What the value becomes; one that cannot is rejected.', default: 'any' },
  ),
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
    ],
    {
      title: 'Operation',
      description: 'Whether each message is a document of its own, or the newest state of the document with its key.',
      default: 'insert',
      ui: { icon: 'fa-pencil' },
    },
  ),
  key: Type.Array(Type.String({ title: 'Path', format: 'path', ui: { placeholder: 'deviceUID' } }), {
    title: 'Key',
    description: 'The fields of the document that an upsert finds it by; a unique index over them keeps it one.',
    default: [],
    maxItems: 16,
    ui: { icon: 'fa-key', when: { field: 'operation', is: ['upsert'] } },
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
    description: 'The most writes under way at the same time. Upserts into one collection go one after the other.',
    default: 4,
    minimum: 1,
    maximum: 64,
    ui: { icon: 'fa-exchange' },
  }),
  maxQueue: Type.Integer({
    title: 'Queue',
    description: 'The most messages that wait for a write; one more fails at once (`queue-full`).',
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000,
    ui: { icon: 'fa-tasks', unit: 'messages' },
  }),
  deadLetters,
});

export type Config = Static<typeof config>;
export type MappingRow = Static<typeof mappingRow>;

export const palette: PaletteEntry = {
  label: 'mongo sink',
  category: 'Sluice',
  color: '#a9cf8f',
  icon: 'mongo-sink.svg',
  inputs: 1,
  outputs: ['stored', 'rejected'],
  labelField: 'collection',
};
