/**
 * One Node-RED runtime, as a process of its own. Its parent tells it what to be by the environment and the first
 * argument, and to drain by a message.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import RED from 'node-red';
import { Instance } from '@sluice/node-red/instance';
import type { InstanceOptions, InstanceReply } from './instance-protocol.js';
import { nodeRedSettings } from './settings.js';

const DRAIN_LIMIT_MS = 15_000;

const options = JSON.parse(process.argv[2] ?? '{}') as InstanceOptions;
const reply = (message: InstanceReply): void => {
  process.send?.(message);
};

process.on('disconnect', () => process.exit(1)); // the parent is gone, by whatever signal
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

const server = createServer();
RED.init(server, nodeRedSettings(options));
const { httpAdmin, httpNode } = RED;
server.on('request', (request, response) => {
  httpAdmin(request, response, () => {
    httpNode(request, response, () => {
      response.writeHead(404).end();
    });
  });
});

process.once('message', () => void drain()); // the only request there is (InstanceRequest)

const flows = flowsStarted();
await RED.start();
const problem = await flows;
const port = await listen(options.port);
reply({
  type: 'ready',
  url: `http://${options.host.includes(':') ? `[${options.host}]` : options.host}:${port}/`,
  problem,
});

/** Resolves when the flows run, or with what keeps them from it. */
function flowsStarted(): Promise<string | undefined> {
  return new Promise((resolve) => {
    RED.runtime.events.once('flows:started', () => resolve(undefined));
    RED.runtime.events.on(
      'runtime-event',
      ({ id, payload }: { id: string; payload?: { type?: string; error?: string; types?: string[] } }) => {
        if (id !== 'runtime-state' || payload?.error === undefined) return;
        resolve(
          `the flows were not started: ${payload.error}${payload.types === undefined ? '' : ` (${payload.types.join(', ')})`}`,
        );
      },
    );
  });
}

/** Listens, on another port when this one is taken. */
function listen(wanted: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || wanted === 0) reject(error);
      else {
        reply({ type: 'port-taken', port: wanted });
        resolve(listen(0));
      }
    });
    server.listen(wanted, options.host, () => resolve((server.address() as AddressInfo).port));
  });
}

async function drain(): Promise<void> {
  await Instance.of(RED.runtime).drain(DRAIN_LIMIT_MS);
  await RED.stop();
  process.exit(0);
}
