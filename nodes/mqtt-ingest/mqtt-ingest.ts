import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { MqttIngest } from './ingest.js';

export default defineNode({
  type: 'mqtt-ingest',
  config,
  rejectedOutput: 1,
  checks: () => [],
  create: (context) => new MqttIngest(context),
});
