import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { brokerNode, ingestNode, useMqttFlows } from '../mqtt.js';
import { startHiveMq } from '../servers/hivemq.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { startScriptedMqtt } from '../servers/scripted-mqtt.js';
import { describeWithServer, freePort } from '../servers/server.js';

describe('sluice-mqtt-broker without a connection', () => {
  const flows = useMqttFlows();
  const servers = new Set<Server>();
  const sockets = new Set<Socket>();

  afterEach(async () => {
    for (const server of servers) {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    }
    servers.clear();
    sockets.clear();
  });

  async function listening(server: Server): Promise<string> {
    servers.add(server);
    server.on('connection', (socket) => sockets.add(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function fails(url: string, settings: Record<string, unknown> = {}): Promise<string> {
    await flows.load([brokerNode(url, settings), ingestNode()]);
    return flows.shows('ingest', 'error');
  }

  it('says that nothing listens', async () => {
    for (const scheme of ['mqtt', 'mqtts', 'ws', 'wss']) {
      assert.match(
        await fails(`${scheme}://127.0.0.1:1`),
        /^nothing listens at 127\.0\.0\.1:1: check host and port, and that the broker runs \(.*ECONNREFUSED.*\); trying again in 1 s/,
      );
      await flows.unload();
    }
  });

  it('says that a name does not resolve', async () => {
    assert.match(
      await fails('mqtt://no-such-host.invalid'),
      /^(the name no-such-host\.invalid does not resolve: check the host in the URL|the name service does not answer for no-such-host\.invalid: check the network)/,
    );
  });

  it('says that what listens speaks no MQTT', async () => {
    const http = await listening(createHttpServer((_request, response) => response.end('hello')));
    assert.match(
      await fails(`mqtt://${http}`),
      /^what listens at 127\.0\.0\.1:\d+ does not speak MQTT as mqtt:\/\/ is to: check port and scheme/,
    );
    await flows.unload();
    const greeting = await listening(
      createServer((socket) => socket.on('error', () => undefined).end('220 mail.example ESMTP\r\n')),
    );
    assert.match(
      await fails(`mqtt://${greeting}`),
      /does not speak MQTT as mqtt:\/\/ is to|closed the connection without an answer/,
    );
    await flows.unload();
    const silent = await listening(createServer((socket) => socket.resume().on('data', () => socket.end())));
    assert.match(
      await fails(`mqtt://${silent}`),
      /^127\.0\.0\.1:\d+ closed the connection without an answer: is it a port for mqtt:\/\/\?/,
    );
  });

  it('says what is wrong with a WebSocket', async () => {
    const mail = await listening(
      createServer((socket) => socket.on('error', () => undefined).end('220 mail ESMTP\r\n')),
    );
    assert.match(
      await fails(`ws://${mail}`),
      /^what listens at 127\.0\.0\.1:\d+ does not speak WebSocket: use the port for it, or mqtt:\/\//,
    );
    await flows.unload();
    const http = await listening(createHttpServer((_request, response) => response.writeHead(404).end()));
    assert.match(
      await fails(`ws://${http}/mqtt`),
      /^127\.0\.0\.1:\d+ answers the WebSocket with HTTP 404: check the path in the URL/,
    );
  });

  it('says that nobody has answered in time', async () => {
    const mute = createServer((socket) => socket.on('error', () => undefined).resume());
    const host = await listening(mute);
    assert.match(
      await fails(`mqtt://${host}`),
      /^no broker has answered at 127\.0\.0\.1:\d+ in time: check host and port/,
    );
  });

  describeWithServer(
    'to mosquitto',
    async () => {
      const port = await freePort();
      const broker = await startOwnMosquitto({ lines: [`listener ${port} 127.0.0.1`, 'protocol websockets'] });
      return { ...broker, webSocketPort: port };
    },
    (server) => {
      it('says so where MQTT meets a WebSocket, and the reverse', async () => {
        await flows.load([brokerNode(`mqtt://127.0.0.1:${server().webSocketPort}`), ingestNode()]);
        // It opens this listener last: nothing may listen yet.
        await flows.shows(
          'ingest',
          'error',
          /does not speak MQTT as mqtt:\/\/ is to|closed the connection without an answer/,
        );
        await flows.unload();
        assert.match(
          await fails(server().url.replace('mqtt:', 'ws:')),
          /^127\.0\.0\.1:\d+ closed the connection without an answer: is it a port for ws:\/\/\?/,
        );
      });

      it('speaks over a WebSocket, whatever the path and its query', async () => {
        const url = `ws://127.0.0.1:${server().webSocketPort}/mqtt?clientId=not-this-one`;
        await flows.load([brokerNode(url, { clientId: 'this-one' }), ingestNode()]);
        await flows.shows('ingest', 'ok');
        const client = await flows.client(server().url);
        await client.publish('device/7', '1');
        await flows.arrived('out');
        assert.match(server().output(), /as this-one/);
        assert.doesNotMatch(server().output(), /not-this-one/);
      });
    },
  );

  describeWithServer('to HiveMQ CE', startHiveMq, (server) => {
    it('speaks over a WebSocket with a path', async () => {
      const { webSocketUrl, url } = server();
      if (webSocketUrl === undefined) return; // the environment names a broker, and not its WebSocket
      await flows.load([brokerNode(webSocketUrl), ingestNode()]);
      await flows.shows('ingest', 'ok');
      const client = await flows.client(url);
      await client.publish('device/7', '1');
      await flows.arrived('out');
    });
  });

  describeWithServer('to a stand-in', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    for (const [reasonCode, sentence] of [
      [
        0x86,
        /^the broker refuses the user or password \(.*Bad User Name or Password\): check both, and what the user may do/,
      ],
      [0x87, /^the broker refuses the user or password \(.*Not authorized\): check both/],
      [0x85, /^the broker refuses the client id \(.*Client Identifier not valid\): choose another one/],
      [0x8a, /^the broker has banned this client \(.*Banned\): ask whoever runs it/],
      [0x9d, /^the broker asks for another server \(.*Server moved\): change the URL/],
      [0x89, /^the broker refuses the connection \(.*Server busy\); trying again/],
    ] as const) {
      it(`says what CONNACK 0x${reasonCode.toString(16)} means`, async () => {
        server().answer('connect', (_packet, client) =>
          client.send({ cmd: 'connack', reasonCode, sessionPresent: false }),
        );
        assert.match(await fails(server().url), sentence);
      });
    }

    it('says which version is refused, where that is set', async () => {
      server().answer('connect', (_packet, client) =>
        client.send({ cmd: 'connack', reasonCode: 0x84, returnCode: 1, sessionPresent: false }),
      );
      for (const [protocol, version] of [
        ['5', '5'],
        ['3.1.1', '3.1.1'],
        ['auto', '3.1.1'],
      ]) {
        const text = await fails(server().url, { protocol });
        assert.match(text, new RegExp(`^the broker refuses MQTT ${version}: choose another protocol`));
        await flows.unload();
      }
    });
  });
});
