import assert from 'node:assert/strict';
import type { IPublishPacket } from 'mqtt';
import type { Message } from '../../nodes/lib/message.js';
import { brokerNode, publishNode, simulatorNode, useMqttFlows } from '../mqtt.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { onEveryBroker, onEveryBrokerWithMqtt5 } from '../servers/mqtt-brokers.js';
import { startScriptedMqtt, type PacketOf, type ScriptedClient } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';
import { startTcpGate, type TcpGate } from '../tcp-gate.js';

const MAX_BYTES = 65_535;

describe('mqtt-publish', () => {
  const flows = useMqttFlows();
  const text = ({ payload }: IPublishPacket): string => payload.toString();
  const codeOf = ({ rejection }: Message): string | undefined => rejection?.code;
  /** The sentences that Catch nodes were given. */
  const caught = async (count = 1): Promise<string[]> =>
    (await flows.arrived('caught', count)).map((message) => (message['error'] as { message: string }).message);

  onEveryBroker((server, { version }) => {
    /** A flow that is connected, and a client that has a subscription. */
    async function ready(settings: Record<string, unknown> = {}, filter = 'to/#') {
      const receiver = await flows.client(server().url, { protocolVersion: version });
      await receiver.subscribe(filter, 2);
      await flows.load([brokerNode(server().url), publishNode(settings)]);
      await flows.shows('publish', 'ok');
      return receiver;
    }

    it('publishes the message: a text and a buffer as they are, numbers and booleans as text, all else as JSON', async () => {
      const receiver = await ready();
      const given: [payload: unknown, published: string | Buffer][] = [
        ['größer\n', 'größer\n'],
        ['', ''],
        [Buffer.from([0xff, 0, 1]), Buffer.from([0xff, 0, 1])],
        [new Uint8Array([1, 254]), Buffer.from([1, 254])],
        [21.5, '21.5'],
        [-0, '0'],
        [12345678901234567890n, '12345678901234567890'],
        [false, 'false'],
        [null, 'null'],
        [{ a: [1, null, 'ü'] }, '{"a":[1,null,"ü"]}'],
        [[], '[]'],
        [new Date(0), '"1970-01-01T00:00:00.000Z"'],
      ];
      for (const [payload] of given) flows.send('publish', { topic: 'to/7', payload });
      const packets = await receiver.received(given.length);
      assert.deepEqual(
        packets.map(({ payload }) => payload),
        given.map(([, published]) => Buffer.from(published as string)),
      );
      await flows.arrived('published', given.length);
      assert.deepEqual(flows.counters('publish'), { received: given.length, published: given.length });
    });

    it('makes topic and payload of templates', async () => {
      const receiver = await ready({
        topic: 'to/{topic[1]}/{payload.uuid}',
        payload: '{{"uuid":"{payload.uuid}","from":"{instance}"}}',
      });
      flows.send('publish', { topic: 'device/7', payload: { uuid: 'ä' } });
      const [packet] = await receiver.received();
      assert.equal(packet?.topic, 'to/7/ä');
      assert.deepEqual(JSON.parse(text(packet)), { uuid: 'ä', from: flows.instance().name });
      flows.send('publish', { topic: 'device/7', payload: {} });
      const [message] = await flows.arrived('rejected');
      assert.equal(message?.rejection?.code, 'missing-field');
      assert.match(
        message.rejection.message,
        /^expected a message with every field of to\/\{topic\[1\]\}\/\{payload\.uuid\} \(topic\), got one without$/,
      );
    });

    it('takes QoS and retain from the form, or from the message where the form leaves them to it', async () => {
      for (const [settings, message, expected] of [
        [{}, {}, [1, false]],
        [{}, { qos: 0, retain: true }, [1, false]],
        [{ qos: 2, retain: true }, { qos: 0, retain: false }, [2, true]],
        [{ qos: 0 }, { qos: 2 }, [0, false]],
        [{ qos: 'message', retain: 'message' }, { qos: 2, retain: true }, [2, true]],
        [{ qos: 'message', retain: 'message' }, { qos: '0', retain: 'false' }, [0, false]],
        [{ qos: 'message', retain: 'message' }, {}, [1, false]],
      ] as const) {
        await flows.unload();
        const receiver = await ready(settings);
        flows.send('publish', { topic: 'to/kept', payload: '1', ...message } as Message);
        const [packet] = await receiver.received();
        // By what a later client is given: what is sent on to one that is there has the flag cleared [MQTT-3.3.1-9].
        const later = await flows.client(server().url, { protocolVersion: version });
        await later.subscribe('to/kept', 2);
        await receiver.publish('to/kept', 'end', { qos: 2 });
        const [first] = await later.received();
        assert.deepEqual([packet?.qos, first?.retain], expected, JSON.stringify([settings, message]));
        await receiver.publish('to/kept', '', { retain: true });
      }
    });

    it('rejects what MQTT cannot carry, with the reason, and goes on', async () => {
      const receiver = await ready({ qos: 'message', retain: 'message' });
      const circle: Record<string, unknown> = {};
      circle['self'] = circle;
      const given: [message: Message, code: string, sentence: RegExp][] = [
        [{ payload: 1 }, 'topic', /^topic: expected a text, got nothing$/],
        [{ topic: '', payload: 1 }, 'topic', /^topic: expected a topic of at least one character/],
        [{ topic: 'to/+/a', payload: 1 }, 'topic', /^topic: expected a topic without wildcards/],
        [{ topic: 'to/#', payload: 1 }, 'topic', /^topic: expected a topic without wildcards/],
        [{ topic: 'to/\0', payload: 1 }, 'topic', /^topic: expected a topic without U\+0000/],
        [{ topic: 'to/\ud800', payload: 1 }, 'topic', /^topic: expected a topic in Unicode/],
        [{ topic: 'x'.repeat(MAX_BYTES + 1), payload: 1 }, 'topic', /^topic: expected a topic of at most 65535 bytes/],
        [{ topic: 7 as never, payload: 1 }, 'topic', /^topic: expected a text, got number 7$/],
        [{ topic: 'to/7' }, 'no-payload', /^expected msg\.payload to be a text, .*, got nothing$/],
        [{ topic: 'to/7', payload: () => 1 }, 'no-payload', /, got a function$/],
        [{ topic: 'to/7', payload: circle }, 'not-json', /^expected a payload that JSON can hold, .*circular/],
        [{ topic: 'to/7', payload: { a: 1n } }, 'not-json', /^expected a payload that JSON can hold, .*BigInt/],
        [{ topic: 'to/7', payload: 1, qos: 3 as never }, 'qos', /^expected msg\.qos to be 0, 1 or 2, got number 3$/],
        [{ topic: 'to/7', payload: 1, retain: 'yes' as never }, 'retain', /^expected msg\.retain .*, got "yes"$/],
      ];
      for (const [message] of given) flows.send('publish', message);
      flows.send('publish', { topic: 'to/good', payload: 'good' });
      const rejected = await flows.arrived('rejected', given.length);
      for (const [index, [, code, sentence]] of given.entries()) {
        assert.equal(rejected[index]?.rejection?.code, code);
        assert.match(rejected[index].rejection.message, sentence);
      }
      const [packet] = await receiver.received();
      assert.equal(packet?.topic, 'to/good');
      assert.equal(flows.counters('publish')['rejected'], given.length);
      assert.equal(flows.counters('publish')['rejected{topic}'], 8);
    });

    it('gives what it rejects to a Catch node, once, where the second output is not wired', async () => {
      await ready({ wires: [[], []] });
      flows.send('publish', { topic: 'to/#', payload: 1 });
      const sentences = await caught();
      assert.equal(sentences.length, 1);
      assert.match(sentences[0] ?? '', /topic: expected a topic without wildcards/);
    });

    it('publishes 500 at once from two nodes, in the order of each, every one once', async () => {
      const receiver = await flows.client(server().url, { protocolVersion: version });
      await receiver.subscribe('to/#', 1);
      await flows.load([brokerNode(server().url), publishNode(), publishNode({ id: 'other' })]);
      await flows.shows('publish', 'ok');
      for (let index = 0; index < 500; index++) {
        flows.send(index % 2 === 0 ? 'publish' : 'other', { topic: `to/${index % 2}`, payload: index });
      }
      const packets = await receiver.received(500);
      for (const odd of [0, 1]) {
        assert.deepEqual(
          packets.filter(({ topic }) => topic === `to/${odd}`).map((packet) => Number(text(packet))),
          Array.from({ length: 250 }, (_value, index) => index * 2 + odd),
        );
      }
      await flows.arrived('published', 500);
      assert.equal(flows.counters('publish')['retried'], undefined);
      assert.equal(await flows.shows('publish', 'ok', /^250 /), '250 published');
    });

    it('publishes while a simulator does the same by the same broker', async () => {
      const receiver = await flows.client(server().url, { protocolVersion: version });
      await receiver.subscribe('to/#', 1);
      await flows.load([
        brokerNode(server().url),
        publishNode(),
        simulatorNode({ autoStart: false, topic: 'to/{index}' }),
      ]);
      await flows.shows('publish', 'ok');
      flows.send('simulator', { payload: { burst: 500 } });
      for (let index = 0; index < 500; index++) flows.send('publish', { topic: 'to/publish', payload: index });
      const packets = await receiver.received(1_000);
      assert.equal(packets.filter(({ topic }) => topic === 'to/publish').length, 500);
    });
  });

  describe('with MQTT 5', () =>
    onEveryBrokerWithMqtt5((server, { window, unclaimedAt }) => {
      async function ready(settings: Record<string, unknown> = {}, broker: Record<string, unknown> = {}) {
        const receiver = await flows.client(server().url, {
          properties: { topicAliasMaximum: 0 },
        });
        await receiver.subscribe('to/#', 2);
        await flows.load([brokerNode(server().url, broker), publishNode(settings)]);
        await flows.shows('publish', 'ok');
        return receiver;
      }

      it('sends the properties of the message, and its identity as message-id', async () => {
        const receiver = await ready();
        flows.send('publish', {
          topic: 'to/7',
          payload: '1',
          identity: 'a:1',
          contentType: 'text/plain',
          responseTopic: 'answers/7',
          correlationData: Buffer.from([1, 2, 255]),
          messageExpiryInterval: 1_000,
          userProperties: { site: 'north', tag: ['a', 'b'], 'message-id': 'of an earlier one', ['__proto__']: 'x' },
        });
        flows.send('publish', { topic: 'to/7', payload: '2', contentType: '', responseTopic: null as never });
        const [first, second] = await receiver.received(2);
        const { messageExpiryInterval = 0, userProperties, ...others } = first?.properties ?? {};
        assert.deepEqual(others, {
          contentType: 'text/plain',
          responseTopic: 'answers/7',
          correlationData: Buffer.from([1, 2, 255]),
        });
        assert.ok(messageExpiryInterval > 990 && messageExpiryInterval <= 1_000);
        assert.deepEqual(Object.entries(userProperties ?? {}), [
          ['site', 'north'],
          ['tag', ['a', 'b']],
          ['message-id', 'a:1'],
          ['__proto__', 'x'],
        ]);
        assert.deepEqual(second?.properties ?? {}, {});
      });

      it('sends those of the form first', async () => {
        const receiver = await ready({
          messageId: false,
          contentType: 'application/json',
          responseTopic: 'answers/{payload.uuid}',
          correlationData: '{payload.uuid}',
          messageExpiry: 60,
          userProperties: [
            { name: 'gateway', value: '{instance}' },
            { name: 'site', value: '{payload.site}' },
            { name: 'missing', value: '{payload.nothing}' },
          ],
        });
        flows.send('publish', {
          topic: 'to/7',
          payload: { uuid: 'u', site: 's' },
          identity: 'a:1',
          contentType: 'text/plain',
          messageExpiryInterval: 1_000,
          userProperties: { site: 'of the message', other: 'o' },
        });
        const [packet] = await receiver.received();
        const { messageExpiryInterval = 0, userProperties, ...others } = packet?.properties ?? {};
        assert.deepEqual(others, {
          contentType: 'application/json',
          responseTopic: 'answers/u',
          correlationData: Buffer.from('u'),
        });
        assert.ok(messageExpiryInterval > 50 && messageExpiryInterval <= 60);
        assert.deepEqual({ ...userProperties }, { site: 's', other: 'o', gateway: flows.instance().name });
      });

      it('rejects properties that MQTT cannot carry, and keeps its connection', async () => {
        const receiver = await ready();
        const given: [properties: Message, code: string, sentence: RegExp][] = [
          [{ contentType: 7 as never }, 'content-type', /^the content type: expected a text, got number 7$/],
          [{ contentType: 'a\0' }, 'content-type', /expected a text without U\+0000/],
          [{ contentType: '\udfff' }, 'content-type', /expected a text in Unicode/],
          [{ contentType: 'x'.repeat(MAX_BYTES + 1) }, 'content-type', /of at most 65535 bytes, got 65536$/],
          [{ responseTopic: 'a/#' }, 'response-topic', /^response topic: expected a topic without wildcards/],
          [{ messageExpiryInterval: 1.5 }, 'message-expiry', /expected whole seconds .*, got number 1\.5$/],
          [{ messageExpiryInterval: -1 }, 'message-expiry', /got number -1$/],
          [{ messageExpiryInterval: 4_294_967_296 }, 'message-expiry', /got number 4294967296$/],
          [{ correlationData: 7 as never }, 'correlation-data', /expected a buffer or a text .*, got number 7$/],
          [{ correlationData: Buffer.alloc(MAX_BYTES + 1) }, 'correlation-data', /got 65536 bytes$/],
          [{ userProperties: [] as never }, 'user-properties', /to be an object of texts, got an array of 0$/],
          [{ userProperties: { a: 1 as never } }, 'user-properties', /^the user property "a": .*, got number 1$/],
          [{ userProperties: { a: ['x', null as never] } }, 'user-properties', /got null$/],
          [{ userProperties: { 'a\0': 'x' } }, 'user-properties', /^the name of a user property: .*U\+0000/],
          [{ identity: 'a\0' }, 'user-properties', /^the user property "message-id": .*U\+0000/],
        ];
        for (const [properties] of given) flows.send('publish', { topic: 'to/7', payload: '1', ...properties });
        flows.send('publish', { topic: 'to/good', payload: 'good' });
        const rejected = await flows.arrived('rejected', given.length);
        for (const [index, [, code, sentence]] of given.entries()) {
          assert.equal(codeOf(rejected[index] ?? {}), code);
          assert.match(rejected[index]?.rejection?.message ?? '', sentence);
        }
        assert.equal((await receiver.received())[0]?.topic, 'to/good');
      });

      it('counts what nobody has a subscription for (0x10), and warns where one is expected', async () => {
        for (const [qos, expectSubscriber] of unclaimedAt.flatMap((qos) => [
          [qos, false] as const,
          [qos, true] as const,
        ])) {
          const level = expectSubscriber ? 'warning' : 'ok';
          const settings = { qos, expectSubscriber };
          await flows.unload();
          await ready(settings);
          for (const topic of ['nobody/1', 'nobody/2']) flows.send('publish', { topic, payload: '1' });
          await flows.arrived('published', 2);
          const shown = await flows.shows('publish', level, /^2 published/);
          assert.equal(shown, level === 'ok' ? '2 published' : '2 published; nobody has a subscription for nobody/2');
          assert.equal(flows.counters('publish')['no-subscriber'], 2);
          const warned = flows.logged().filter((line) => line.startsWith('nobody has a subscription for what'));
          assert.deepEqual(
            warned,
            level === 'ok' ? [] : ['nobody has a subscription for what is published topic="nobody/1"'],
          );
          flows.send('publish', { topic: 'to/7', payload: '1' });
          await flows.shows('publish', 'ok', /^3 published$/);
          assert.equal(flows.counters('publish')['no-subscriber'], 2);
        }
      });

      it('has a broker that says how many it takes unanswered, which is why the window is kept', async () => {
        const client = await flows.client(server().url);
        const { receiveMaximum } = (client.mqtt as unknown as { serverProperties: { receiveMaximum?: number } })
          .serverProperties;
        assert.equal(receiveMaximum, window);
      });

      it('sends topics as numbers where that is asked for, which arrive as topics, more than there are numbers', async () => {
        const receiver = await ready({}, { topicAliases: true });
        for (const topic of ['constructor', '__proto__']) await receiver.subscribe(topic);
        // Names that every object has, and more topics than the broker has numbers for.
        const topics = ['constructor', '__proto__', ...Array.from({ length: 20 }, (_value, index) => `to/${index}`)];
        const sent = Array.from({ length: 200 }, (_value, index) => topics[(index * 7) % (index < 100 ? 5 : 22)] ?? '');
        for (const [index, topic] of sent.entries()) flows.send('publish', { topic, payload: index });
        const packets = await receiver.received(sent.length);
        assert.deepEqual(
          packets.map((packet) => [packet.topic, Number(text(packet))]),
          sent.map((topic, index) => [topic, index]),
        );
      });
    }));

  describeWithServer(
    'to a broker that takes less than others',
    () => startOwnMosquitto({ lines: ['max_packet_size 1000', 'max_qos 1', 'retain_available false'] }),
    (server) => {
      it('rejects what it has said that it does not take, to the byte, and keeps its connection', async () => {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('to/#');
        for (const topicAliases of [false, true]) {
          await flows.unload();
          await flows.load([
            brokerNode(server().url, { topicAliases }),
            publishNode({ qos: 'message', retain: 'message' }),
          ]);
          await flows.shows('publish', 'ok');
          const properties = {
            contentType: 'a',
            userProperties: { b: 'c', d: ['e', 'f'] },
            correlationData: Buffer.of(1),
          };
          // Fixed header 3, topic 6, packet id 2, properties 1 + 4 + 7 * 3 + 4.
          const most = 1_000 - 3 - 6 - 2 - 30;
          const message = { topic: 'to/7', responseTopic: '', messageExpiryInterval: null as never, ...properties };
          const before = (await receiver.received(0)).length;
          for (const size of [most + 1, most, most - 5, most - 4]) {
            flows.send('publish', { ...message, payload: 'x'.repeat(size) });
          }
          flows.send('publish', { topic: 'to/7', payload: '1', qos: 2 });
          flows.send('publish', { topic: 'to/7', payload: '1', retain: true });
          const packets = (await receiver.received(before + 3)).slice(before);
          assert.deepEqual(
            packets.map(({ payload }) => payload.length),
            [most, most - 5, most - 4],
          );
          const rejections = (await flows.arrived('rejected', 3)).map(({ rejection }) => rejection);
          assert.deepEqual(
            rejections.map((rejection) => [rejection?.code, rejection?.message]),
            [
              ['too-large', 'expected a packet of at most 1000 bytes, which is what the broker takes, got 1001'],
              ['qos-not-supported', 'expected a QoS of at most 1, the most that the broker takes, got 2'],
              [
                'retain-not-supported',
                'expected a message that is not to be retained: the broker keeps none, got one that is',
              ],
            ],
          );
          assert.equal(flows.counters('publish')['retried'], undefined);
        }
      });
    },
  );

  describeWithServer(
    'to a broker that goes away',
    () => startOwnMosquitto(),
    (server) => {
      let gate: TcpGate;
      beforeEach(async () => {
        gate = await startTcpGate(server().port);
      });
      afterEach(() => gate.stop());

      it('waits for it, in order, at every QoS, and loses nothing', async () => {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('to/#', 2);
        await flows.load([brokerNode(`mqtt://127.0.0.1:${gate.port}`), publishNode({ qos: 'message' })]);
        await flows.shows('publish', 'ok');
        await gate.shut();
        await flows.shows('publish', 'error');
        for (let index = 0; index < 300; index++) {
          flows.send('publish', { topic: 'to/7', payload: index, qos: (index % 3) as 0 | 1 | 2 });
        }
        assert.match(
          await flows.shows('publish', 'error', /waiting/),
          /^300 waiting; .*; trying again in \d s \(mqtt:/,
        );
        await gate.open();
        const packets = await receiver.received(300);
        for (const qos of [0, 1, 2]) {
          const got = packets.filter((packet) => packet.qos === qos).map((packet) => Number(text(packet)));
          assert.deepEqual(
            got,
            Array.from({ length: 100 }, (_value, index) => index * 3 + qos),
          );
        }
        await flows.shows('publish', 'ok', /^300 published$/);
      });

      it('loses nothing when the connection ends in the middle, time and again', async () => {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('to/#', 2);
        await flows.load([brokerNode(`mqtt://127.0.0.1:${gate.port}`), publishNode()]);
        await flows.shows('publish', 'ok');
        for (const round of [0, 1, 2]) {
          for (let index = 0; index < 500; index++)
            flows.send('publish', { topic: 'to/7', payload: round * 500 + index });
          await receiver.received(round * 500 + 50);
          await gate.shut();
          await flows.shows('publish', 'error');
          await gate.open();
          await flows.shows('publish', 'ok', new RegExp(`^${['500', '1,000', '1,500'][round] ?? ''} published$`));
        }
        const numbers = new Set((await receiver.received(1_500)).map((packet) => Number(text(packet))));
        assert.equal(numbers.size, 1_500);
        assert.deepEqual(flows.counters('publish')['failed'], undefined);
      }).timeout(60_000);

      it('fails at once what is more than the memory that it may use', async () => {
        await gate.shut();
        await flows.load([brokerNode(`mqtt://127.0.0.1:${gate.port}`), publishNode({ maxQueueBytes: 65_536 })]);
        await flows.shows('publish', 'error');
        const payload = 'x'.repeat(40_000);
        for (const topic of ['to/1', 'to/2']) flows.send('publish', { topic, payload });
        assert.match((await caught(1))[0] ?? '', /expected at most 10000 waiting messages of 65536 bytes together/);
        await gate.open();
        await flows.shows('publish', 'ok', /^1 published$/);
        flows.send('publish', { topic: 'to/3', payload });
        await flows.shows('publish', 'ok', /^2 published$/);
      });

      it('fails at once what is more than the queue, and after its time what waits, with the reason', async () => {
        await gate.shut();
        await flows.load([brokerNode(`mqtt://127.0.0.1:${gate.port}`), publishNode({ maxQueue: 2, maxWait: 1 })]);
        await flows.shows('publish', 'error');
        for (const payload of [1, 2, 3]) flows.send('publish', { topic: 'to/7', payload });
        const [full, ...away] = await caught(3);
        assert.equal(
          full,
          'UnavailableError: expected at most 2 waiting messages of 268435456 bytes together, got one more',
        );
        for (const sentence of away) {
          assert.match(
            sentence,
            /^UnavailableError: expected a connection within 1 s, got none: nothing listens at 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
          );
        }
        const counters = flows.counters('publish');
        assert.deepEqual([counters['failed{queue-full}'], counters['failed{broker-away}']], [1, 2]);
        assert.deepEqual(
          [counters['refused{queue-full}'], counters['abandoned{broker-away}'], counters['published']],
          [1, 2, undefined],
        );
        // What has failed is not published later.
        const receiver = await flows.client(server().url);
        await receiver.subscribe('to/#');
        await gate.open();
        await flows.shows('publish', 'ok');
        flows.send('publish', { topic: 'to/7', payload: 'since' });
        assert.equal(text((await receiver.received())[0] as IPublishPacket), 'since');
      });

      it('fails what waits when it is closed, at once, and says how many', async () => {
        await gate.shut();
        const broker = brokerNode(`mqtt://127.0.0.1:${gate.port}`);
        await flows.load([broker, publishNode()]);
        await flows.shows('publish', 'error');
        for (const payload of [1, 2]) flows.send('publish', { topic: 'to/7', payload });
        // Deployed again without it: the node closes, and the Catch node beside it is still there to be told.
        const { counters } = flows.running('publish');
        await flows.redeploy([broker]);
        assert.deepEqual(counters.snapshot()['abandoned{closed}'], 2);
        for (const sentence of await caught(2)) {
          assert.equal(
            sentence,
            'UnavailableError: expected the broker to answer before the node was closed, got nothing',
          );
        }
        const told = flows.logged().filter((line) => line.startsWith('closed with messages that the broker'));
        assert.deepEqual(told, ['closed with messages that the broker has not answered for messages=2']);
      }).timeout(5_000);
    },
  );

  describeWithServer('to a stand-in', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    const window = (receiveMaximum: number, properties: object = {}): void =>
      server().answer('connect', (_packet, client) =>
        client.send({
          cmd: 'connack',
          reasonCode: 0,
          sessionPresent: false,
          properties: { receiveMaximum, ...properties },
        }),
      );

    it('is done when the broker has answered, and not before', async () => {
      const held: [PacketOf<'publish'>, ScriptedClient][] = [];
      server().answer('publish', (packet, client) => void held.push([packet, client]));
      await flows.load([brokerNode(server().url), publishNode()]);
      await flows.shows('publish', 'ok');
      flows.send('publish', { topic: 'to/7', payload: '1' });
      await server().arrived('publish');
      await flows.client(server().url); // by then it would have been done
      assert.equal(flows.running('publish').open(), 1);
      assert.equal((await flows.arrived('published', 0)).length, 0);
      for (const [{ messageId }, client] of held) client.send({ cmd: 'puback', messageId });
      await flows.arrived('published');
      assert.equal(flows.running('publish').open(), 0);
    });

    it('never has more unanswered than the broker takes, of several nodes together, over reconnects', async () => {
      window(3);
      const held: [PacketOf<'publish'>, ScriptedClient][] = [];
      server().answer('publish', (packet, client) => void held.push([packet, client]));
      await flows.load([brokerNode(server().url), publishNode(), publishNode({ id: 'other' })]);
      await flows.shows('publish', 'ok');
      for (let index = 0; index < 10; index++) {
        flows.send(index % 2 === 0 ? 'publish' : 'other', { topic: 'to/7', payload: index });
      }
      const payloads = (): string[] => held.map(([{ payload }]) => payload.toString());
      const settled = async (count: number): Promise<void> => {
        await server().arrived('publish', count);
        await flows.client(server().url); // by then one more than it may be would have come too
        assert.equal(held.length, count);
      };
      await settled(3);
      assert.deepEqual(payloads(), ['0', '1', '2']);
      for (const [, client] of held.slice(0, 1)) client.hangUp();
      await flows.shows('publish', 'error');
      // mqtt.js sends again what had no answer, one after the other.
      for (const expected of [4, 5, 6]) {
        await server().arrived('publish', expected);
        const [{ messageId, dup, payload }, client] = held[expected - 1] ?? assert.fail();
        assert.deepEqual([dup, payload.toString()], [true, String(expected - 4)]);
        client.send({ cmd: 'puback', messageId });
      }
      await settled(9);
      for (let answered = 6; answered < 13; answered++) {
        const [{ messageId }, client] = held[answered] ?? assert.fail();
        client.send({ cmd: 'puback', messageId });
        await settled(Math.min(13, answered + 4));
      }
      await flows.arrived('published', 10);
      assert.deepEqual(payloads().slice(6), ['3', '4', '5', '6', '7', '8', '9']);
    });

    it('fails what is not answered in its time, and says that it may have arrived; others that had no turn say that', async () => {
      window(1);
      server().answer('publish', () => undefined);
      await flows.load([brokerNode(server().url), publishNode({ maxWait: 1 })]);
      await flows.shows('publish', 'ok');
      for (const payload of [1, 2]) flows.send('publish', { topic: 'to/7', payload });
      assert.deepEqual(await caught(2), [
        'UnavailableError: expected the broker to answer within 1 s, got nothing: the message may have arrived',
        'UnavailableError: expected a turn within 1 s, got none: the broker has not answered for those before it',
      ]);
      const counters = flows.counters('publish');
      assert.deepEqual([counters['abandoned{no-answer}'], counters['abandoned{no-turn}']], [1, 1]);
      assert.equal(server().all('publish').length, 1);
    });

    it('waits for answers when it is closed', async () => {
      const held: [PacketOf<'publish'>, ScriptedClient][] = [];
      server().answer('publish', (packet, client) => void held.push([packet, client]));
      await flows.load([brokerNode(server().url), publishNode()]);
      await flows.shows('publish', 'ok');
      flows.send('publish', { topic: 'to/7', payload: '1' });
      await server().arrived('publish');
      const { counters } = flows.running('publish');
      const unloaded = flows.unload();
      await flows.client(server().url);
      assert.equal(server().all('disconnect').length, 0);
      for (const [{ messageId }, client] of held) client.send({ cmd: 'puback', messageId });
      await unloaded;
      assert.deepEqual(counters.snapshot(), { received: 1, published: 1 });
    });

    it('tries again what may yet be taken, and rejects what never will', async () => {
      const codes = [0x97, 0, 0x87, 0x99, 0x83];
      server().answer('publish', ({ messageId }, client) =>
        client.send({ cmd: 'puback', messageId, reasonCode: codes.shift() ?? 0 }),
      );
      await flows.load([brokerNode(server().url), publishNode()]);
      await flows.shows('publish', 'ok');
      flows.send('publish', { topic: 'to/7', payload: 'again' });
      await flows.arrived('published');
      for (const payload of ['a', 'b', 'c']) flows.send('publish', { topic: 'to/7', payload });
      const sentences = (await flows.arrived('rejected', 3)).map(({ rejection }) => rejection?.message);
      assert.deepEqual(sentences, [
        'the broker refuses the message: Publish error: Not authorized',
        'the broker refuses the message: Publish error: Payload format invalid',
        'the broker refuses the message: Publish error: Implementation specific error',
      ]);
      const counters = flows.counters('publish');
      assert.deepEqual([counters['retried'], counters['rejected{refused-by-broker}']], [1, 3]);
    });

    it('uses the broker’s topic aliases, not after the connection, and sends again under the whole topic', async () => {
      window(10, { topicAliasMaximum: 2 });
      const silent = new Set(['5']);
      server().answer('publish', ({ messageId, payload }, client) => {
        if (!silent.has(payload.toString())) client.send({ cmd: 'puback', messageId });
      });
      await flows.load([brokerNode(server().url, { topicAliases: true }), publishNode()]);
      await flows.shows('publish', 'ok');
      for (const [payload, topic] of ['a', 'b', 'a', 'c', 'b', 'c'].entries())
        flows.send('publish', { topic, payload });
      const first = await server().arrived('publish', 6);
      assert.deepEqual(
        first.map(({ topic, properties }) => [topic, properties?.topicAlias]),
        [
          ['a', 1],
          ['b', 2],
          ['', 1],
          ['c', 2],
          ['b', 1],
          ['', 2],
        ],
      );
      silent.clear();
      for (const client of server().clients()) client.hangUp();
      const resent = (await server().arrived('publish', 7))[6];
      assert.deepEqual([resent?.topic, resent?.dup, resent?.properties?.topicAlias], ['c', true, undefined]);
      await flows.shows('publish', 'ok');
      flows.send('publish', { topic: 'c', payload: 'new' });
      const fresh = (await server().arrived('publish', 8))[7];
      assert.deepEqual([fresh?.topic, fresh?.properties?.topicAlias], ['c', 1]);
    });

    it('uses none where that is not asked for', async () => {
      window(10, { topicAliasMaximum: 2 });
      await flows.load([brokerNode(server().url), publishNode()]);
      await flows.shows('publish', 'ok');
      for (const payload of ['1', '2']) flows.send('publish', { topic: 'a', payload });
      const packets = await server().arrived('publish', 2);
      assert.deepEqual(
        packets.map(({ topic, properties }) => [topic, properties?.topicAlias]),
        [
          ['a', undefined],
          ['a', undefined],
        ],
      );
    });
  });

  describe('at deploy', () => {
    for (const [settings, sentence] of [
      [{ broker: '' }, /\/broker: expected a node of type sluice-mqtt-broker, got none/],
      [{ topic: 'to/#' }, /\/topic: expected a topic without wildcards \[MQTT-3\.3\.2-2\], got "to\/#"/],
      [
        { topic: 'to/{payload.uuid}/+' },
        /\/topic: expected a topic without wildcards .*, got "to\/\{payload\.uuid\}\/\+"/,
      ],
      [{ topic: 'to/{payload' }, /\/topic: expected a } for the {/],
      [{ payload: '{"a":1}' }, /\/payload: expected a path such as/],
      [{ responseTopic: 'a/+' }, /\/responseTopic: expected a topic without wildcards/],
      [{ contentType: 'a\0' }, /\/contentType: expected a text without U\+0000/],
      [{ qos: 3 }, /\/qos: expected one of /],
      [{ retain: 'perhaps' }, /\/retain: expected one of /],
      [{ messageExpiry: 0 }, /\/messageExpiry: expected a number >= 1/],
      [{ userProperties: [{ name: '', value: 'x' }] }, /\/userProperties\/0\/name: expected at least 1 characters/],
      [{ userProperties: [{ name: 'a\0', value: 'x' }] }, /\/userProperties\/0\/name: expected a text without U\+0000/],
      [{ maxQueue: 0 }, /\/maxQueue: expected a number >= 1/],
      [{ maxWait: 0 }, /\/maxWait: expected a number >= 1/],
    ] as const) {
      it(`refuses ${JSON.stringify(settings)} and says where`, async () => {
        await flows.load([brokerNode('mqtt://127.0.0.1:1'), publishNode(settings)]);
        const errors = flows.logged().filter((line) => line.startsWith('mqtt-publish "mqtt-publish" /'));
        assert.equal(errors.length, 1);
        assert.match(errors[0] ?? '', sentence);
      });
    }
  });
});
