/** What `sluice simulate`, `sluice verify` and `sluice chaos` share with the nodes. */
export { Counters } from './lib/counters.js';
export { ConfigError, messageOf, UnavailableError } from './lib/errors.js';
export { MESSAGE_ID } from './lib/identity.js';
export { mqttUrlProblem } from './lib/formats.js';
export { MqttBroker } from './sluice-mqtt-broker/broker.js';
export { bytesOf, Publisher } from './device-simulator/publisher.js';
export { SimulationRunner, type Totals } from './device-simulator/runner.js';
export { Simulation, type SimulatedMessage, type SimulationSettings } from './device-simulator/simulation.js';
export { FAULTS, type Fault } from './device-simulator/faults.js';
export { simulatorOfFlow, type SimulatorOfFlow } from './device-simulator/from-flow.js';
export { pick, randomNumbers, shuffled, type Random } from './device-simulator/random.js';
export { MessageSchema } from './message-schema/schema.js';
export { CollectionReader, collectionNames } from './mongo-connection/reader.js';
export { openObjectReader, type ObjectReader } from './object-store/reader.js';
