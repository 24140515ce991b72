import { defineNode } from '../adapter/define-node.js';
import { DeadLetterQueue } from '../dead-letter-queue/queue.js';
import { config } from './config.js';
import { DeadLetterInbox } from './inbox.js';

export default defineNode({
  type: 'dead-letter',
  config,
  checks: () => [],
  create: (context) => new DeadLetterInbox(context, context.use(context.config.queue, DeadLetterQueue, '/queue')),
});
