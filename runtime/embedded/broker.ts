import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Aedes } from 'aedes';

/** The embedded MQTT broker: aedes, MQTT 3.1.1, on the loopback address, its queues in memory, no shared subscriptions. */
export class EmbeddedBroker {
  readonly url: string;
  readonly #aedes: Aedes;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(aedes: Aedes, server: Server) {
    this.#aedes = aedes;
    this.#server = server;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.url = `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** @throws Error with `code` EADDRINUSE when the port is taken */
  static async start(port: number): Promise<EmbeddedBroker> {
    const aedes = await Aedes.createBroker();
    const server = createServer(aedes.handle);
    server.listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      aedes.close();
      throw error;
    }
    return new EmbeddedBroker(aedes, server);
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    // aedes knows those that have sent CONNECT; the server waits for all.
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
