import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type RED from 'node-red';

/** What a worker answers; the rest of the admin API is the editor's. */
const WORKER_PATHS = new Set(
  ['status', 'ledger', 'metrics', 'health', 'live', 'ready'].map((name) => `/sluice/${name}`),
);

/** Gives requests to Node-RED: to its admin API, then to the flows' own endpoints. */
export function answerOn(server: Server, { httpAdmin, httpNode }: typeof RED, isWorker: boolean): void {
  server.on('request', (request, response) => {
    const toFlows = (): void => {
      httpNode(request, response, () => {
        response.writeHead(404).end();
      });
    };
    const [path = ''] = (request.url ?? '').split('?');
    if (isWorker && !WORKER_PATHS.has(path)) toFlows();
    else httpAdmin(request, response, toFlows);
  });
}

/** Listens, on another port when this one is taken. @returns the port */
export function listen(
  server: Server,
  { host, port }: { readonly host: string; readonly port: number },
  onTaken: (port: number) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || port === 0) reject(error);
      else {
        onTaken(port);
        resolve(listen(server, { host, port: 0 }, onTaken));
      }
    });
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
