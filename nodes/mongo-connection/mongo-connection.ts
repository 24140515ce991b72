import { defineNode } from '../adapter/define-node.js';
import { config, credentials } from './config.js';
import { MongoConnection } from './connection.js';

export default defineNode({
  type: MongoConnection.nodeType,
  config,
  credentials,
  create: (context) => new MongoConnection(context.config, context.credentials, context),
});
