import { defineNode } from '../adapter/define-node.js';
import { config } from './config.js';
import { DeviceSimulator } from './simulator.js';

export default defineNode({ type: 'device-simulator', config, create: (context) => new DeviceSimulator(context) });
