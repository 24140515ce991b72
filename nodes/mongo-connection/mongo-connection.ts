import { defineNode } from '../adapter/define-node.js';
import { config, credentials } from './config.js';
import { clientOf, databaseOf, MongoConnection } from './connection.js';
import { redactor } from './redact.js';

export default defineNode({
  type: MongoConnection.nodeType,
  config,
  credentials,
  checks: (config) => [() => clientOf(config, {}, redactor(config.uri)), () => databaseOf(config)],
  create: (context) => new MongoConnection(context.config, context.credentials, context),
});
