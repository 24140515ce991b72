import { defineNode } from '../adapter/define-node.js';
import { MongoConnection } from '../mongo-connection/connection.js';
import { config } from './config.js';
import { MongoSink } from './sink.js';

export default defineNode({
  type: 'mongo-sink',
  config,
  rejectedOutput: 1,
  create: (context) => new MongoSink(context, context.use(context.config.connection, MongoConnection, '/connection')),
});
