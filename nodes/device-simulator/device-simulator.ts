import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { Simulation } from './simulation.js';
import { DeviceSimulator } from './simulator.js';
import { valueModel } from './value-model.js';

export default defineNode({
  type: 'device-simulator',
  config,
  checks: (config) => [() => new Simulation(config, ''), () => valueModel(config, Math.random)],
  create: (context) => new DeviceSimulator(context),
});
