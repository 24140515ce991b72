import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What request nodes speak to: answers a GET of a status, and cuts the connection at `/cut`. */
export class PeerServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<PeerServer> {
    const server = createServer((request, response) => {
      if (request.url === '/cut') request.socket.destroy();
      else response.writeHead(Number(request.url?.slice(1) ?? 200)).end('answer');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PeerServer(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}
