import { readFileSync } from 'node:fs';
import { simulatorOfFlow, type SimulatorOfFlow } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';

export type FlowNode = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

/** A flow file whose devices are taken out, and say outside what they would have said. */
export interface ChaosFlow {
  readonly nodes: readonly FlowNode[];
  readonly simulators: readonly SimulatorOfFlow[];
}

const NO_SIMULATOR = { type: 'device-simulator', messageId: true, seq: true, ts: true };

/** @throws UserError for a file that is no flow, and one that nothing could be sent to */
export function readChaosFlow(path: string): ChaosFlow {
  const all = parse(path);
  const devices = all.filter(({ type, d }) => type === 'device-simulator' && d !== true);
  const gone = new Set(devices.map(({ id }) => id));
  const nodes = all.filter(({ id }) => !gone.has(id)).map((node) => withoutWiresTo(node, gone));
  const inputs = nodes.flatMap(topicFilters);
  if (inputs.length === 0) {
    throw new UserError(`expected a flow with an mqtt-ingest or an mqtt in, got ${path}, which has none`);
  }
  for (const { id, broker, name } of devices) {
    if (typeof broker === 'string' && broker !== '') continue;
    throw new UserError(
      `expected device simulators that publish to a broker, so that they can be replaced from outside, got ${typeof name === 'string' && name !== '' ? name : id}, which has none`,
    );
  }
  const simulated: Readonly<Record<string, unknown>>[] =
    devices.length > 0 ? devices : [{ ...NO_SIMULATOR, topic: topicFor(inputs[0] ?? '') }];
  const lookup = (name: string): unknown => process.env[name];
  return { nodes, simulators: simulated.map((node) => simulatorOfFlow(node, all, lookup)) };
}

/** The topic filters of a node that takes messages in. */
function topicFilters(node: FlowNode): string[] {
  if (node.type === 'mqtt-ingest') return (node['topics'] ?? []) as string[];
  return node.type === 'mqtt in' && typeof node['topic'] === 'string' ? [node['topic']] : [];
}

/** A topic for each device that a filter takes. */
function topicFor(filter: string): string {
  return filter.replace(/\+|#/g, '{uuid}');
}

function withoutWiresTo(node: FlowNode, gone: ReadonlySet<string>): FlowNode {
  const { wires } = node;
  if (!Array.isArray(wires)) return node;
  return { ...node, wires: (wires as string[][]).map((port) => port.filter((id) => !gone.has(id))) };
}

function parse(path: string): FlowNode[] {
  let flow: unknown;
  try {
    flow = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UserError(`expected a flow file, got ${path}, which cannot be read as JSON`, { cause: error });
  }
  if (!Array.isArray(flow) || !flow.every(isNode)) {
    throw new UserError(`expected ${path} to be a JSON array of nodes, as Node-RED exports it, got something else`);
  }
  return flow;
}

function isNode(value: unknown): value is FlowNode {
  const { id, type } = (value ?? {}) as { id?: unknown; type?: unknown };
  return typeof id === 'string' && typeof type === 'string';
}
