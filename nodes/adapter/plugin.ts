import { plugin } from './endpoints.js';

/** Node-RED loads plugins with `require`, which takes this name of a module's exports. */
export { plugin as 'module.exports' };
