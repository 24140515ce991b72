import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import type { NodeContext } from '../../nodes/adapter/define-node.js';
import { Counters } from '../../nodes/lib/counters.js';
import type { Message } from '../../nodes/lib/message.js';
import { MessageSchema } from '../../nodes/message-schema/schema.js';
import { config as schemaConfig, type Config as SchemaConfig } from '../../nodes/message-schema/config.js';
import { config, type Config } from '../../nodes/schema-filter/config.js';
import { SchemaFilter } from '../../nodes/schema-filter/filter.js';
import { compileSettings } from '../../nodes/lib/settings.js';
import type { Part } from './part.js';

const uuid = '0b8a3c0e-7f55-4c1d-9a44-000000000001';
/** A reading: a device, a time, a place, a dozen values. */
const SCHEMA = {
  type: 'object',
  required: ['uuid', 'seq', 'ts', 'values'],
  properties: {
    uuid: { type: 'string', format: 'uuid' },
    seq: { type: 'integer', minimum: 1 },
    ts: { type: 'string', format: 'date-time' },
    site: { enum: ['north', 'south', 'east', 'west'] },
    values: { type: 'array', maxItems: 100, items: { type: 'number', minimum: -50, maximum: 150 } },
  },
};

const none = (): undefined => undefined;
const filter = new SchemaFilter({
  config: compileSettings<Config>(config).resolve({ schema: 'schema' }, none),
  counters: new Counters(),
  status: none,
  use: () =>
    new MessageSchema({
      config: compileSettings<SchemaConfig>(schemaConfig).resolve({ schema: JSON.stringify(SCHEMA) }, none),
      projectFolder: undefined,
    }),
} as unknown as NodeContext<Config, unknown>);
const ajv = new Ajv();
addFormats.default(ajv);
const validate = ajv.compile(SCHEMA);
const messages: Message[] = Array.from({ length: 1_000 }, (_none, seq) => ({
  topic: `device/${uuid}`,
  payload: {
    uuid,
    seq: seq + 1,
    ts: new Date(1.79e12 + seq).toISOString(),
    site: 'east',
    values: Array.from({ length: 12 }, (_item, index) => 20 + index + seq / 1_000),
  },
}));

export const filterPart: Part = {
  name: 'filter',
  times: 500_000,
  ways: {
    'ajv alone': (times) => {
      for (let index = 0; index < times; index++) {
        if (!validate(messages[index % messages.length]?.payload)) throw new Error('expected a valid payload');
      }
    },
    'schema-filter': (times) => {
      let sent = 0;
      const send = (): void => {
        sent++;
      };
      for (let index = 0; index < times; index++) filter.input(messages[index % messages.length] ?? {}, send);
      if (sent !== times) throw new Error('expected every message to be valid');
    },
  },
  goals: (us) => [
    {
      name: 'filter to ajv alone, CPU',
      got: us('schema-filter') / us('ajv alone'),
      wants: 'at most',
      limit: 1.3,
      unit: ' ×',
    },
  ],
};
