/** A Node-RED process that is a member of a fleet, as an instance process makes itself one. It does what its parent says. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import RED from 'node-red';
import { startFleetMember } from '../../runtime/fleet/flows/start-member.js';
import { nodeRedSettings } from '../../runtime/launcher/settings.js';
import type { Reply, Request, StartOptions } from './member.js';

process.on('disconnect', () => process.exit(1));
const [options] = (await once(process, 'message')) as [StartOptions];
const member = startFleetMember(options.fleet, options.userDir);
const server = createServer();
RED.init(server, { ...nodeRedSettings(options), ...member.settings });
server.on('request', (request, response) => {
  RED.httpAdmin(request, response, () => void response.writeHead(404).end());
});
const started = once(RED.runtime.events, 'flows:started');
await RED.start();
await started;
process.on('message', (request: Request) => {
  answer(request).then(
    (value) => reply({ type: 'answer', id: request.id, value }),
    (error: unknown) => reply({ type: 'answer', id: request.id, error: String(error) }),
  );
});
RED.runtime.events.on('flows:started', ({ type }: { type: string }) => reply({ type: 'deployed', deployment: type }));
const problem = await member.run();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  reply({ type: 'ready', url: `http://127.0.0.1:${port}/`, ...(problem !== undefined && { problem }) });
});

async function answer(request: Request): Promise<unknown> {
  switch (request.type) {
    case 'state':
      return member.flowState();
    case 'history':
      return member.history();
    case 'rollback':
      return member.rollback(request.revision, 'a person');
    case 'running':
      return request.ids.filter((id) => RED.nodes.getNode(id) != null);
    case 'mark': {
      const node = RED.nodes.getNode(request.node) as { mark?: string } | null;
      if (node === null) return undefined;
      const { mark } = node;
      node.mark = request.mark;
      return mark;
    }
    case 'credentials':
      return RED.nodes.getCredentials(request.node);
    case 'environment':
      return process.env[request.name];
    case 'stop':
      await member.stop();
      await RED.stop();
      setImmediate(() => process.exit(0));
      return undefined;
  }
}

function reply(message: Reply): void {
  process.send?.(message);
}
