import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A port in front of a server that a test can shut and open again: an outage, as a client sees it. */
export interface TcpGate {
  readonly port: number;
  /** How many connections there have been. */
  accepted(): number;
  /** Ends every connection, in the middle of whatever it carries, and refuses new ones. */
  shut(): Promise<void>;
  /** Resolves when clients have sent so many bytes more: in the middle of what they send. */
  carried(bytes: number): Promise<void>;
  /** Until it is opened again: a connection on which a client has sent this text gets no answer any more. */
  deafenAfter(text: string): void;
  open(): Promise<void>;
  stop(): Promise<void>;
}

/** @param host - where it listens */
export async function startTcpGate(targetPort: number, host = '127.0.0.1'): Promise<TcpGate> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let accepted = 0;
  let deafening: string | undefined;
  let limit: { left: number; readonly reached: () => void } | undefined;
  const listen = async (port: number): Promise<number> => {
    server = createServer((client) => {
      accepted++;
      const target = connect(targetPort, '127.0.0.1');
      client.on('data', (chunk: Buffer) => {
        if (deafening !== undefined && chunk.includes(deafening)) target.unpipe(client);
        if (limit === undefined) return;
        limit.left -= chunk.length;
        if (limit.left > 0) return;
        limit.reached();
        limit = undefined;
      });
      for (const [socket, other] of [
        [client, target],
        [target, client],
      ] as const) {
        sockets.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    }).listen(port, host);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const shut = async (): Promise<void> => {
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    server = undefined;
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  const port = await listen(0);
  return {
    port,
    accepted: () => accepted,
    shut,
    carried: (bytes) =>
      new Promise((reached) => {
        limit = { left: bytes, reached };
      }),
    deafenAfter: (text) => {
      deafening = text;
    },
    open: async () => {
      deafening = undefined;
      if (server === undefined) await listen(port);
    },
    stop: shut,
  };
}
