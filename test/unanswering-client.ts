/** A program that subscribes and never answers: `url clientId protocol topic qos window`. It writes a line for each message. */
import { Counters } from '../nodes/lib/counters.js';
import { compileSettings } from '../nodes/lib/settings.js';
import { MqttBroker } from '../nodes/sluice-mqtt-broker/broker.js';
import { config, type Config } from '../nodes/sluice-mqtt-broker/config.js';

const [url, clientId, protocol, topic = '', qos, window] = process.argv.slice(2);
const broker = new MqttBroker({
  id: 'unanswering',
  instance: 'test',
  config: compileSettings<Config>(config).resolve({ url, clientId, protocol }, () => undefined),
  credentials: {},
  counters: new Counters(),
  status: () => undefined,
  log: () => undefined,
});
broker.subscribe({
  filters: [topic],
  qos: Number(qos) as 1 | 2,
  window: Number(window),
  receive: ({ payload }) => process.stdout.write(`${payload.toString()}\n`),
  onState: ({ level }) => {
    if (level === 'ok') process.stdout.write('subscribed\n');
  },
});
broker.start();
