import assert from 'node:assert/strict';
import { Counters } from '../../nodes/lib/counters.js';
import { compileSettings } from '../../nodes/lib/settings.js';
import { MqttBroker } from '../../nodes/sluice-mqtt-broker/broker.js';
import { config, type Config } from '../../nodes/sluice-mqtt-broker/config.js';
import { EmbeddedBroker } from '../../runtime/embedded/broker.js';
import { brokerNode, ingestNode, publishNode, simulatorNode, useMqttFlows } from '../mqtt.js';
import { startMosquitto, startOwnMosquitto } from '../servers/mosquitto.js';
import { onEveryBroker } from '../servers/mqtt-brokers.js';
import { startScriptedMqtt, type PacketOf, type ScriptedClient } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';
import { startTcpGate } from '../tcp-gate.js';

const SECRET = 'p@ss:w/rd% ü';

const DEFAULTS = compileSettings<Config>(config).resolve({ url: 'mqtt://127.0.0.1:1' }, () => undefined);

describe('sluice-mqtt-broker', () => {
  const flows = useMqttFlows();

  describeWithServer('to a stand-in that shows each packet', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    it('asks for the sum of the windows of its ingests, over one connection for all', async () => {
      await flows.load([
        brokerNode(server().url),
        ingestNode({ maxInFlight: 7 }),
        ingestNode({ id: 'other', maxInFlight: 13, topics: ['other'] }),
      ]);
      await Promise.all([flows.shows('ingest', 'ok'), flows.shows('other', 'ok')]);
      assert.deepEqual(
        server()
          .all('connect')
          .map(({ properties }) => properties?.receiveMaximum),
        [20],
      );
      const subscribed = server()
        .all('subscribe')
        .flatMap(({ subscriptions }) => subscriptions.map(({ topic }) => topic));
      assert.deepEqual(subscribed, ['device/#', 'other']);
    });

    it('asks for no more than the protocol can carry', async () => {
      await flows.load([
        brokerNode(server().url),
        ingestNode({ maxInFlight: 60_000 }),
        ingestNode({ id: 'other', maxInFlight: 60_000 }),
      ]);
      const [connect] = await server().arrived('connect');
      assert.equal(connect?.properties?.receiveMaximum, 65_535);
    });

    it('has a client id that stays the same: of the instance and the node, or the one that is set', async () => {
      const { name } = flows.instance();
      for (const [clientId, expected] of [
        ['', `sluice-${name}-broker`],
        ['', `sluice-${name}-broker`],
        ['gateway-7', 'gateway-7'],
      ]) {
        server().reset();
        await flows.load([brokerNode(server().url, { clientId }), ingestNode(), simulatorNode({ limit: 1 })]);
        const connects = await server().arrived('connect', 2);
        assert.deepEqual(connects.map((connect) => connect.clientId).sort(), [expected, `${String(expected)}-out`]);
        await flows.unload();
      }
    });

    it('keeps its session for as long as is set, or begins a new one', async () => {
      for (const [settings, expected] of [
        [{}, [false, 604_800]],
        [{ sessionExpiry: 60, keepalive: 5 }, [false, 60]],
        [{ cleanStart: true, sessionExpiry: 60 }, [true, 0]],
      ] as const) {
        server().reset();
        await flows.load([brokerNode(server().url, settings), ingestNode()]);
        const [connect] = await server().arrived('connect');
        assert.deepEqual([connect?.clean, connect?.properties?.sessionExpiryInterval], expected);
        await flows.unload();
      }
    });

    it('takes user and password out of the URL, and those of the node first', async () => {
      for (const [login, credentials, expected] of [
        ['', {}, [undefined, undefined]],
        [`us%3Aer:${encodeURIComponent(SECRET)}@`, {}, ['us:er', SECRET]],
        ['only-a-user@', {}, ['only-a-user', undefined]],
        ['of-the-url:secret@', { user: 'of-the-node', password: SECRET }, ['of-the-node', SECRET]],
        ['of-the-url:wrong@', { password: SECRET }, ['of-the-url', SECRET]],
      ] as const) {
        server().reset();
        process.env['SLUICE_TEST_MQTT_URL'] = server().url.replace('//', `//${login}`);
        try {
          await flows.load([brokerNode('${SLUICE_TEST_MQTT_URL}'), ingestNode()], { broker: credentials });
        } finally {
          delete process.env['SLUICE_TEST_MQTT_URL'];
        }
        const [connect] = await server().arrived('connect');
        assert.deepEqual([connect?.username, connect?.password?.toString()], expected);
        await flows.unload();
      }
    });

    it('connects for nobody', async () => {
      await flows.load([
        brokerNode(server().url),
        brokerNode(server().url, { id: 'used' }),
        ingestNode({ broker: 'used' }),
      ]);
      await flows.shows('ingest', 'ok');
      assert.equal(server().all('connect').length, 1);
    });

    it('lets devices begin when every ingest has its subscription', async () => {
      const held: (() => void)[] = [];
      server().answer('subscribe', ({ messageId, subscriptions }, client) => {
        const answer = (): void => client.send({ cmd: 'suback', messageId, granted: [1] });
        if (subscriptions[0]?.topic === 'slow/#') held.push(answer);
        else answer();
      });
      await flows.load([
        brokerNode(server().url),
        ingestNode(),
        ingestNode({ id: 'slow', topics: ['slow/#'] }),
        simulatorNode({ rate: 50, devices: 1 }),
        simulatorNode({ id: 'by-hand', autoStart: false, rate: 50, devices: 1, topic: 'by-hand' }),
      ]);
      await flows.shows('ingest', 'ok');
      await flows.shows('slow', 'busy', /^subscribing$/);
      await flows.shows('simulator', 'busy', /^waiting for the ingests to subscribe$/);
      flows.send('by-hand', { payload: 'start' });
      // The time in which another device sends this many is enough for the first to begin too early.
      await server().arrived('publish', 5);
      const early = server().all('publish');
      for (const answer of held) answer();
      await flows.shows('simulator', 'ok');
      await server().arrived('publish', 1, ({ topic }) => topic !== 'by-hand');
      assert.deepEqual(new Set(early.map(({ topic }) => topic)), new Set(['by-hand']));
    });

    it('ends its client when the nodes that use it are done', async () => {
      const unanswered: [PacketOf<'publish'>, ScriptedClient][] = [];
      server().answer('publish', (packet, client) => void unanswered.push([packet, client]));
      await flows.load([brokerNode(server().url), simulatorNode({ limit: 3, devices: 1, rate: 1_000 })]);
      await server().arrived('publish', 3);
      const unloaded = flows.unload();
      const [first, ...others] = unanswered.map(([{ messageId }, client]) => {
        return () => client.send({ cmd: 'puback', messageId });
      });
      for (const answer of others) answer();
      // By the time that another has come it has had its chance to go.
      await flows.client(server().url);
      assert.equal(server().all('disconnect').length, 0);
      first?.();
      await unloaded;
      assert.equal(server().all('disconnect').length, 1);
    });

    it('leaves no connection behind, even where the broker does not answer', async () => {
      server().answer('subscribe', () => undefined);
      await flows.load([brokerNode(server().url), ingestNode()]);
      await server().arrived('subscribe');
      await flows.unload();
      await server().deserted();
    });

    it('does not acknowledge what arrives while it ends: that comes again', async () => {
      const held: (() => void)[] = [];
      server().answer('subscribe', ({ messageId, subscriptions }, client) => {
        const answer = (): void => client.send({ cmd: 'suback', messageId, granted: [1] });
        if (subscriptions[0]?.topic === 'slow/#') held.push(answer);
        else answer();
      });
      await flows.load([brokerNode(server().url), ingestNode(), ingestNode({ id: 'slow', topics: ['slow/#'] })]);
      await Promise.all([flows.shows('ingest', 'ok'), server().arrived('subscribe', 2)]);
      const [client] = server().clients();
      const publish = (messageId: number): void =>
        client?.send({ cmd: 'publish', topic: 'device/7', payload: '1', qos: 1, messageId });
      publish(1);
      await server().arrived('puback');
      // The client waits for the answer to its SUBSCRIBE before it goes.
      const unloaded = flows.unload();
      publish(2);
      for (const answer of held) answer();
      await unloaded;
      await server().deserted();
      const acknowledged = server().all('puback');
      assert.deepEqual(
        acknowledged.map(({ messageId }) => messageId),
        [1],
      );
    });

    describe('when a deploy takes an ingest away', () => {
      const publish = (messageId: number): void => {
        for (const client of server().clients()) {
          if (client.connect.clientId === 'deployed') {
            client.send({ cmd: 'publish', topic: 'device/7', payload: String(messageId), qos: 1, messageId });
          }
        }
      };
      const other = ingestNode({ id: 'other', topics: ['other/#'] });

      it('unsubscribes for one that is gone, acknowledges what still comes, and counts it', async () => {
        const broker = brokerNode(server().url, { clientId: 'deployed' });
        await flows.load([broker, ingestNode(), other]);
        await Promise.all([flows.shows('ingest', 'ok'), flows.shows('other', 'ok')]);
        await flows.redeploy([broker, other]);
        const [packet] = await server().arrived('unsubscribe');
        assert.deepEqual(packet?.unsubscriptions, ['device/#']);
        publish(1);
        await server().arrived('puback');
        assert.deepEqual(flows.counters('broker'), { dropped: 1, 'dropped{no-subscriber}': 1 });
        assert.equal(server().all('disconnect').length, 0);
      });

      it('unsubscribes and disconnects where it was the last', async () => {
        const broker = brokerNode(server().url, { clientId: 'deployed' });
        await flows.load([broker, ingestNode()]);
        await flows.shows('ingest', 'ok');
        await flows.redeploy([broker]);
        await server().arrived('unsubscribe');
        await server().arrived('disconnect');
        await server().deserted();
      });

      it('keeps what comes for one whose settings are wrong now, until they are right', async () => {
        const broker = brokerNode(server().url, { clientId: 'deployed' });
        await flows.load([broker, ingestNode(), other]);
        await Promise.all([flows.shows('ingest', 'ok'), flows.shows('other', 'ok')]);
        await flows.redeploy([broker, ingestNode({ identity: '{payload' }), other]);
        publish(1);
        for (const client of server().clients()) client.send({ cmd: 'pubrel', messageId: 99 });
        await server().arrived('pubcomp'); // by then an acknowledgement, and an UNSUBSCRIBE, would have come too
        assert.deepEqual([server().all('puback').length, server().all('unsubscribe').length], [0, 0]);
        await flows.redeploy([broker, ingestNode(), other]);
        const [message] = await flows.arrived('out');
        assert.equal(message?.payload, 1);
        await server().arrived('puback');
        assert.deepEqual(flows.counters('broker'), {});
      });
    });

    it('stops for good when its session is taken over (0x8E), and says so', async () => {
      const id = 'wanted-by-two';
      await flows.load([
        brokerNode(server().url, { clientId: id }),
        ingestNode(),
        brokerNode(server().url, { id: 'control', clientId: 'left-alone' }),
        ingestNode({ id: 'control-ingest', broker: 'control' }),
      ]);
      await Promise.all([flows.shows('ingest', 'ok'), flows.shows('control-ingest', 'ok')]);
      for (const client of server().clients()) {
        client.send({ cmd: 'disconnect', reasonCode: client.connect.clientId === id ? 0x8e : 0x8b });
        client.hangUp();
      }
      const text = await flows.shows('ingest', 'error');
      assert.equal(
        text,
        `another client took over the session of client id "${id}"; give each its own client id and deploy again`,
      );
      // The other one, which lost its connection for another reason, shows by when a reconnect would have come: twice.
      for (const _time of [1, 2]) {
        await flows.shows('control-ingest', 'error', /reason 0x8b|was lost/);
        await flows.shows('control-ingest', 'ok');
        for (const client of server().clients()) client.hangUp();
      }
      const ids = server()
        .all('connect')
        .map(({ clientId }) => clientId);
      assert.deepEqual(ids.sort(), ['left-alone', 'left-alone', 'left-alone', id]);
      assert.equal(flows.logged().filter((sentence) => /session was taken over/.test(sentence)).length, 1);
      assert.equal((await flows.shows('ingest', 'error')) === text, true);
    });

    it('says with what reason the broker ended the connection', async () => {
      await flows.load([brokerNode(server().url), ingestNode()]);
      await flows.shows('ingest', 'ok');
      for (const client of server().clients()) {
        client.send({ cmd: 'disconnect', reasonCode: 0x8b });
        client.end();
      }
      assert.match(
        await flows.shows('ingest', 'error'),
        /^the broker ended the connection with reason 0x8b; trying again in 1 s \(mqtt:/,
      );
    });

    it('shows nothing of a URL that is wrong but may hold a password', async () => {
      for (const url of [
        'mqtt://user:secret@',
        'mqtt://user:sec#ret@broker',
        'mqtt://user:20/secret@broker',
        'mqtt://user:secret%zz@broker',
        'http://user:secret@broker',
        'user:secret@broker',
      ]) {
        await flows.load([brokerNode(url), ingestNode()]);
        const logged = flows.logged().filter((text) => /^(sluice-mqtt-broker|mqtt-ingest) /.test(text));
        assert.match(logged[0] ?? '', /\/url: expected /, url);
        assert.match(logged[1] ?? '', /\/broker: expected a node of type sluice-mqtt-broker, got one whose own/, url);
        assert.doesNotMatch(logged.join('\n'), /sec|ret/, url);
        await flows.unload();
      }
    });
  });

  describeWithServer(
    'to mosquitto',
    () => startOwnMosquitto({ lines: ['log_type all'] }),
    (server) => {
      it('speaks MQTT 5, or 3.1.1 where that is set', async () => {
        for (const [protocol, text] of [
          ['auto', 'connected (MQTT 5)'],
          ['5', 'connected (MQTT 5)'],
          ['3.1.1', 'connected (MQTT 3.1.1: the broker decides the window)'],
        ]) {
          await flows.load([brokerNode(server().url, { protocol }), ingestNode()]);
          assert.equal(await flows.shows('broker', 'ok'), text);
          await flows.shows('ingest', 'ok');
          const client = await flows.client(server().url);
          await client.publish('device/7', '1');
          await flows.arrived('out');
          await flows.unload();
        }
      });

      it('takes each message once or leaves it to its session, whenever it is closed and made again', async () => {
        const client = await flows.client(server().url);
        const context = {
          id: 'restless',
          instance: 'test',
          config: { ...DEFAULTS, url: server().url },
          credentials: {},
          counters: new Counters(),
          status: () => undefined,
          log: () => undefined,
        };
        const last = 2_000;
        let publishing: Promise<unknown> | undefined;
        const got: number[] = [];
        for (const until of [300, 900, 1_500, last]) {
          const broker = new MqttBroker(context);
          const { promise: enough, resolve } = Promise.withResolvers<void>();
          const { promise: granted, resolve: grant } = Promise.withResolvers<void>();
          const subscription = broker.subscribe({
            filters: ['restless'],
            qos: 1,
            window: 100,
            receive: ({ payload }, answer) => {
              got.push(Number(payload));
              answer();
              if (Number(payload) === until) resolve();
            },
            onState: ({ level }) => {
              if (level === 'ok') grant();
            },
          });
          broker.start();
          await granted;
          publishing ??= Promise.all(
            Array.from({ length: last }, (_value, index) => client.publish('restless', String(index + 1))),
          );
          await enough;
          await subscription.stop();
          await broker.close();
        }
        await publishing;
        assert.equal(new Set(got).size, last);
        assert.equal(context.counters.total('dropped'), 0);
      });

      it('says what may be the matter when a client with the same id throws it out time and again', async () => {
        // Version 2.0 of mosquitto sends no DISCONNECT 0x8E.
        await flows.load([brokerNode(server().url, { clientId: 'wanted' }), ingestNode()]);
        await flows.shows('ingest', 'ok');
        await flows.client(server().url, { clientId: 'wanted', clean: false, reconnectPeriod: 1 });
        assert.match(
          await flows.shows('ingest', 'error', /2 times/),
          /^the connection was lost, 2 times soon after it was made: is there another client with the id "wanted"\?; trying/,
        );
      });
    },
  );

  describeWithServer(
    'to the embedded broker',
    () => EmbeddedBroker.start(0),
    (server) => {
      it('falls back to MQTT 3.1.1', async () => {
        await flows.load([brokerNode(server().url), ingestNode(), simulatorNode({ limit: 2, devices: 1, rate: 100 })]);
        assert.match(await flows.shows('broker', 'ok'), /^connected \(MQTT 3\.1\.1/);
        assert.equal((await flows.arrived('out', 2)).length, 2);
      });

      it('says so where MQTT 5 is set, and goes on trying', async () => {
        await flows.load([brokerNode(server().url, { protocol: '5' }), ingestNode()]);
        assert.match(
          await flows.shows('ingest', 'error'),
          /^the broker refuses MQTT 5: choose another protocol; trying again in 1 s \(/,
        );
      });
    },
  );

  describeWithServer(
    'to a mosquitto that asks for a password',
    () => startOwnMosquitto({ users: { gateway: SECRET } }),
    (server) => {
      it('logs in, and with a wrong password says so without it', async () => {
        for (const protocol of ['auto', '3.1.1']) {
          await flows.load([brokerNode(server().url, { protocol }), ingestNode()], {
            broker: { user: 'gateway', password: 'wrong-secret' },
          });
          assert.match(
            await flows.shows('ingest', 'error'),
            /^the broker refuses the user or password \(Connection refused: Not authorized\): check both, .*; trying again in 1 s/,
          );
          assert.doesNotMatch(JSON.stringify([flows.logged(), flows.instance().report()]), /wrong-secret/);
          await flows.unload();
          await flows.load([brokerNode(server().url, { protocol }), ingestNode()], {
            broker: { user: 'gateway', password: SECRET },
          });
          await flows.shows('ingest', 'ok');
          await flows.unload();
        }
      });

      it('logs in with what the URL says, and shows it nowhere', async () => {
        const url = server().url.replace('//', `//gateway:${encodeURIComponent(SECRET)}@`);
        await flows.load([brokerNode(url), ingestNode(), simulatorNode({ limit: 1 })]);
        await flows.arrived('out');
        const shown = (): string => JSON.stringify([flows.logged(), flows.instance().report()]);
        assert.doesNotMatch(shown(), /gateway|p@ss|p%40ss/);
        await server().kill();
        assert.match(await flows.shows('ingest', 'error'), /\(mqtt:\/\/127/);
        assert.doesNotMatch(shown(), /gateway|p@ss|p%40ss/);
        await server().restart();
      });
    },
  );

  onEveryBroker((server, { version }) => {
    it('keeps its session: what is published while the flow is away arrives after it is back', async () => {
      const flow = [brokerNode(server().url, { clientId: 'kept' }), ingestNode()];
      await flows.load(flow);
      await flows.shows('ingest', 'ok');
      const client = await flows.client(server().url, { protocolVersion: version });
      await client.publish('device/7', '1');
      await flows.arrived('out');
      await flows.unload();
      for (const payload of ['2', '3']) await client.publish('device/7', payload);
      await flows.load(flow);
      const messages = await flows.arrived('out', 2);
      assert.deepEqual(
        messages.map(({ payload }) => payload),
        [2, 3],
      );
    });

    it('begins a new session with clean start: what is published while the flow is away is gone', async () => {
      const flow = [brokerNode(server().url, { clientId: 'clean', cleanStart: true }), ingestNode()];
      await flows.load(flow);
      await flows.shows('ingest', 'ok');
      await flows.unload();
      const client = await flows.client(server().url, { protocolVersion: version });
      await client.publish('device/7', '1');
      await flows.load(flow);
      await flows.shows('ingest', 'ok');
      await client.publish('device/7', '2');
      const [message] = await flows.arrived('out');
      assert.equal(message?.payload, 2);
    });
  });

  describe('with a last will', () => {
    const will = { topic: 'status/gateway', payload: 'gone', qos: 1, retain: true, delay: 0 };

    onEveryBroker((server, { version }) => {
      it('leaves it when the connection that publishes is lost, once, also where no node publishes', async () => {
        const watcher = await flows.client(server().url, { protocolVersion: version });
        await watcher.subscribe('status/#');
        const gate = await startTcpGate(Number(new URL(server().url).port));
        try {
          await flows.load([brokerNode(`mqtt://127.0.0.1:${gate.port}`, { will }), ingestNode()]);
          await flows.shows('ingest', 'ok');
          await flows.shows('broker', 'ok');
          await gate.shut();
          await flows.shows('ingest', 'error');
          await watcher.received();
          await watcher.publish('status/end', '');
          const packets = await watcher.received(2);
          assert.deepEqual(
            packets.map(({ topic, payload }) => [topic, payload.toString()]),
            [
              ['status/gateway', 'gone'],
              ['status/end', ''],
            ],
          );
          const later = await flows.client(server().url, { protocolVersion: version });
          await later.subscribe('status/gateway');
          assert.equal((await later.received())[0]?.retain, true);
        } finally {
          await gate.stop();
          await watcher.publish('status/gateway', '', { retain: true });
        }
      });

      it('leaves none when it is ended in order', async () => {
        const watcher = await flows.client(server().url, { protocolVersion: version });
        await watcher.subscribe('status/#');
        await flows.load([brokerNode(server().url, { will }), ingestNode(), publishNode()]);
        await Promise.all([flows.shows('ingest', 'ok'), flows.shows('publish', 'ok')]);
        await flows.unload();
        await watcher.publish('status/end', '');
        assert.equal((await watcher.received())[0]?.topic, 'status/end');
      });
    });

    describeWithServer('to a stand-in', startScriptedMqtt, (server) => {
      beforeEach(() => server().reset());

      it('sends it with one connection only, with its delay', async () => {
        await flows.load([
          brokerNode(server().url, { will: { ...will, payload: '', qos: 2, retain: false, delay: 30 } }),
          ingestNode(),
          publishNode(),
        ]);
        const connects = await server().arrived('connect', 2);
        const wills = connects.flatMap((packet) => (packet.will === undefined ? [] : [packet]));
        assert.equal(wills.length, 1);
        assert.match(wills[0]?.clientId ?? '', /-out$/);
        const { topic, payload, qos, retain, properties } = wills[0]?.will ?? assert.fail();
        assert.deepEqual([topic, payload.toString(), qos, retain], ['status/gateway', '', 2, false]);
        assert.equal(properties?.willDelayInterval, 30);
      });

      it('refuses a topic that is a filter, or no whole delay', async () => {
        for (const [wrong, sentence] of [
          [{ ...will, topic: 'status/#' }, /\/will\/topic: expected a topic without wildcards/],
          [{ ...will, delay: -1 }, /\/will\/delay: expected a number >= 0/],
          [{ ...will, qos: 3 }, /\/will\/qos: expected one of 0, 1, 2/],
        ] as const) {
          await flows.load([brokerNode(server().url, { will: wrong })]);
          const errors = flows.logged().filter((text) => text.startsWith('sluice-mqtt-broker "'));
          assert.match(errors.join('\n'), sentence);
          await flows.unload();
        }
      });
    });
  });

  describeWithServer('to a stand-in that sends topic aliases', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    it('asks for some only where that is set, and gives each message its topic, at every QoS', async () => {
      for (const [settings, expected] of [
        [{}, undefined],
        [{ topicAliases: true }, 256],
        [{ topicAliases: true, protocol: '3.1.1' }, undefined],
      ] as const) {
        await flows.unload();
        server().reset();
        await flows.load([brokerNode(server().url, settings), ingestNode()]);
        const [connect] = await server().arrived('connect');
        assert.equal(connect?.properties?.topicAliasMaximum, expected);
      }
      await flows.unload();
      server().reset();
      server().answer('pubrec', ({ messageId }, client) => client.send({ cmd: 'pubrel', messageId }));
      await flows.load([brokerNode(server().url, { topicAliases: true }), ingestNode({ qos: 2 })]);
      await flows.shows('ingest', 'ok');
      const [client] = server().clients();
      const sent: [topic: string, alias: number, qos: 0 | 1 | 2][] = [
        ['device/a', 1, 2],
        ['', 1, 2],
        ['', 1, 1],
        ['', 1, 0],
        ['device/b', 1, 1],
        ['', 1, 2],
        ['device/__proto__', 2, 2],
        ['', 2, 2],
      ];
      for (const [index, [topic, topicAlias, qos]] of sent.entries()) {
        const id = qos === 0 ? {} : { messageId: index + 1 };
        client?.send({ cmd: 'publish', topic, payload: String(index), qos, ...id, properties: { topicAlias } });
      }
      const messages = (await flows.arrived('out', sent.length)).map(({ payload, topic }) => [payload, topic]);
      const letters = ['a', 'a', 'a', 'a', 'b', 'b', '__proto__', '__proto__'];
      assert.deepEqual(
        messages.sort(([one], [other]) => Number(one) - Number(other)),
        letters.map((letter, index) => [index, `device/${letter}`]),
      );
    });

    it('takes none that stands for nothing, also one of the connection before', async () => {
      await flows.load([brokerNode(server().url, { topicAliases: true }), ingestNode()]);
      await flows.shows('ingest', 'ok');
      const publish = (topic: string, topicAlias: number): void => {
        const packet = { cmd: 'publish', topic, payload: '1', qos: 1, messageId: 1, properties: { topicAlias } };
        for (const client of server().clients()) client.send(packet);
      };
      publish('device/a', 1);
      await flows.arrived('out');
      for (const client of server().clients()) client.hangUp();
      await flows.shows('ingest', 'error');
      await flows.shows('ingest', 'ok');
      publish('', 1);
      assert.match(await flows.shows('ingest', 'error'), /^Received unregistered Topic Alias/);
      assert.equal((await flows.arrived('out')).length, 1);
    });
  });

  describeWithServer('with several nodes', startMosquitto, (server) => {
    it('loses nothing that a simulator publishes while the ingest beside it is deployed again', async () => {
      const devices = simulatorNode({ devices: 1, rate: 500, seq: true, limit: 600 });
      const flow = (name: string) => [
        brokerNode(server().url, { clientId: 'redeployed' }),
        devices,
        ingestNode({ name }),
      ];
      await flows.load(flow('before'));
      await flows.arrived('out', 100);
      await flows.redeploy(flow('after'));
      const seqs = (await flows.arrived('out', 600)).map(({ payload }) => (payload as { seq: number }).seq);
      assert.equal(new Set(seqs).size, 600);
      assert.equal(flows.counters('broker')['dropped'], undefined);
    });

    it('drains: all that the devices have sent has come in, and nothing comes in any more', async () => {
      await flows.load([
        brokerNode(server().url, { clientId: 'drained' }),
        simulatorNode({ devices: 1, rate: 200, seq: true }),
        ingestNode(),
      ]);
      await flows.arrived('out', 20);
      const drained = flows.instance();
      await drained.drain(20_000);
      const sent = flows.counters('simulator')['sent'] ?? 0;
      assert.deepEqual(flows.counters('ingest'), { received: sent });
      const seqs = (await flows.arrived('out', sent)).map(({ payload }) => (payload as { seq: number }).seq);
      assert.deepEqual(
        seqs,
        Array.from({ length: sent }, (_value, index) => index + 1),
      );
      assert.match(await flows.shows('ingest', 'off'), /^stopped, \d+ received$/);
      const other = await flows.client(server().url);
      await other.publish('device/7', '"late"');
      assert.equal(flows.counters('ingest')['received'], sent);
      assert.equal(
        drained.report().nodes.every(({ open }) => open === 0),
        true,
      );
      await flows.unload();
      await flows.load([brokerNode(server().url, { clientId: 'drained' }), ingestNode()]);
      assert.equal((await flows.arrived('out'))[0]?.payload, 'late', 'it waited in the session');
    });
  });
});
