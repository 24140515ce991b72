import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** Where a server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const POLL_MS = 50;

/** A port of this machine in front of a server, of which the connections can be cut. */
export class TcpProxy {
  readonly #target: Address;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #lastByteAt: number | undefined;

  private constructor(target: Address) {
    this.#target = target;
  }

  static async start(target: Address): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.open();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** Breaks all connections, in the middle of whatever they carry, and refuses others until it is opened again. */
  async cut(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  async open(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((client) => this.#pass(client)).listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Resolves when somebody has connected and nothing has been said for a while: all have subscribed. */
  async quiet(ms: number, signal: AbortSignal): Promise<void> {
    while (this.#lastByteAt === undefined || performance.now() - this.#lastByteAt < ms) {
      await delay(POLL_MS, undefined, { signal });
    }
  }

  #pass(client: Socket): void {
    const target = connect(this.#target.port, this.#target.host);
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('data', () => (this.#lastByteAt = performance.now()));
      from.on('error', () => to.destroy()); // an end of one is an end of the other
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
