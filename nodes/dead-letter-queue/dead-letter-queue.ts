import { join } from 'node:path';
import { defineNode, type NodeContext } from '../adapter/define-node.js';
import { DeadLetters } from '../lib/dead-letter.js';
import { MongoConnection } from '../mongo-connection/connection.js';
import { config, type Config } from './config.js';
import { LetterCollection } from './letter-collection.js';
import { LetterFolder } from './letter-folder.js';
import { DeadLetterQueue } from './queue.js';
import type { LetterStore } from './store.js';

export default defineNode({
  type: DeadLetters.nodeType,
  config,
  create: (context) => new DeadLetterQueue(context, storeOf(context)),
});

function storeOf(context: NodeContext<Config, unknown>): LetterStore {
  const { userDir, instance, runId } = context;
  const { place, folder, connection, collection } = context.config;
  if (place === 'folder') {
    return new LetterFolder(folder ?? join(userDir, 'dead-letters'), `${instance}.${runId.slice(0, 8)}`);
  }
  return new LetterCollection(context.use(connection ?? '', MongoConnection, '/connection'), collection);
}
