import { defineNode } from '../adapter/define-node.js';
import { MongoConnection } from '../mongo-connection/connection.js';
import { compileCollectionName } from './collection-name.js';
import { checkSetup } from './collection-setup.js';
import { config } from './config.js';
import { compileDocument } from './document.js';
import { compileOperation } from './operation.js';
import { MongoSink } from './sink.js';

export default defineNode({
  type: 'mongo-sink',
  config,
  rejectedOutput: 1,
  checks: (config) => [
    () => compileDocument(config),
    () => compileOperation(config),
    () => compileCollectionName(config),
    () => checkSetup(config),
  ],
  create: (context) => new MongoSink(context, context.use(context.config.connection, MongoConnection, '/connection')),
});
