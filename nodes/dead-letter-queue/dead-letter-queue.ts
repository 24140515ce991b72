import { join } from 'node:path';
import { configNodeError } from '../adapter/config-node.js';
import { defineNode, type NodeContext } from '../adapter/define-node.js';
import { DeadLetters } from '../lib/dead-letter.js';
import { MongoConnection } from '../mongo-connection/connection.js';
import { config, type Config } from './config.js';
import { LetterCollection } from './letter-collection.js';
import { LetterFolder } from './letter-folder.js';
import { DeadLetterQueue } from './queue.js';
import type { LetterStore } from './store.js';
import { WithFallback } from './with-fallback.js';

export default defineNode({
  type: DeadLetters.nodeType,
  config,
  checks: (config) => [
    () => {
      if (config.place === 'mongodb' && (config.connection ?? '') === '')
        throw configNodeError(MongoConnection.nodeType, '/connection', 'nothing');
    },
  ],
  create: (context) => new DeadLetterQueue(context, storeOf(context)),
});

function storeOf(context: NodeContext<Config, unknown>): LetterStore {
  const { id, userDir, instance, runId } = context;
  const { place, folder, connection, collection } = context.config;
  const writer = `${instance}.${runId.slice(0, 8)}.${id}`;
  const inFolder = new LetterFolder(folder ?? join(userDir ?? '', 'dead-letters'), writer);
  if (place === 'folder') return inFolder;
  const mongo = context.use(connection ?? '', MongoConnection, '/connection');
  return new WithFallback(new LetterCollection(mongo, collection), inFolder);
}
