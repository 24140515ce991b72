import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { checkRules, errorOutput, FanOutRouter } from './router.js';

export default defineNode({
  type: 'fan-out-router',
  config,
  rejectedOutput: errorOutput,
  checks: checkRules,
  create: (context) => new FanOutRouter(context),
});
