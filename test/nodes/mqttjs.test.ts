/** What nodes/sluice-mqtt-broker/mqttjs.ts relies on in mqtt.js, without that module: a new version may change it. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import mqtt, { type IPublishPacket, type MqttClient, type Packet } from 'mqtt';
import { onEveryBroker } from '../servers/mqtt-brokers.js';
import { startScriptedMqtt } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';

const VERSIONS = { '5': 5, '3.1.1': 4 } as const;

describe('mqtt.js', () => {
  const clients: MqttClient[] = [];
  afterEach(async () => {
    await Promise.all(clients.map((client) => client.endAsync(true)));
    clients.length = 0;
  });

  async function connect(url: string, protocolVersion: 4 | 5, options: mqtt.IClientOptions = {}): Promise<MqttClient> {
    const client = mqtt.connect(url, { protocolVersion, reconnectPeriod: 0, ...options });
    clients.push(client);
    await once(client as never, 'connect');
    return client;
  }

  onEveryBroker((server, { version }) => {
    for (const [name, protocolVersion] of Object.entries(VERSIONS)) {
      if (protocolVersion > version) continue;
      for (const qos of [1, 2] as const) {
        it(`hands over a packet in three steps, and honours the QoS that the first sets (MQTT ${name}, QoS ${qos})`, async () => {
          const clientId = `contract-${randomUUID()}`;
          const options = { clientId, clean: false, properties: { sessionExpiryInterval: 60 } };
          const client = await connect(
            server().url,
            protocolVersion,
            protocolVersion === 5 ? options : { clientId, clean: false },
          );
          const steps: [string, Packet][] = [];
          const sent: string[] = [];
          client.on('packetsend', ({ cmd }) => sent.push(cmd));
          client.on('packetreceive', (packet) => {
            if (packet.cmd !== 'publish') return;
            steps.push([`packetreceive at ${packet.qos}`, packet]);
            packet.qos = 0;
          });
          client.on('message', (_topic, _payload, packet) => steps.push([`message at ${packet.qos}`, packet]));
          const handled = new EventEmitter();
          client.handleMessage = (packet, done) => {
            steps.push(['handleMessage', packet]);
            done();
            handled.emit('message');
          };
          await client.subscribeAsync(clientId, { qos });
          const taken = once(handled, 'message');
          const publisher = await connect(server().url, protocolVersion);
          await publisher.publishAsync(clientId, '1', { qos });
          await taken;
          assert.deepEqual(
            steps.map(([step]) => step),
            [`packetreceive at ${qos}`, 'message at 0', 'handleMessage'],
          );
          assert.equal(new Set(steps.map(([, packet]) => packet)).size, 1);
          // Nothing was acknowledged, so the broker gives it again.
          await client.endAsync();
          assert.deepEqual(sent, ['subscribe', 'disconnect']);
          const again = mqtt.connect(server().url, {
            protocolVersion,
            reconnectPeriod: 0,
            ...(protocolVersion === 5 ? options : { clientId, clean: false }),
          });
          clients.push(again);
          const [, payload] = (await once(again as never, 'message')) as [string, Buffer];
          assert.equal(payload.toString(), '1');
        });
      }
    }
  });

  describeWithServer('to a stand-in', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    for (const [name, protocolVersion] of Object.entries(VERSIONS)) {
      it(`answers PUBREL for an id that it does not know with PUBCOMP (MQTT ${name})`, async () => {
        await connect(server().url, protocolVersion);
        for (const client of server().clients()) client.send({ cmd: 'pubrel', messageId: 99 });
        const [pubcomp] = await server().arrived('pubcomp');
        assert.equal(pubcomp?.messageId, 99);
        assert.ok([undefined, 0].includes(pubcomp.reasonCode));
      });

      it(`reads nothing more until handleMessage is done, and can be kept from timing out (MQTT ${name})`, async () => {
        const client = await connect(server().url, protocolVersion, { keepalive: 1 });
        const events = new EventEmitter();
        const got: IPublishPacket[] = [];
        let next: (() => void) | undefined;
        client.handleMessage = (packet, done) => {
          got.push(packet);
          next = done;
          events.emit('message');
        };
        let answers = 0;
        client.on('packetreceive', ({ cmd }) => {
          if (cmd === 'pingresp') answers++;
        });
        const first = once(events, 'message');
        const [broker] = server().clients();
        for (const payload of ['1', '2']) broker?.send({ cmd: 'publish', topic: 'a', payload, qos: 0 });
        await first;
        const timedOut = Promise.withResolvers<void>();
        let times = 0;
        client.onKeepaliveTimeout = () => {
          client.keepaliveManager.reschedule();
          client.sendPing();
          if (++times === 2) timedOut.resolve();
        };
        await timedOut.promise;
        assert.deepEqual([got.length, answers, client.connected], [1, 0, true]);
        const second = once(events, 'message');
        next?.();
        await second;
        next?.();
        // The answers to the pings of the meantime are read now.
        if (answers === 0) await once(client as never, 'packetreceive');
        assert.equal(got[1]?.payload.toString(), '2');
      });

      it(`writes to the stream that it shows (MQTT ${name})`, async () => {
        const client = await connect(server().url, protocolVersion);
        client.stream.write(Buffer.from([0x40, 2, 0, 7, 0x50, 2, 0, 8]));
        const [[puback], [pubrec]] = await Promise.all([server().arrived('puback'), server().arrived('pubrec')]);
        assert.deepEqual([puback?.messageId, pubrec?.messageId], [7, 8]);
      });
    }
  });
});
