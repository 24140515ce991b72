/**
 * One Node-RED runtime, as a process of its own. Its parent tells it what to be by the environment and its first
 * message, and to drain by a later one.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import RED from 'node-red';
import { Instance } from '@sluice/node-red/instance';
import { MemberProcess } from '../fleet/member-process.js';
import { NodeStatuses } from '../fleet/report/node-statuses.js';
import { addEndpoints } from './endpoints.js';
import type { InstanceOptions, InstanceReply, InstanceRequest } from './instance-protocol.js';
import { answerOn, listen } from './instance-server.js';
import { isWorkerOf, nodeRedSettings } from './settings.js';

const DRAIN_LIMIT_MS = 15_000;
/** For the subscriptions of ingests, so that what is published once it is ready has a taker. */
const INGESTS_READY_MS = 2_000;

process.on('disconnect', () => process.exit(1)); // the parent is gone, by whatever signal
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);

const [request] = (await once(process, 'message')) as [InstanceRequest];
if (request.type === 'start') await run(request.options);

async function run(options: InstanceOptions): Promise<void> {
  const { fleet, userDir } = options;
  const started = Promise.withResolvers<void>();
  const member = fleet === undefined ? undefined : new MemberProcess(fleet, userDir, reply);
  const statuses = new NodeStatuses(RED.runtime.events);
  let ending = false;
  process.on('message', (later: InstanceRequest) => {
    if (later.type === 'drain') {
      if (!ending) void started.promise.then(() => drain(later.leave === true, member));
      ending = true;
    }
    if (later.type === 'begin') member?.begin();
    if (later.type === 'workers-nodes') statuses.show(later.nodes);
    if (later.type === 'history' || later.type === 'rollback') void member?.answer(later);
  });
  const server = createServer();
  const settings = nodeRedSettings(options, (line) => member?.noteError(line));
  RED.init(server, { ...settings, ...member?.settings });
  answerOn(server, RED, isWorkerOf(fleet));
  const flows = flowsStarted();
  RED.runtime.events.once('flows:starting', () => member?.beforeFlows(Instance.running(RED.runtime.events)));
  await RED.start();
  const notStarted = await flows;
  started.resolve();
  const instance = Instance.running(RED.runtime.events);
  addEndpoints(RED, instance);
  const problem = (await member?.run(instance)) ?? notStarted;
  // A broker that is away does not keep the editor from opening.
  await Promise.race([instance.ready(), delay(INGESTS_READY_MS, undefined, { ref: false })]);
  const { host } = options;
  const port = await listen(server, options, (taken) => reply({ type: 'port-taken', port: taken }));
  const address = host.includes(':') ? `[${host}]` : host;
  reply({ type: 'ready', url: `http://${address}:${port}/`, ...(problem !== undefined && { problem }) });
}

function reply(message: InstanceReply): void {
  process.send?.(message);
}

/** Resolves when the flows run, or with what keeps them from it. */
function flowsStarted(): Promise<string | undefined> {
  return new Promise((resolve) => {
    RED.runtime.events.once('flows:started', () => resolve(undefined));
    RED.runtime.events.on('runtime-event', ({ id, payload }: RuntimeEvent) => {
      if (id !== 'runtime-state' || payload?.error === undefined) return;
      const types = payload.types === undefined ? '' : ` (${payload.types.join(', ')})`;
      resolve(`the flows were not started: ${payload.error}${types}`);
    });
  });
}

interface RuntimeEvent {
  readonly id: string;
  readonly payload?: { readonly error?: string; readonly types?: readonly string[] };
}

async function drain(leave: boolean, member: MemberProcess | undefined): Promise<void> {
  const instance = Instance.running(RED.runtime.events);
  try {
    await (leave && member !== undefined ? member.leave(instance) : finish(instance, member));
  } finally {
    await RED.stop(); // sinks write what they hold
    await member?.end();
  }
  process.exit(0);
}

async function finish(instance: Instance, member: MemberProcess | undefined): Promise<void> {
  member?.draining();
  await instance.drain(DRAIN_LIMIT_MS);
}
