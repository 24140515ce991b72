/** What `sluice simulate` shares with the device-simulator node. */
export { Counters } from './lib/counters.js';
export { ConfigError } from './lib/errors.js';
export { mqttUrlProblem } from './lib/formats.js';
export { MESSAGE_ID } from './lib/identity.js';
export { MqttBroker } from './sluice-mqtt-broker/broker.js';
export { SimulationRunner, type Totals } from './device-simulator/runner.js';
export { Simulation, type SimulationSettings } from './device-simulator/simulation.js';
