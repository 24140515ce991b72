import { defineNode } from '../adapter/define-node.js';
import { MqttBroker } from './broker.js';
import { config, credentials } from './config.js';

export default defineNode({
  type: 'sluice-mqtt-broker',
  config,
  credentials,
  create: (context) => new MqttBroker(context),
});
