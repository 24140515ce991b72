import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { BrokerClient, type Received } from '../broker-client.js';
import type { Config } from '../../nodes/sluice-mqtt-broker/config.js';
import { startMqttWire, type MqttWire } from '../mqtt-wire.js';
import { onEveryBroker } from '../servers/mqtt-brokers.js';
import { startScriptedMqtt } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';

const CLIENT = fileURLToPath(new URL('../unanswering-client.ts', import.meta.url));
const ACKNOWLEDGEMENT = { 1: 'puback', 2: 'pubrec' } as const;

const numbers = (count: number): string[] => Array.from({ length: count }, (_value, index) => String(index));

describe('late acknowledgement', () => {
  const opened: BrokerClient[] = [];
  const wires: MqttWire[] = [];

  afterEach(async () => {
    for (const { got } of opened) for (const { answer } of got) answer();
    await Promise.all(opened.map(({ broker }) => broker.close()));
    await Promise.all(wires.map((wire) => wire.stop()));
    opened.length = wires.length = 0;
  });

  function open(settings: Partial<Config>): BrokerClient {
    const client = new BrokerClient(settings);
    opened.push(client);
    return client;
  }

  onEveryBroker((server, kind) => {
    for (const protocol of kind.version === 5 ? (['5', '3.1.1'] as const) : (['3.1.1'] as const)) {
      for (const qos of [1, 2] as const) {
        describe(`over MQTT ${protocol}, at QoS ${qos}`, () => {
          /** Whether it gives what its session holds at once, as far as it is allowed to. */
          const givesAll = kind.name.startsWith('aedes') || (kind.name.startsWith('mosquitto') && protocol === '5');
          let clientId: string;
          let topic: string;

          beforeEach(() => {
            clientId = `late-${randomUUID()}`;
            topic = `late/${clientId}`;
          });

          /** One that has a subscription, over a wire that shows that nothing is acknowledged before it was answered. */
          async function ready(window = 1_000, settings: Partial<Config> = {}) {
            const wire = await startMqttWire(server().url, protocol === '5' ? 5 : 4);
            wires.push(wire);
            const client = open({ url: wire.url, clientId, protocol, ...settings });
            const subscription = client.subscribe({ filters: [topic], qos, window });
            client.broker.start();
            await client.subscribed();
            return { client, wire, subscription };
          }

          /** Publishes, as far as the broker takes more unanswered. */
          async function publish(texts: readonly string[]): Promise<void> {
            const publisher = open({ url: server().url, protocol, clientId: `${clientId}-publisher` });
            publisher.broker.start();
            const given = texts.map((payload) => {
              return publisher.broker.offer({ topic, payload, qos, retain: false }).answered;
            });
            await Promise.all(given);
          }

          /** Leaves messages in the session: HiveMQ gives one alone where it comes alone, and nothing before its answer. */
          async function leave(texts: readonly string[]): Promise<void> {
            const earlier = open({ url: server().url, clientId, protocol });
            earlier.subscribe({ filters: [topic], qos });
            earlier.broker.start();
            await earlier.subscribed();
            await earlier.broker.close();
            await publish(texts);
          }

          const acknowledged = (wire: MqttWire, connection: number): (number | undefined)[] =>
            wire
              .all('client', ACKNOWLEDGEMENT[qos])
              .filter((carried) => carried.connection === connection)
              .map(({ packet }) => packet.messageId);

          it('2,000 messages that are answered in any order are acknowledged in the order of receipt, each once', async () => {
            const { client, wire } = await ready();
            const answered = new Set<string>();
            const early: string[] = [];
            const order: string[] = [];
            wire.onSent(({ packet }) => {
              if (packet.cmd !== ACKNOWLEDGEMENT[qos]) return;
              const text = client.got.findLast(({ publish }) => publish.messageId === packet.messageId)?.text ?? '';
              order.push(text);
              if (!answered.has(text)) early.push(text);
            });
            const sent = publish(numbers(2_000));
            let seed = 7;
            const open: Received[] = [];
            for (let taken = 0; answered.size < 2_000;) {
              if (open.length === 0) await client.received(taken + 1);
              else await new Promise(setImmediate);
              open.push(...client.got.slice(taken));
              taken = client.got.length;
              // HiveMQ gives no more before its whole window is acknowledged, so all have to get their turn.
              for (let left = Math.ceil(open.length / 2); left > 0; left--) {
                seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
                for (const { text, answer } of open.splice(seed % open.length, 1)) {
                  answered.add(text);
                  answer();
                  answer();
                }
              }
            }
            await sent;
            await wire.carried('client', ACKNOWLEDGEMENT[qos], 2_000);
            const received = client.got.map(({ text }) => text);
            assert.deepEqual(early, []);
            assert.equal(new Set(received).size, 2_000);
            assert.deepEqual(order, received);
          });

          it('what has no answer when the line is cut comes again, and an answer that is late acknowledges nothing else', async () => {
            await leave(numbers(8));
            const { client, wire } = await ready();
            const first = [...(await client.received(8))];
            first[0]?.answer();
            await wire.carried('client', ACKNOWLEDGEMENT[qos], 1);
            wire.cut();
            await client.until(() => client.lost > 0);
            await client.received(first.length + 7);
            for (const { answer } of first) answer();
            const again = client.got.slice(first.length);
            const texts = again.map(({ text }) => text);
            assert.ok(
              numbers(8)
                .slice(1)
                .every((text) => texts.includes(text)),
            );
            // What is answered last on this connection is acknowledged after all that a late answer might have caused.
            assert.deepEqual(acknowledged(wire, 1), []);
            for (const { answer } of again) answer();
            const given = wire.all('broker', 'publish').filter(({ connection }) => connection === 1);
            await wire.carried('client', ACKNOWLEDGEMENT[qos], 1 + given.length);
            assert.deepEqual(
              acknowledged(wire, 1),
              given.map(({ packet }) => packet.messageId),
            );
            assert.equal(client.lost, 1);
          });

          it('what is answered while the flow closes is acknowledged, and does not come again', async () => {
            await leave(numbers(50));
            const { client, wire, subscription } = await ready();
            await client.received(givesAll ? 50 : kind.window);
            await subscription.stop();
            const closed = client.broker.close();
            const taken = client.got.length;
            for (const { answer } of [...client.got].reverse()) setImmediate(answer);
            await closed;
            assert.equal(acknowledged(wire, 0).length, taken);
            const successor = open({ url: server().url, clientId, protocol });
            successor.subscribe({ filters: [topic], qos });
            successor.broker.start();
            await successor.subscribed();
            await publish(['end']);
            // Those that were not taken, and the last one.
            const texts: string[] = [];
            while (texts.at(-1) !== 'end') {
              const { text, answer } = (await successor.received(texts.length + 1))[texts.length] ?? assert.fail();
              texts.push(text);
              answer();
            }
            assert.deepEqual(texts, [...numbers(50).slice(taken), 'end']);
          });

          it('what a client that is killed had not answered comes again to its successor', async () => {
            const window = 500;
            await leave(numbers(window));
            const child = spawn(
              process.execPath,
              ['--import', 'tsx', CLIENT, server().url, clientId, protocol, topic, String(qos), String(window)],
              { stdio: ['ignore', 'pipe', 'inherit'] },
            );
            const lines = createInterface(child.stdout);
            const read: string[] = [];
            const changes = new EventEmitter();
            lines.on('line', (line) => {
              read.push(line);
              changes.emit('change');
            });
            const seen = async (count: number): Promise<void> => {
              while (read.length < count) await once(changes, 'change');
            };
            await seen(1);
            await seen(1 + (givesAll ? window : kind.window));
            child.kill('SIGKILL');
            await once(child, 'exit');
            const { client } = await ready(window);
            while (new Set(client.got.map(({ text }) => text)).size < window) {
              const before = client.got.length;
              for (const { answer } of client.got) answer();
              await client.received(before + 1);
            }
            assert.equal(client.counters.total('dropped'), 0);
          });

          it('what comes while a subscriber has no successor yet waits for it', async () => {
            const { client, wire, subscription } = await ready();
            await subscription.stop();
            await publish(numbers(5));
            await wire.carried('broker', 'publish', 1);
            assert.equal(client.got.length, 0);
            client.subscribe({ filters: [topic], qos });
            client.broker.deployed(() => false);
            await client.received(1);
            assert.equal(wire.all('client', ACKNOWLEDGEMENT[qos]).length, 0);
            for (let index = 0; index < 5; index++) (await client.received(index + 1))[index]?.answer();
            assert.deepEqual(
              client.got.map(({ text }) => text),
              numbers(5),
            );
            await wire.carried('client', ACKNOWLEDGEMENT[qos], 5);
            assert.equal(client.counters.total('dropped'), 0);
          });
        });
      }
    }

    it('a window that is full for long ends no connection: nothing comes again, and all comes', async () => {
      const held = ([1, 2] as const).flatMap((qos) =>
        (kind.version === 5 ? (['5', '3.1.1'] as const) : (['3.1.1'] as const)).map(async (protocol) => {
          const wire = await startMqttWire(server().url, protocol === '5' ? 5 : 4);
          wires.push(wire);
          const [clientId, topic] = [randomUUID(), `held/${randomUUID()}`];
          const settings = { clientId, protocol, keepalive: 2 };
          const request = { qos, window: 5, filters: [topic] };
          const earlier = open({ url: server().url, ...settings });
          earlier.subscribe(request);
          earlier.broker.start();
          await earlier.subscribed();
          await earlier.broker.close();
          const publisher = open({ url: server().url, protocol, clientId: `${clientId}-publisher` });
          publisher.broker.start();
          await Promise.all(
            numbers(20).map((payload) => publisher.broker.offer({ topic, payload, qos, retain: false }).answered),
          );
          const client = open({ url: wire.url, ...settings });
          client.subscribe(request);
          client.broker.start();
          await client.received(5);
          // Two in three seconds, where the answers to them cannot be read.
          await wire.carried('client', 'pingreq', 8);
          assert.equal(client.got.length, 5);
          for (let answered = 0; answered < 20; answered++) {
            (await client.received(answered + 1))[answered]?.answer();
            assert.ok(client.got.length - answered <= 6);
          }
          assert.deepEqual(
            client.got.map(({ text }) => text),
            numbers(20),
          );
          assert.equal(wire.all('client', 'connect').length, 1);
        }),
      );
      await Promise.all(held);
    }).timeout(60_000);
  });

  describeWithServer('to a stand-in', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    async function ready(qos: 1 | 2, window = 100): Promise<BrokerClient> {
      const client = open({ url: server().url, clientId: 'late' });
      client.subscribe({ filters: ['late'], qos, window });
      client.broker.start();
      await client.subscribed();
      return client;
    }
    const publish = (qos: 0 | 1 | 2, messageId: number, payload: string, dup = false): void => {
      for (const client of server().clients()) {
        client.send({ cmd: 'publish', topic: 'late', payload, qos, dup, ...(qos > 0 && { messageId }) });
      }
    };
    /** What was sent before has been handled when its answer is there. */
    const handled = async (id: number): Promise<void> => {
      for (const client of server().clients()) client.send({ cmd: 'pubrel', messageId: id });
      await server().arrived('pubcomp', 1, ({ messageId }) => messageId === id);
    };
    const ids = (): (number | undefined)[] =>
      server()
        .all('pubrec')
        .map(({ messageId }) => messageId);

    it('takes an id of QoS 2 that it knows for a duplicate only with DUP, and until PUBREL', async () => {
      const client = await ready(2);
      publish(2, 1, 'a');
      publish(2, 1, 'a', true);
      await handled(50);
      assert.deepEqual([client.got.length, ids()], [1, []]);
      client.got[0]?.answer();
      await server().arrived('pubrec');
      publish(2, 1, 'a', true);
      await server().arrived('pubrec', 2);
      await handled(51);
      assert.deepEqual([client.got.length, ids()], [1, [1, 1]]);
      publish(2, 1, 'b');
      await client.received(2);
      client.got[1]?.answer();
      await server().arrived('pubrec', 3);
      await handled(1);
      publish(2, 1, 'c', true);
      await client.received(3);
      assert.deepEqual(
        client.got.map(({ text }) => text),
        ['a', 'b', 'c'],
      );
    });

    for (const sessionPresent of [true, false]) {
      it(`over a reconnect ${sessionPresent ? 'knows what it has acknowledged' : 'knows nothing where the session is gone'}`, async () => {
        const client = await ready(2);
        publish(2, 1, 'acknowledged');
        publish(2, 2, 'open');
        const [first] = await client.received(2);
        first?.answer();
        await server().arrived('pubrec');
        server().answer('connect', (_packet, one) => one.send({ cmd: 'connack', reasonCode: 0, sessionPresent }));
        for (const one of server().clients()) one.hangUp();
        await client.until(() => client.lost === 1);
        await client.subscribed();
        publish(2, 1, 'acknowledged', true);
        publish(2, 2, 'open', true);
        await handled(52);
        const again = client.got.slice(2).map(({ text }) => text);
        assert.deepEqual(again, sessionPresent ? ['open'] : ['acknowledged', 'open']);
      });
    }

    it('reads nothing beyond the window; a subscription of that time is granted when there is room', async () => {
      const client = await ready(1, 2);
      for (const id of [1, 2, 3, 4]) publish(1, id, String(id));
      await client.received(2);
      const states: string[] = [];
      const granted = new Promise<void>((resolve) => {
        client.subscribe({
          filters: ['other'],
          qos: 1,
          window: 1,
          onState: ({ level }) => {
            states.push(level);
            if (level === 'ok') resolve();
          },
        });
      });
      client.broker.deployed(() => false);
      await server().arrived('subscribe', 2);
      await client.received(3); // its share of the window
      assert.equal(client.got.length, 3);
      assert.deepEqual(new Set(states), new Set(['busy']));
      for (const { answer } of [...client.got]) answer();
      await granted;
      await client.received(4);
      assert.equal(client.got.length, 4);
    });

    it('ends in time where the window is full and nothing is ever answered', async () => {
      const client = await ready(1, 1);
      for (const id of [1, 2, 3]) publish(1, id, String(id));
      await client.received(1);
      await client.broker.close();
      await server().deserted();
      assert.equal(server().all('puback').length, 0);
      assert.equal(server().all('disconnect').length, 1);
    }).timeout(14_000);
  });
});
