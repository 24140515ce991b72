import assert from 'node:assert/strict';
import type { IPublishPacket } from 'mqtt';
import { brokerNode, helperNode, ingestNode, useMqttFlows } from '../mqtt.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { onEveryBroker, onEveryBrokerWithMqtt5 } from '../servers/mqtt-brokers.js';
import { startScriptedMqtt } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

type Properties = IPublishPacket['properties'];

describe('mqtt-ingest', () => {
  const flows = useMqttFlows();

  onEveryBroker((server, { version, lowersQosOfWildcards }) => {
    /** A flow that has its subscription, and a client to publish to it. */
    async function ready(settings: Record<string, unknown> = {}) {
      await flows.load([brokerNode(server().url), ingestNode(settings)]);
      await flows.shows('ingest', 'ok');
      return flows.client(server().url, { protocolVersion: version });
    }

    for (const [decode, given, payload] of [
      ['json', '{"uuid":"a","value":[1,null,"ü"]}', { uuid: 'a', value: [1, null, 'ü'] }],
      ['json', '21.5', 21.5],
      ['text', 'größer\n', 'größer\n'],
      ['text', '', ''],
      ['buffer', Buffer.from([0xff, 0, 1]), Buffer.from([0xff, 0, 1])],
    ] as const) {
      it(`gives ${JSON.stringify(given)} as ${decode}`, async () => {
        const client = await ready({ decode });
        const before = Date.now();
        await client.publish('device/7', given);
        const [message] = await flows.arrived('out');
        assert.deepEqual(message?.payload, payload);
        assert.deepEqual([message.topic, message.qos, message.retain], ['device/7', 1, false]);
        const { receivedAt = 0 } = message;
        assert.ok(Number.isInteger(receivedAt) && receivedAt >= before && receivedAt <= Date.now());
        assert.match(message.identity ?? '', UUID_V7);
        assert.deepEqual(flows.counters('ingest'), { received: 1 });
      });
    }

    for (const [decode, given, code, sentence] of [
      ['json', '{"value":', 'invalid-json', /^expected JSON, got 9 characters that are not: /],
      ['json', '', 'invalid-json', /^expected JSON, got 0 characters that are not: /],
      ['json', '{"n":9007199254740993}', 'unsafe-integer', /^\/n: expected an integer .*, got 9007199254740993$/],
      ['json', '{"n":1e999}', 'number-range', /^\/n: expected a number that a double holds, got 1e999$/],
      ['json', '{"__proto__":{}}', 'proto-name', /^\/__proto__: expected no property of the name __proto__, got one$/],
      ['json', '['.repeat(9_999) + ']'.repeat(9_999), 'too-deep', /^expected JSON with at most 100 levels, got more$/],
      ['json', Buffer.from([0xc3, 0x28]), 'invalid-utf8', /^expected UTF-8, got 2 bytes that are not$/],
      ['text', Buffer.from([0xed, 0xa0, 0x80]), 'invalid-utf8', /^expected UTF-8, got 3 bytes that are not$/],
    ] as const) {
      it(`sends ${JSON.stringify(given).slice(0, 40)}, which is no ${decode}, to its second output as it came, and goes on`, async () => {
        const client = await ready({ decode, name: 'in' });
        await client.publish('device/bad', given);
        await client.publish('device/good', '1');
        const [[bad], [good]] = await Promise.all([flows.arrived('rejected'), flows.arrived('out')]);
        assert.deepEqual(bad?.payload, Buffer.from(given as string));
        assert.equal(bad.topic, 'device/bad');
        const { rejection } = bad;
        assert.deepEqual([rejection?.code, rejection?.node], [code, { id: 'ingest', type: 'mqtt-ingest', name: 'in' }]);
        assert.match(rejection?.message ?? '', sentence);
        assert.equal(good?.topic, 'device/good');
        assert.deepEqual(flows.counters('ingest'), { received: 2, rejected: 1, [`rejected{${code}}`]: 1 });
      });
    }

    it('with strict JSON takes no object that has a name twice', async () => {
      const client = await ready({ strict: true });
      for (const payload of ['{"value":1,"value":2}', '{"value":1}']) await client.publish('device/7', payload);
      const [[bad], [good]] = await Promise.all([flows.arrived('rejected'), flows.arrived('out')]);
      assert.equal(bad?.rejection?.message, '/value: expected each name once, got it twice');
      assert.deepEqual([bad.rejection.code, bad.rejection['path']], ['duplicate-name', '/value']);
      assert.deepEqual(good?.payload, { value: 1 });
    });

    it('gives what it cannot decode to a Catch node, once, where the second output is not wired', async () => {
      const client = await ready({ wires: [['out'], []] });
      for (const payload of ['{', '1']) await client.publish('device/7', payload);
      await flows.arrived('out');
      const caught = await flows.arrived('caught');
      assert.equal(caught.length, 1);
      const { message, source } = caught[0]?.['error'] as { message: string; source: { id: string } };
      assert.match(message, /expected JSON, got 1 characters/);
      assert.equal(source.id, 'ingest');
    });

    it('makes the identity of a template, or a UUIDv7 where a field is missing', async () => {
      const client = await ready({ identity: '{topic[1]}:{payload.seq}' });
      for (const payload of ['{"seq":0}', '{"seq":null}', '{"other":1}', '[]', 'null', '{"seq":"b"}']) {
        await client.publish('device/7', payload);
      }
      const identities = (await flows.arrived('out', 6)).map(({ identity }) => identity ?? '');
      assert.deepEqual([identities[0], identities[5]], ['7:0', '7:b']);
      const made = identities.slice(1, 5);
      for (const identity of made) assert.match(identity, UUID_V7);
      assert.equal(new Set(made).size, 4);
    });

    it('gives the lower of the two QoS, and what was retained', async () => {
      const client = await ready({ qos: 1, topics: [lowersQosOfWildcards ? 'device/+' : 'device/7'] });
      for (const qos of [0, 1, 2] as const) await client.publish('device/7', String(qos), { qos });
      const live = await flows.arrived('out', 3);
      assert.deepEqual(
        // A broker keeps the order within a QoS only [MQTT-4.6.0-6].
        live.map(({ payload, qos }) => [payload as number, qos]).sort(([a = 0], [b = 0]) => a - b),
        [
          [0, 0],
          [1, 1],
          [2, 1],
        ],
      );
      await client.publish('kept/7', '2', { retain: true });
      await flows.unload();
      await ready({ qos: 2, topics: ['kept/+', 'live/#'] });
      await client.publish('live/7', '3', { qos: 2 });
      const both = [...(await flows.arrived('out', 2))];
      const [retained, second] = both.sort((one, other) => Number(one.payload) - Number(other.payload));
      await client.publish('kept/7', '', { retain: true });
      assert.deepEqual([retained?.payload, retained?.retain], [2, true]);
      assert.deepEqual([second?.payload, second?.retain, second?.qos], [3, false, 2]);
    });

    it('shows what it has received, and what it waits for', async () => {
      const client = await ready();
      await client.publish('device/7', '1');
      assert.equal(await flows.shows('ingest', 'ok', /^1 /), '1 received');
      assert.equal(flows.running('ingest').open(), 0);
    });

    it('goes on after a redeploy', async () => {
      for (const payload of ['1', '2']) {
        const client = await ready();
        await client.publish('device/7', payload);
        const [message] = await flows.arrived('out');
        assert.equal(message?.payload, Number(payload));
        await flows.unload();
      }
    });
  });

  describe('with the properties of MQTT 5', () =>
    onEveryBrokerWithMqtt5((server, { sharesEvenly }) => {
      it('gives them on the message, by the names of the core node', async () => {
        await flows.load([brokerNode(server().url), ingestNode({ identity: '{payload.id}' })]);
        await flows.shows('ingest', 'ok');
        const client = await flows.client(server().url);
        const all: Properties = {
          contentType: 'application/json',
          responseTopic: 'answers/7',
          correlationData: Buffer.from([1, 2, 255]),
          messageExpiryInterval: 1_000,
          userProperties: { site: 'north', tag: ['a', 'b'], 'message-id': 'from-the-device' },
        };
        const given: (Properties | undefined)[] = [
          all,
          undefined,
          { userProperties: { 'message-id': ['first', 'second'] } },
          { userProperties: { 'message-id': '' } },
          { userProperties: { __proto__: 'x', constructor: 'y' } },
        ];
        for (const properties of given) {
          await client.publish('device/7', '{"id":"from-the-payload"}', properties === undefined ? {} : { properties });
        }
        const [first, ...others] = await flows.arrived('out', given.length);
        const { contentType, responseTopic, correlationData, messageExpiryInterval = 0, userProperties } = first ?? {};
        assert.deepEqual([contentType, responseTopic], ['application/json', 'answers/7']);
        assert.deepEqual(correlationData, Buffer.from([1, 2, 255]));
        assert.ok(messageExpiryInterval > 990 && messageExpiryInterval <= 1_000);
        assert.deepEqual(userProperties, { site: 'north', tag: ['a', 'b'], 'message-id': 'from-the-device' });
        assert.ok(Object.getPrototypeOf(userProperties) === Object.prototype, 'as function nodes expect');
        assert.deepEqual(
          [first, ...others].map((message) => message?.identity),
          ['from-the-device', 'from-the-payload', 'first', 'from-the-payload', 'from-the-payload'],
        );
        const plain = others[0] ?? {};
        for (const property of Object.keys(all)) assert.equal(property in plain, false, property);
      });

      it('keeps the message-id of what it cannot decode', async () => {
        await flows.load([brokerNode(server().url), ingestNode()]);
        await flows.shows('ingest', 'ok');
        const client = await flows.client(server().url);
        await client.publish('device/7', '{', { properties: { userProperties: { 'message-id': 'a:1' } } });
        const [message] = await flows.arrived('rejected');
        assert.equal(message?.identity, 'a:1');
      });

      it('gives each ingest a message once, though the filters of two overlap', async () => {
        await flows.load([
          brokerNode(server().url),
          ingestNode({ topics: ['device/#'] }),
          ingestNode({ id: 'narrow', topics: ['device/7', 'other/+'], wires: [['narrow-out'], []] }),
          helperNode('narrow-out'),
        ]);
        await Promise.all([flows.shows('ingest', 'ok'), flows.shows('narrow', 'ok')]);
        const client = await flows.client(server().url);
        for (const topic of ['device/7', 'device/8', 'other/7', 'device/end']) await client.publish(topic, '1');
        await client.publish('other/end', '1');
        const topics = async (id: string): Promise<unknown[]> => (await flows.arrived(id, 3)).map(({ topic }) => topic);
        assert.deepEqual(await topics('out'), ['device/7', 'device/8', 'device/end']);
        assert.deepEqual(await topics('narrow-out'), ['device/7', 'other/7', 'other/end']);
      });

      it('divides the messages of a shared group between two ingests on two brokers', async () => {
        await flows.load([
          brokerNode(server().url),
          brokerNode(server().url, { id: 'broker-2' }),
          ingestNode({ group: 'gateways' }),
          ingestNode({ id: 'ingest-2', broker: 'broker-2', group: 'gateways', wires: [['out-2'], []] }),
          helperNode('out-2'),
        ]);
        await Promise.all([flows.shows('ingest', 'ok'), flows.shows('ingest-2', 'ok')]);
        const client = await flows.client(server().url);
        const sent = Array.from({ length: 20 }, (_, index) => index);
        for (const index of sent) await client.publish('device/7', String(index));
        const least = sharesEvenly ? 1 : 0;
        const [one, two] = [await flows.arrived('out', least), await flows.arrived('out-2', least)];
        while (one.length + two.length < sent.length) {
          await Promise.race([flows.arrived('out', one.length + 1), flows.arrived('out-2', two.length + 1)]);
        }
        const got = [...one, ...two].map(({ payload }) => payload as number);
        assert.deepEqual(
          got.sort((a, b) => a - b),
          sent,
        );
      });

      it('takes nothing that a session holds for a filter, or a group, of an earlier flow', async () => {
        const broker = brokerNode(server().url, { clientId: 'session-with-a-past' });
        for (const settings of [
          { topics: ['before/#'] },
          { topics: ['after/#'] },
          { topics: ['after/#'], group: 'g' },
        ]) {
          await flows.unload();
          await flows.load([broker, ingestNode(settings)]);
          await flows.shows('ingest', 'ok');
        }
        const client = await flows.client(server().url);
        for (const topic of ['before/7', 'after/7', 'after/end']) await client.publish(topic, '1');
        const topics = (await flows.arrived('out', 2)).map(({ topic }) => topic);
        assert.deepEqual(topics, ['after/7', 'after/end']);
        assert.ok(
          flows.logged().some((text) => /a subscription that this flow no longer has topic=before\/7/.test(text)),
        );
      });

      it('gives two ingests with the same filter each message, at the higher QoS', async () => {
        await flows.load([
          brokerNode(server().url),
          ingestNode({ qos: 2 }),
          ingestNode({ id: 'twin', qos: 0, wires: [['twin-out'], []] }),
          helperNode('twin-out'),
        ]);
        await Promise.all([flows.shows('ingest', 'ok'), flows.shows('twin', 'ok')]);
        const client = await flows.client(server().url);
        for (const payload of ['1', '2']) await client.publish('device/7', payload, { qos: 2 });
        for (const id of ['out', 'twin-out']) {
          const messages = await flows.arrived(id, 2);
          assert.deepEqual(
            messages.map(({ payload, qos }) => [payload, qos]),
            [
              [1, 2],
              [2, 2],
            ],
          );
        }
      });
    }));

  describe('at deploy', () => {
    for (const [settings, sentence] of [
      [{ topics: [] }, /\/topics: expected at least 1/],
      [{ topics: [''] }, /\/topics\/0: expected a topic filter of at least one character/],
      [
        { topics: ['ok/#', 'a/#/b'] },
        /\/topics\/1: expected # only as the whole last level \[MQTT-4.7.1-1\], got "a\/#\/b"/,
      ],
      [{ topics: ['a+/b'] }, /\/topics\/0: expected \+ only as a whole level/],
      [{ topics: ['$share/g/a'] }, /\/topics\/0: expected the shared subscription's group in its own field/],
      [{ group: 'a/b' }, /\/group: expected a group without \/, \+ or #/],
      [{ identity: '{payload.uuid' }, /\/identity: expected a } for the {/],
      [{ qos: 3 }, /\/qos: expected one of 0, 1, 2, got number 3/],
      [{ maxInFlight: 0 }, /\/maxInFlight: expected a number >= 1/],
      [{ broker: '' }, /\/broker: expected a node of type sluice-mqtt-broker, got none/],
      [{ broker: 'none' }, /\/broker: expected a node of type sluice-mqtt-broker, got none with this id/],
    ] as const) {
      it(`refuses ${JSON.stringify(settings)} and says where`, async () => {
        await flows.load([brokerNode('mqtt://127.0.0.1:1'), ingestNode(settings)]);
        const errors = flows.logged().filter((text) => text.startsWith('mqtt-ingest "mqtt-ingest" /'));
        assert.equal(errors.length, 1);
        assert.match(errors[0] ?? '', sentence);
      });
    }
  });

  describeWithServer('when the broker refuses a subscription', startScriptedMqtt, (server) => {
    it('names the filter, and is not ready; the others are', async () => {
      server().answer('subscribe', ({ messageId, subscriptions }, client) =>
        client.send({
          cmd: 'suback',
          messageId,
          granted: subscriptions.map(({ topic }) => (topic === 'secret/#' ? 0x87 : 1)),
        }),
      );
      await flows.load([
        brokerNode(server().url),
        ingestNode({ id: 'refused', topics: ['device/#', 'secret/#'] }),
        ingestNode({ topics: ['device/#'] }),
      ]);
      assert.match(
        await flows.shows('refused', 'error'),
        /^the broker refuses the subscription to secret\/# \(.*Not authorized\)$/,
      );
      await flows.shows('ingest', 'ok');
    });
  });

  describeWithServer(
    'without a broker',
    () => startOwnMosquitto(),
    (server) => {
      it('says why, goes on trying, and goes on when it is back', async () => {
        await flows.load([brokerNode(server().url), ingestNode({ topics: ['device/+'] })]);
        await flows.shows('ingest', 'ok');
        await server().kill();
        assert.match(
          await flows.shows('ingest', 'error'),
          /^the connection was lost; trying again in 1 s \(mqtt:\/\/127\.0\.0\.1:\d+\)$/,
        );
        await flows.shows('ingest', 'error', /^nothing listens at 127\.0\.0\.1:\d+: check .*\(connect ECONNREFUSED /);
        await server().restart();
        await flows.shows('ingest', 'ok');
        const client = await flows.client(server().url);
        await client.publish('device/7', '1');
        await flows.arrived('out');
      });

      it('leaves the flow without waiting for it', async () => {
        await flows.load([brokerNode(server().url), ingestNode()]);
        await flows.shows('ingest', 'ok');
        await server().kill();
        await flows.shows('ingest', 'error');
        await flows.unload();
        await server().restart();
      }).timeout(2_500); // the broker's answers are awaited for 3 s
    },
  );
});
