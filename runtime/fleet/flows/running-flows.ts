import RED from 'node-red';
import { Instance } from '@sluice/node-red/instance';
import { messageOf } from '../../launcher/user-error.js';
import { nameOf, type Credentials, type FlowEntry } from './document.js';

interface RuntimeEvent {
  readonly id: string;
  readonly payload?: {
    readonly error?: string;
    readonly types?: readonly string[];
    readonly modules?: readonly { readonly module: string; readonly error: string }[];
  };
}

/** How many faulty nodes one sentence names. */
const MOST_NAMED = 3;

/** Gives Node-RED flows to run, and waits until they do. @returns why they do not */
export async function deploy(
  flows: readonly FlowEntry[],
  credentials: Credentials,
  deploymentType: 'full' | 'nodes' | 'flows',
): Promise<string | undefined> {
  const started = flowsStarted();
  try {
    await RED.runtime.flows.setFlows({ flows: { flows, credentials }, deploymentType });
  } catch (error) {
    started.abandon();
    return messageOf(error);
  }
  return started.outcome;
}

/** When the flows run, or with what keeps them from it. */
function flowsStarted(): { readonly outcome: Promise<string | undefined>; abandon(): void } {
  const { events } = RED.runtime;
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const onStarted = (): void => settle(undefined);
  const onEvent = ({ id, payload }: RuntimeEvent): void => {
    if (id !== 'runtime-state' || payload?.error === undefined) return;
    const missing = payload.types ?? payload.modules?.map(({ module }) => module) ?? [];
    settle(`${payload.error}${missing.length === 0 ? '' : ` (${missing.join(', ')})`}`);
  };
  const abandon = (): void => {
    events.off('flows:started', onStarted);
    events.off('runtime-event', onEvent);
  };
  const settle = (outcome: string | undefined): void => {
    abandon();
    resolve(outcome);
  };
  events.on('flows:started', onStarted);
  events.on('runtime-event', onEvent);
  return { outcome: promise, abandon };
}

/** Of flows that run: nodes of ours whose settings are refused, and nodes of others that were not made; undefined for none. */
export function faultsIn(flows: readonly FlowEntry[]): string | undefined {
  const ours = Instance.running(RED.runtime.events).nodes;
  const wrong = [...ours.values()].filter(({ failed }) => failed);
  const faults = wrong.map(({ type, name, status }) => `${type} "${name}": ${status.text}`);
  for (const entry of flows.filter((one) => isStarted(one, flows))) {
    if (RED.nodes.getNode(entry.id)) continue;
    faults.push(`${entry.type} "${nameOf(entry)}" could not be made: what it said stands in the log`);
  }
  if (faults.length === 0) return undefined;
  const more = faults.length > MOST_NAMED ? `; and ${faults.length - MOST_NAMED} more` : '';
  return `${faults.slice(0, MOST_NAMED).join('; ')}${more}`;
}

/** Whether Node-RED makes a node of an entry: it is none of a subflow's, and not switched off, nor is its tab. */
function isStarted({ type, z, d }: FlowEntry, flows: readonly FlowEntry[]): boolean {
  if (d === true || type === 'tab' || type === 'group' || type === 'subflow' || type.startsWith('subflow:'))
    return false;
  const place = typeof z === 'string' && z !== '' ? flows.find(({ id }) => id === z) : undefined;
  return place === undefined ? z === undefined || z === '' : place.type === 'tab' && place['disabled'] !== true;
}
