import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type IConnackPacket } from 'mqtt';
import { EmbeddedBroker } from '../runtime/embedded/broker.js';
import { probeSharedSubscriptions } from '../runtime/fleet/share-probe.js';
import { startMqttWire } from './mqtt-wire.js';
import { freePort } from './servers/server.js';
import { startOwnMosquitto } from './servers/mosquitto.js';
import { onEveryBrokerWithMqtt5 } from './servers/mqtt-brokers.js';
import { startScriptedMqtt } from './servers/scripted-mqtt.js';
import { describeWithServer } from './servers/server.js';

const USE = /: use mosquitto \(1\.6 or newer\), HiveMQ CE, EMQX, VerneMQ or NanoMQ$/;

describe('whether a broker shares', () => {
  onEveryBrokerWithMqtt5((server) => {
    it('is found out by messages: it does; no session is left', async () => {
      const wire = await startMqttWire(server().url, 5);
      await probeSharedSubscriptions(wire.url);
      const ids = wire.all('client', 'connect').map(({ packet }) => packet.clientId);
      await wire.stop();
      assert.equal(ids.length, 2);
      for (const clientId of ids) {
        const asking = connect(server().url, { protocolVersion: 5, clientId, clean: false, reconnectPeriod: 0 });
        const [connack] = (await once(asking as never, 'connect')) as [IConnackPacket];
        assert.equal(connack.sessionPresent, false);
        await asking.endAsync();
      }
    });
  });

  describeWithServer(
    'mosquitto with users',
    () => startOwnMosquitto({ users: { fleet: 'p@ss' } }),
    (server) => {
      it('is asked with the login of the URL, which no sentence shows', async () => {
        const { port } = server();
        await probeSharedSubscriptions(`mqtt://fleet:p%40ss@127.0.0.1:${port}`);
        await assert.rejects(probeSharedSubscriptions(`mqtt://fleet:wrong@127.0.0.1:${port}`), ({ message }: Error) => {
          assert.match(
            message,
            new RegExp(`^expected an MQTT broker at mqtt://127\\.0\\.0\\.1:${port}/?, got: .*[Nn]ot authorized`),
          );
          assert.doesNotMatch(message, /wrong/);
          return true;
        });
      });
    },
  );

  describeWithServer(
    'the embedded broker',
    () => EmbeddedBroker.start(0),
    (server) => {
      it('grants them and delivers nothing, and is refused with what to use', async () => {
        await assert.rejects(probeSharedSubscriptions(server().url), ({ name, message }: Error) => {
          assert.equal(name, 'UserError');
          assert.match(
            message,
            /^expected a broker with shared subscriptions at mqtt:.*, got one that grants them and delivers nothing: use /,
          );
          assert.match(message, USE);
          return true;
        });
      });
    },
  );

  describeWithServer('a stand-in', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    it('that refuses them, or gives to every member, is told so', async () => {
      server().answer('publish', ({ qos, messageId, topic, payload }, client) => {
        if (qos > 0) client.send({ cmd: 'puback', messageId });
        for (const member of server().clients()) member.send({ cmd: 'publish', topic, payload, qos: 0 });
      });
      await assert.rejects(
        probeSharedSubscriptions(server().url),
        /got one that gives a message to more than one member: use /,
      );
      server().answer('subscribe', ({ messageId }, client) =>
        client.send({ cmd: 'suback', messageId, granted: [0x9e, 1] }),
      );
      await assert.rejects(probeSharedSubscriptions(server().url), /got one that refuses them \(.*\): use /);
    });

    it('that says nothing is given up', async () => {
      server().answer('connect', () => undefined);
      await assert.rejects(
        probeSharedSubscriptions(server().url, { timeoutMs: 100 }),
        /^UserError: expected an answer of the broker at mqtt:.* within 100 ms, got none$/,
      );
      await server().deserted();
    });
  });

  it('cannot be asked where none is', async () => {
    await assert.rejects(
      probeSharedSubscriptions(`mqtt://127.0.0.1:${await freePort()}`),
      /^UserError: expected an MQTT broker at mqtt:.*, got: .*ECONNREFUSED/,
    );
  });
});
