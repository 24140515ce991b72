import { defineNode } from '../adapter/define-node.js';
import { MqttBroker } from './broker.js';
import { config, credentials } from './config.js';
import { checkTls } from './tls.js';

export default defineNode({
  type: 'sluice-mqtt-broker',
  config,
  credentials,
  checks: checkTls,
  create: (context) => new MqttBroker(context),
});
