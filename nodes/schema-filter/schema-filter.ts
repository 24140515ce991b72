import { configNodeError } from '../adapter/config-node.js';
import { defineNode } from '../adapter/define-node.js';
import { MessageSchema } from '../message-schema/schema.js';
import { config } from './config.js';
import { SchemaFilter } from './filter.js';

export default defineNode({
  type: 'schema-filter',
  config,
  rejectedOutput: 1,
  checks: (config) => [
    () => {
      if (config.unmatched === 'schema' && (config.schema ?? '') === '')
        throw configNodeError(MessageSchema.nodeType, '/schema', 'nothing');
    },
  ],
  create: (context) => new SchemaFilter(context),
});
