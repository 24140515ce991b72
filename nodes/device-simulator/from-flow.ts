import { ConfigError } from '../lib/errors.js';
import { compileSettings, type Lookup } from '../lib/settings.js';
import { config as schemaConfig, type Config as SchemaConfig } from '../message-schema/config.js';
import { MessageSchema } from '../message-schema/schema.js';
import { config, type Config } from './config.js';
import { Simulation } from './simulation.js';

type FlowNode = Readonly<Record<string, unknown>>;

/** What a device-simulator of a flow file would do, for who does it in its place. */
export interface SimulatorOfFlow {
  readonly settings: Config;
  /** A new one, from the first message on. */
  simulation(run: string): Simulation;
}

/** @throws ConfigError as the deploy would, for the node or the schema that it names */
export function simulatorOfFlow(node: FlowNode, flow: readonly FlowNode[], lookup: Lookup): SimulatorOfFlow {
  const settings = compileSettings<Config>(config).resolve(node, lookup);
  const schema = settings.schema === undefined ? undefined : schemaOfFlow(settings.schema, flow, lookup);
  return { settings, simulation: (run) => new Simulation(settings, run, schema) };
}

function schemaOfFlow(id: string, flow: readonly FlowNode[], lookup: Lookup): MessageSchema {
  const node = flow.find((other) => other['id'] === id);
  if (node === undefined) {
    const sentence = `/schema: expected a message-schema of the flow, got ${id}`;
    throw new ConfigError(sentence, { code: 'config-node', path: '/schema' });
  }
  const resolved = compileSettings<SchemaConfig>(schemaConfig).resolve(node, lookup);
  return new MessageSchema({ config: resolved, projectFolder: undefined });
}
