import { defineNode } from '../adapter/define-node.js';
import { MqttBroker } from '../sluice-mqtt-broker/broker.js';
import { config } from './config.js';
import { compilePublication } from './publication.js';
import { MqttPublish } from './publish.js';

export default defineNode({
  type: 'mqtt-publish',
  config,
  rejectedOutput: 1,
  checks: (config) => [() => compilePublication(config, '')],
  create: (context) => new MqttPublish(context, context.use(context.config.broker, MqttBroker, '/broker')),
});
