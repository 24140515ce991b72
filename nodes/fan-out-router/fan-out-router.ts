import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { errorOutput, FanOutRouter } from './router.js';

export default defineNode({
  type: 'fan-out-router',
  config,
  rejectedOutput: errorOutput,
  create: (context) => new FanOutRouter(context),
});
