import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import {
  ConfigError,
  MessageSchema,
  messageOf,
  mqttUrlProblem,
  type MqttBroker,
  Simulation,
  type SimulationSettings,
} from '@sluice/node-red/simulator';
import { simulationBroker } from '../simulation/broker.js';
import type { FaultShare } from './options.js';

/** The options that say what devices there are and where they publish. */
export interface DeviceOptions {
  readonly broker: string;
  readonly port: number;
  readonly protocol: 'auto' | '5' | '3.1.1';
  readonly rate: number;
  readonly devices: number;
  readonly seed: string;
  readonly topic: string;
  readonly schema?: string;
  readonly model: SimulationSettings['model'];
  readonly minimum: number;
  readonly maximum: number;
  readonly step: number;
  readonly period: number;
  readonly values: readonly number[];
  readonly seq: boolean;
  readonly ts: boolean;
  readonly id: boolean;
  readonly fault: readonly FaultShare[];
  readonly lateBy: number;
  readonly skew: number;
}

/** The options of settings that have another name. */
const OPTIONS: Readonly<Record<string, string>> = { messageId: 'id' };

/** Ends the process for a wrong option. */
export function brokerOf(options: DeviceOptions, command: Command): MqttBroker {
  return simulationBroker(brokerUrl(options, command), { protocol: options.protocol });
}

/** The node's own engine. Ends the process for a wrong option. */
export function simulationOf(options: DeviceOptions, run: string, command: Command): Simulation {
  try {
    const settings = { ...options, values: [...options.values], messageId: options.id, faults: [...options.fault] };
    return new Simulation(settings, run, schemaOf(options.schema));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    wrongOption(
      command,
      error.message
        .replace(/^\/faults[^:]*/, '--fault')
        .replace(/^\/([a-zA-Z]+)/, (_path, name: string) => `--${OPTIONS[name] ?? name}`),
    );
  }
}

function brokerUrl({ broker, port }: DeviceOptions, command: Command): string {
  const url = broker.includes('://') ? broker : `mqtt://${broker.includes(':') ? `[${broker}]` : broker}:${port}`;
  const problem = mqttUrlProblem(url);
  if (problem !== undefined) wrongOption(command, `--broker: ${problem}`);
  return url;
}

function schemaOf(file: string | undefined): MessageSchema | undefined {
  if (file === undefined) return undefined;
  let schema: string;
  try {
    schema = readFileSync(file, 'utf8');
    JSON.parse(schema);
  } catch (error) {
    const sentence = `/schema: expected a file with a JSON Schema, got ${messageOf(error)}`;
    throw new ConfigError(sentence, { code: 'schema', cause: error });
  }
  const config = { configVersion: 1 as const, name: file, version: '1', source: 'inline' as const, schema };
  return new MessageSchema({ config, projectFolder: undefined });
}

function wrongOption(command: Command, sentence: string): never {
  command.error(`error: ${sentence}`, { exitCode: 2 });
}
