import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { checkBroker, checkFaults } from './faults.js';
import { Simulation } from './simulation.js';
import { DeviceSimulator } from './simulator.js';
import { valueModel } from './value-model.js';

export default defineNode({
  type: 'device-simulator',
  config,
  checks: (config) => [
    // What a schema makes is another matter: it is a node of its own.
    () => (config.schema === undefined ? new Simulation(config, '') : checkFaults(config)),
    () => config.schema ?? valueModel(config, Math.random),
    () => checkBroker(config),
  ],
  create: (context) => new DeviceSimulator(context),
});
