import { defineNode } from '../adapter/define-node.js';
import { config, credentials } from './config.js';
import { ObjectStoreConnection } from './connection.js';

export default defineNode({
  type: ObjectStoreConnection.nodeType,
  config,
  credentials,
  checks: () => [],
  create: (context) => new ObjectStoreConnection(context.config, context.credentials),
});
