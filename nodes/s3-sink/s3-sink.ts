import { defineNode } from '../adapter/define-node.js';
import { ObjectStoreConnection } from '../object-store/connection.js';
import { systemClock } from './clock.js';
import { config } from './config.js';
import { recordFormat } from './format.js';
import { ObjectKeys } from './object-keys.js';
import { suffixOf } from './object-suffix.js';
import { S3Sink } from './sink.js';

export default defineNode({
  type: 's3-sink',
  config,
  rejectedOutput: 1,
  checks: (config) => [() => new ObjectKeys(config, suffixOf(recordFormat(config, ''), config.compression), '')],
  create: (context) =>
    new S3Sink(context, {
      store: context.use(context.config.store, ObjectStoreConnection, '/store').store,
      clock: systemClock,
    }),
});
