import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { SchemaFilter } from './filter.js';

export default defineNode({
  type: 'schema-filter',
  config,
  rejectedOutput: 1,
  create: (context) => new SchemaFilter(context),
});
