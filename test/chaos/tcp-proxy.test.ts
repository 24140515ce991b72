import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { TcpProxy } from '../../runtime/chaos/tcp-proxy.js';

describe('the proxy of a chaos run', () => {
  const served = new Set<Socket>();
  let echo: Server;
  let proxy: TcpProxy;
  beforeEach(async () => {
    echo = createServer((socket) => {
      served.add(socket.on('error', () => undefined));
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    proxy = await TcpProxy.start({ host: '127.0.0.1', port: (echo.address() as AddressInfo).port });
  });
  afterEach(async () => {
    await proxy.cut();
    echo.close();
  });

  const client = async (): Promise<Socket> => {
    const socket = connect(proxy.port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  };
  /** By a reset as well, which is an error. */
  const closed = (socket: Socket): Promise<void> =>
    new Promise((resolve) => socket.on('error', () => undefined).once('close', () => resolve()));
  const echoes = async (socket: Socket, text: string): Promise<void> => {
    socket.write(text);
    const [got] = (await once(socket, 'data')) as [Buffer];
    assert.equal(got.toString(), text);
  };

  it('carries both ways, breaks what it carries, refuses, and opens again on the same port', async () => {
    const socket = await client();
    await echoes(socket, 'one');
    const { port } = proxy;
    const broken = closed(socket);
    await proxy.cut();
    await broken;
    await assert.rejects(client(), { code: 'ECONNREFUSED' });
    await proxy.open();
    assert.equal(proxy.port, port);
    const again = await client();
    await echoes(again, 'two');
    again.destroy();
  });

  it('ends a client whose server has ended', async () => {
    const socket = await client();
    await echoes(socket, 'one');
    const ended = closed(socket);
    for (const one of served) one.destroy();
    await ended;
  });

  it('is quiet only once somebody has said something, and then no more', async () => {
    const { signal } = new AbortController();
    let quiet = false;
    const waited = proxy.quiet(60, signal).then(() => (quiet = true));
    const socket = await client();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(quiet, false);
    await echoes(socket, 'subscribe');
    await waited;
    socket.destroy();
  });
});
