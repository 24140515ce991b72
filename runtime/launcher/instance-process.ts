/**
 * One Node-RED runtime, as a process of its own. Its parent tells it what to be by the environment and its first
 * message, and to drain by its second.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import RED from 'node-red';
import { Instance } from '@sluice/node-red/instance';
import type { InstanceOptions, InstanceReply, InstanceRequest } from './instance-protocol.js';
import { metricsOf } from './metrics.js';
import { nodeRedSettings } from './settings.js';

const DRAIN_LIMIT_MS = 15_000;
/** For the subscriptions of ingests, so that what is published once it is ready has a taker. */
const INGESTS_READY_MS = 2_000;

process.on('disconnect', () => process.exit(1)); // the parent is gone, by whatever signal
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);

const [request] = (await once(process, 'message')) as [InstanceRequest];
if (request.type === 'start') await run(request.options);

async function run(options: InstanceOptions): Promise<void> {
  process.once('message', () => void drain()); // the only other request there is
  const server = createServer();
  RED.init(server, nodeRedSettings(options));
  const { httpAdmin, httpNode } = RED;
  server.on('request', (incoming, response) => {
    httpAdmin(incoming, response, () => {
      httpNode(incoming, response, () => {
        response.writeHead(404).end();
      });
    });
  });
  const flows = flowsStarted();
  await RED.start();
  const problem = await flows;
  const instance = Instance.running(RED.runtime.events);
  const metrics = metricsOf(instance);
  httpAdmin.get('/sluice/metrics', RED.auth.needsPermission('sluice.read'), (_request, response, next) => {
    metrics.text().then((text) => response.type(metrics.contentType).send(text), next);
  });
  // A broker that is away does not keep the editor from opening.
  await Promise.race([instance.ready(), delay(INGESTS_READY_MS, undefined, { ref: false })]);
  const port = await listen(server, options);
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  reply({ type: 'ready', url: `http://${host}:${port}/`, ...(problem !== undefined && { problem }) });
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

/** Listens, on another port when this one is taken. */
function listen(server: Server, { host, port }: Pick<InstanceOptions, 'host' | 'port'>): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || port === 0) reject(error);
      else {
        reply({ type: 'port-taken', port });
        resolve(listen(server, { host, port: 0 }));
      }
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

async function drain(): Promise<void> {
  try {
    await Instance.running(RED.runtime.events).drain(DRAIN_LIMIT_MS);
  } finally {
    await RED.stop(); // sinks write what they hold
  }
  process.exit(0);
}
