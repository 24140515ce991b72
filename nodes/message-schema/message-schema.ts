import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { MessageSchema } from './schema.js';

export default defineNode({
  type: 'message-schema',
  config,
  checks: (config, { projectFolder }) => [() => new MessageSchema({ config, projectFolder })],
  create: (context) => new MessageSchema(context),
});
