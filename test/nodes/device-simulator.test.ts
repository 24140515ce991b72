import assert from 'node:assert/strict';
import type { Message } from '../../nodes/lib/message.js';
import { brokerNode, ingestNode, simulatorNode, useMqttFlows } from '../mqtt.js';
import { startMosquitto, startOwnMosquitto } from '../servers/mosquitto.js';
import { onEveryBroker } from '../servers/mqtt-brokers.js';
import { startScriptedMqtt, type PacketOf, type ScriptedClient } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';
import { startTcpGate } from '../tcp-gate.js';

const UUID_V5 = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

interface Payload {
  readonly uuid: string;
  readonly value: number;
  readonly seq?: number;
  readonly ts?: string;
  readonly id?: string;
}

describe('device-simulator', () => {
  const flows = useMqttFlows();
  const payloads = (messages: Message[]): Payload[] => messages.map(({ payload }) => payload as Payload);
  const values = (messages: Message[]): number[] => payloads(messages).map(({ value }) => value);
  const seqs = (messages: Message[]): (number | undefined)[] => payloads(messages).map(({ seq }) => seq);

  /** A burst of a simulator that sends to its output. */
  async function burst(count: number, settings: Record<string, unknown> = {}): Promise<Message[]> {
    await flows.unload();
    await flows.load([simulatorNode({ broker: '', autoStart: false, devices: 1, seed: 'a', ...settings })]);
    flows.send('simulator', { payload: { burst: count } });
    return flows.arrived('simulated', count);
  }

  describe('to its output', () => {
    it('has the same devices with the same values for the same seed', async () => {
      const [first, again, other] = [
        await burst(60, { devices: 3 }),
        await burst(60, { devices: 3 }),
        await burst(60, { devices: 3, seed: 'b' }),
      ];
      assert.deepEqual(payloads(again), payloads(first));
      assert.notDeepEqual(values(other), values(first));
      const uuids = payloads(first).map(({ uuid }) => uuid);
      assert.equal(new Set(uuids).size, 3);
      assert.deepEqual(uuids.slice(3), uuids.slice(0, -3), 'the devices take turns');
      for (const uuid of uuids) assert.match(uuid, UUID_V5);
      assert.equal(
        payloads(other).some(({ uuid }) => uuids.includes(uuid)),
        false,
      );
    });

    it('has the devices and values that it had in every version', async () => {
      const [one, two] = ['e10c146d-65ab-5d1e-994c-bf89a44275c8', '12cbb0a7-f82a-5054-ab8a-eac379d5a53c'];
      assert.deepEqual(payloads(await burst(4, { devices: 2, seed: 'sluice' })), [
        { uuid: one, value: 28 },
        { uuid: two, value: 28 },
        { uuid: one, value: 22 },
        { uuid: two, value: 23 },
      ]);
    });

    it('sends {uuid, value} on the topic of the device, and what it is', async () => {
      const before = Date.now();
      const [message] = await burst(1, { run: 'r' });
      const { uuid, value } = message?.payload as Payload;
      assert.deepEqual(message?.payload, { uuid, value });
      const { topic, qos, retain, identity, receivedAt = 0 } = message;
      assert.deepEqual([topic, qos, retain, identity], [`device/${uuid}`, 1, false, `${uuid}:r:1`]);
      assert.ok(receivedAt >= before && receivedAt <= Date.now());
    });

    it('adds seq, ts and id where asked to', async () => {
      const before = Date.now();
      const messages = await burst(4, { devices: 2, seq: true, ts: true, messageId: true, run: 'r' });
      for (const [index, { uuid, seq, ts = '', id }] of payloads(messages).entries()) {
        assert.equal(seq, Math.floor(index / 2) + 1);
        assert.equal(id, `${uuid}:r:${seq}`);
        assert.equal(id, messages[index]?.identity);
        assert.match(ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        assert.ok(Date.parse(ts) >= before && Date.parse(ts) <= Date.now());
      }
    });

    it('has a run of its own at each start, unless one is set', async () => {
      const run = async (settings = {}): Promise<string> =>
        (await burst(1, settings))[0]?.identity?.split(':')[1] ?? '';
      const [first, second] = [await run(), await run()];
      assert.match(first, UUID_V4);
      assert.notEqual(first, second);
      assert.deepEqual([await run({ run: 'fixed' }), await run({ run: 'fixed' })], ['fixed', 'fixed']);
    });

    it('makes topics of a template over the device', async () => {
      const messages = await burst(2, { devices: 2, topic: 'site-{index}/{uuid}/up' });
      assert.deepEqual(
        messages.map(({ topic }) => topic),
        payloads(messages).map(({ uuid }, index) => `site-${index}/${uuid}/up`),
      );
    });

    it('gives whole numbers from the minimum to the maximum, both among them', async () => {
      const all = values(await burst(2_000));
      assert.deepEqual(
        [...new Set(all)].sort((a, b) => a - b),
        [20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30],
      );
      const narrow = values(await burst(200, { minimum: -1.5, maximum: 1.5 }));
      assert.deepEqual(
        [...new Set(narrow)].sort((a, b) => a - b),
        [-1, 0, 1],
      );
    });

    it('gives numbers between the minimum and the maximum', async () => {
      const all = values(await burst(500, { model: 'uniform', minimum: -1, maximum: 0.5 }));
      assert.ok(all.every((value) => value >= -1 && value < 0.5));
      assert.ok(new Set(all).size > 490);
      assert.ok(Math.min(...all) < -0.9 && Math.max(...all) > 0.4);
    });

    it('walks from the middle by at most a step, and not out of its range', async () => {
      const all = values(await burst(1_000, { model: 'walk', minimum: 0, maximum: 2, step: 0.5 }));
      const steps = all.map((value, index) => Math.abs(value - (all[index - 1] ?? 1)));
      assert.ok(steps.every((step) => step <= 0.5));
      assert.ok(all.every((value) => value >= 0 && value <= 2));
      assert.ok(all.includes(0) && all.includes(2), 'it comes to both ends');
    });

    for (const [settings, expected] of [
      [{ model: 'constant', values: [7, 8] }, [7, 7, 7]],
      [{ model: 'sequence', values: [1, 5, -2] }, [1, 5, -2, 1, 5]],
      [{ model: 'step', minimum: 1, maximum: 3, step: 1 }, [1, 2, 3, 1, 2]],
      [{ model: 'step', minimum: 0, maximum: 0.3, step: 0.1 }, [0, 0.1, 0.2, 0.3, 0]],
      [{ model: 'step', minimum: 1, maximum: 3.5, step: 1 }, [1, 2, 3, 1]],
      [{ model: 'sine', minimum: 10, maximum: 20, rate: 4, period: 1 }, [15, 20, 15, 10, 15]],
      [{ model: 'sine', minimum: 10, maximum: 20, rate: 2, period: 4 }, [15, 18.535534, 20, 18.535534, 15, 11.464466]],
    ] as const) {
      it(`${JSON.stringify(settings)} gives ${expected.join(', ')}`, async () => {
        const got = values(await burst(expected.length, settings));
        assert.deepEqual(
          got.map((value) => Math.round(value * 1e6) / 1e6),
          expected,
        );
      });
    }

    it('stops after the limit, for good', async () => {
      await flows.load([simulatorNode({ broker: '', devices: 2, rate: 1_000, limit: 25, seq: true })]);
      assert.equal((await flows.arrived('simulated', 25)).length, 25);
      await flows.shows('simulator', 'off', /^done, 25 sent$/);
      assert.deepEqual(flows.running('simulator').behaviour.action?.('start', undefined), {
        message: 'device-simulator: done, all 25 are made',
      });
      flows.send('simulator', { payload: 'burst' });
      flows.send('simulator', { payload: 'start' });
      // An error comes back when what was asked before has been done.
      flows.send('simulator', { payload: 'bad' });
      await flows.arrived('caught');
      assert.deepEqual(flows.counters('simulator')['sent'], 25);
      assert.equal(await flows.shows('simulator', 'off'), 'done, 25 sent');
    });

    it('keeps to its rate, for each device', async () => {
      await flows.load([
        simulatorNode({ broker: '', devices: 1, rate: 25 }),
        simulatorNode({ id: 'faster', broker: '', devices: 2, rate: 50, wires: [['out']] }),
      ]);
      await flows.arrived('simulated', 20);
      const { length } = await flows.arrived('out', 0);
      assert.ok(length >= 60 && length <= 100, `${length} of one while the other, at a quarter of its rate, made 20`);
    });

    it('starts, stops and makes bursts as messages say', async () => {
      await flows.load([
        simulatorNode({ broker: '', autoStart: false, devices: 1, rate: 0.001, burst: 5, seq: true, name: 'devices' }),
      ]);
      assert.equal(await flows.shows('simulator', 'off'), 'stopped, 0 sent');
      const said: [payload: unknown, sent: number, level: 'ok' | 'off'][] = [
        ['start', 1, 'ok'], // the next one would come in a quarter of an hour
        [{ burst: 3 }, 4, 'ok'],
        ['burst', 9, 'ok'],
        ['stop', 9, 'off'],
        ['burst', 14, 'off'],
        ['toggle', 15, 'ok'],
        ['toggle', 15, 'off'],
        ['start', 16, 'ok'],
      ];
      for (const [payload, sent, level] of said) {
        flows.send('simulator', { payload });
        const messages = await flows.arrived('simulated', sent);
        await flows.shows('simulator', level);
        assert.deepEqual(
          seqs(messages),
          Array.from({ length: sent }, (_value, index) => index + 1),
          JSON.stringify(payload),
        );
      }
    });

    it('ends a burst when it is told to stop, and has others take turns with it', async () => {
      await flows.load([simulatorNode({ broker: '', autoStart: false, devices: 1 })]);
      flows.send('simulator', { payload: { burst: 10_000_000 } });
      await flows.arrived('simulated', 1);
      flows.send('simulator', { payload: 'stop' });
      flows.send('simulator', { payload: 'bad' });
      await flows.arrived('caught');
      const sent = flows.counters('simulator')['sent'] ?? 0;
      flows.send('simulator', { payload: { burst: 1 } });
      await flows.arrived('simulated', sent + 1);
      assert.equal(flows.counters('simulator')['sent'], sent + 1);
      assert.ok(sent < 10_000, String(sent));
    });

    for (const [payload, got] of [
      ['faster', '"faster"'],
      [undefined, 'nothing'],
      [null, 'null'],
      [7, 'number 7'],
      [{ start: true }, 'an object'],
    ] as const) {
      it(`refuses ${JSON.stringify(payload)}: Catch nodes are told what was expected, once`, async () => {
        await flows.load([simulatorNode({ broker: '', autoStart: false })]);
        flows.send('simulator', { payload });
        const [message] = await flows.arrived('caught');
        const { message: sentence, source } = message?.['error'] as { message: string; source: { id: string } };
        const expected = 'expected the payload "start", "stop", "toggle", "burst" or {"burst": N}';
        assert.equal(sentence, `RejectedError: ${expected}, got ${got}`);
        assert.equal(source.id, 'simulator');
        flows.send('simulator', { payload: 'burst' });
        await flows.arrived('simulated');
        assert.equal((await flows.arrived('caught')).length, 1);
      });
    }

    for (const [count, got] of [
      [0, 'number 0'],
      [1.5, 'number 1.5'],
      ['9', '"9"'],
    ] as const) {
      it(`refuses a burst of ${JSON.stringify(count)}`, async () => {
        await flows.load([simulatorNode({ broker: '', autoStart: false })]);
        flows.send('simulator', { payload: { burst: count } });
        const [message] = await flows.arrived('caught');
        const { message: sentence } = message?.['error'] as { message: string };
        assert.equal(sentence, `RejectedError: expected burst to be a whole number from 1, got ${got}`);
      });
    }

    for (const [settings, sentence] of [
      [{ minimum: 5, maximum: 1 }, /\/maximum: expected a number >= the minimum 5, got 1/],
      [{ minimum: 0.2, maximum: 0.8 }, /\/maximum: expected a whole number from 0.2 to it, got 0.8/],
      [{ topic: 'device/{name}' }, /\/topic: expected the fields {uuid} and {index} only/],
      [{ topic: 'device/#' }, /\/topic: expected a topic without wildcards/],
      [{ topic: 'device/{uuid' }, /\/topic: expected a } for the {/],
      [{ rate: 0 }, /\/rate: expected a number > 0/],
      [{ values: [] }, /\/values: expected at least 1/],
      [{ model: 'noise' }, /\/model: expected one of /],
      [{ broker: 'none' }, /\/broker: expected a node of type sluice-mqtt-broker, got none with this id/],
    ] as const) {
      it(`refuses ${JSON.stringify(settings)} at deploy`, async () => {
        await flows.load([simulatorNode({ broker: '', ...settings })]);
        const errors = flows.logged().filter((text) => text.startsWith('device-simulator "device-simulator" /'));
        assert.equal(errors.length, 1, errors.join('\n'));
        assert.match(errors[0] ?? '', sentence);
      });
    }
  });

  describe('by its button', () => {
    interface Answer {
      readonly status: number;
      readonly body: { readonly message?: string };
    }
    const post = (path: string, body: unknown, type = 'application/json'): Promise<Answer> => {
      const request = flows.request() as {
        post(path: string): { set(field: string, value: string): { send(body: string): Promise<Answer> } };
      };
      return request.post(`/sluice/node/${path}`).set('Content-Type', type).send(JSON.stringify(body));
    };

    it('starts and stops', async () => {
      await flows.load([simulatorNode({ broker: '', autoStart: false, rate: 0.001, name: 'devices' })]);
      const answers: unknown[] = [];
      for (const _time of [1, 2]) answers.push((await post('simulator/button', {})).body);
      assert.deepEqual(answers, [{ message: 'devices: started' }, { message: 'devices: stopped' }]);
      assert.equal((await flows.arrived('simulated', 1)).length, 1);
    });

    it('makes a burst, where that is what the button does', async () => {
      await flows.load([simulatorNode({ broker: '', autoStart: false, button: 'burst', burst: 7 })]);
      const { status, body } = await post('simulator/button', {});
      assert.deepEqual([status, body], [200, { message: 'device-simulator: a burst of 7' }]);
      assert.equal((await flows.arrived('simulated', 7)).length, 7);
      await post('simulator/burst', { burst: 2 });
      assert.equal((await flows.arrived('simulated', 9)).length, 9);
    });

    it('says what is wrong', async () => {
      await flows.load([simulatorNode({ broker: '', autoStart: false }), { ...ingestNode(), broker: '' }]);
      for (const [path, body, type, status, sentence] of [
        ['simulator/faster', {}, undefined, 400, /^expected the payload "start", .*, got "faster"$/],
        [
          'simulator/burst',
          { burst: -1 },
          undefined,
          400,
          /^expected burst to be a whole number from 1, got number -1$/,
        ],
        [
          'nobody/start',
          {},
          undefined,
          404,
          /^expected a deployed node with actions, got nobody: deploy the flow first$/,
        ],
        ['simulator/start', {}, 'text/plain', 415, /^expected application\/json$/],
      ] as const) {
        const answer = await post(path, body, type);
        assert.equal(answer.status, status, path);
        assert.match(answer.body.message ?? '', sentence);
      }
      assert.equal(flows.counters('simulator')['sent'], undefined);
    });
  });

  onEveryBroker((server, { version }) => {
    for (const qos of [0, 1, 2] as const) {
      it(`publishes at QoS ${qos}, and counts what is answered`, async () => {
        const receiver = await flows.client(server().url, { protocolVersion: version });
        await receiver.subscribe(`run-${qos}/+`, 2);
        await flows.load([
          brokerNode(server().url),
          simulatorNode({ devices: 2, rate: 1_000, limit: 50, qos, topic: `run-${qos}/{index}`, seq: true, run: 'r' }),
        ]);
        const packets = await receiver.received(50);
        await flows.shows('simulator', 'off', /^done, 50 sent$/);
        assert.deepEqual(
          packets.map((packet) => packet.qos),
          Array.from({ length: 50 }, () => qos),
        );
        const sent = packets.map(({ payload }) => JSON.parse(payload.toString()) as Payload);
        for (const index of [0, 1]) {
          const { uuid } = sent[index] ?? {};
          assert.deepEqual(
            sent.filter((payload) => payload.uuid === uuid).map(({ seq }) => seq),
            Array.from({ length: 25 }, (_value, seq) => seq + 1),
          );
        }
        assert.deepEqual(Object.keys(sent[0] ?? {}), ['uuid', 'value', 'seq']);
        for (const [index, { properties }] of packets.entries()) {
          const { uuid = '', seq = 0 } = sent[index] ?? {};
          assert.equal(properties?.userProperties?.['message-id'], version === 5 ? `${uuid}:r:${seq}` : undefined);
          assert.equal(properties?.contentType, version === 5 ? 'application/json' : undefined);
        }
      });
    }

    it('publishes a burst to an ingest beside it, each message once', async () => {
      await flows.load([
        brokerNode(server().url),
        simulatorNode({ autoStart: false, devices: 3, seq: true, messageId: true }),
        ingestNode({ identity: '{payload.id}' }),
      ]);
      await flows.shows('ingest', 'ok');
      flows.send('simulator', { payload: { burst: 3_000 } });
      const identities = (await flows.arrived('out', 3_000)).map(({ identity }) => identity);
      assert.equal(new Set(identities).size, 3_000);
      assert.equal(identities.length, 3_000);
    });
  });

  describeWithServer('to a broker that goes away', startMosquitto, (server) => {
    it('waits, and neither loses a message nor makes one twice', async () => {
      const gate = await startTcpGate(Number(new URL(server().url).port));
      try {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('away/+', 1);
        const limit = 3_000;
        const settings = { devices: 2, rate: 1_000, limit, seq: true, topic: 'away/{index}', run: 'r' };
        await flows.load([brokerNode(`mqtt://127.0.0.1:${gate.port}`), simulatorNode(settings)]);
        for (const until of [300, 1_200]) {
          await receiver.received(until);
          await gate.shut();
          await flows.shows('simulator', 'error', /trying again/);
          await gate.open();
          await flows.shows('simulator', 'ok');
        }
        await flows.shows('simulator', 'off', /^done, 3,000 sent$/);
        const packets = await receiver.received(limit);
        for (const topic of ['away/0', 'away/1']) {
          const got = packets
            .filter((packet) => packet.topic === topic)
            .map(({ payload }) => (JSON.parse(payload.toString()) as Payload).seq ?? 0);
          assert.deepEqual(
            [...new Set(got)].sort((a, b) => a - b),
            Array.from({ length: limit / 2 }, (_value, index) => index + 1),
          );
        }
        const ids = packets.map(({ properties }) => String(properties?.userProperties?.['message-id']));
        assert.equal(new Set(ids).size, limit, 'what came twice came under the same id');
      } finally {
        await gate.stop();
      }
    }).timeout(60_000);
  });

  describeWithServer(
    'to a mosquitto that is killed',
    () => startOwnMosquitto(),
    (server) => {
      it('goes on when it is back, with the ingest beside it', async () => {
        await flows.load([brokerNode(server().url), ingestNode(), simulatorNode({ devices: 1, rate: 200, seq: true })]);
        await flows.arrived('out', 20);
        await server().kill();
        await flows.shows('simulator', 'error', /trying again/);
        const made = flows.counters('simulator')['sent'] ?? 0;
        await server().restart();
        await flows.shows('ingest', 'ok');
        await flows.arrivedSuch('out', ({ payload }) => ((payload as Payload).seq ?? 0) > made + 20);
        assert.equal(flows.running('simulator').status.level, 'ok');
      });

      it('stops without waiting for it', async () => {
        await flows.load([brokerNode(server().url), simulatorNode({ devices: 1, rate: 1_000 })]);
        await flows.shows('simulator', 'ok', /[1-9]\d* sent/);
        await server().kill();
        await flows.shows('simulator', 'error');
        await flows.unload();
        await server().restart();
      }).timeout(5_000);
    },
  );

  describeWithServer('to a stand-in', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    it('has no more unanswered than the broker takes', async () => {
      const unanswered: [PacketOf<'publish'>, ScriptedClient][] = [];
      server().answer('connect', (_packet, client) =>
        client.send({ cmd: 'connack', reasonCode: 0, sessionPresent: false, properties: { receiveMaximum: 3 } }),
      );
      server().answer('publish', (packet, client) => void unanswered.push([packet, client]));
      await flows.load([brokerNode(server().url), simulatorNode({ limit: 10, rate: 1_000, seq: true })]);
      for (let answered = 0; answered < 10; answered++) {
        const expected = Math.min(10, answered + 3);
        await server().arrived('publish', expected);
        // By the time that another client has come, one more than it may be would have come too.
        await flows.client(server().url);
        assert.equal(server().all('publish').length, expected);
        const [{ messageId }, client] = unanswered[answered] ?? assert.fail();
        client.send({ cmd: 'puback', messageId });
      }
      await flows.shows('simulator', 'off', /^done, 10 sent$/);
    });

    it('publishes again what may yet be taken, and counts what never will', async () => {
      const codes = [0x97, 0x91, 0x10, 0x99, 0x87, 0];
      server().answer('publish', ({ messageId }, client) =>
        client.send({ cmd: 'puback', messageId, reasonCode: codes.shift() ?? 0 }),
      );
      await flows.load([brokerNode(server().url), simulatorNode({ limit: 4, devices: 1, rate: 1_000, seq: true })]);
      await flows.shows('simulator', 'off', /^done, 2 sent, 2 failed$/);
      const ids = server()
        .all('publish')
        .map(({ payload }) => (JSON.parse(payload.toString()) as Payload).seq);
      assert.equal(ids.length, 6);
      assert.equal(new Set(ids).size, 4);
    });

    it('loses no QoS 0 message that was never written', async () => {
      const [limit, long] = [300, 'x'.repeat(50_000)];
      let first = true;
      server().answer('connect', (_packet, client) => {
        client.send({ cmd: 'connack', reasonCode: 0, sessionPresent: false });
        if (first) client.stopReading();
        first = false;
      });
      await flows.load([
        brokerNode(server().url),
        simulatorNode({ autoStart: false, qos: 0, devices: 1, topic: `${long}/{index}`, seq: true, limit }),
      ]);
      await flows.shows('broker', 'ok');
      flows.send('simulator', { payload: { burst: limit } });
      await flows.shows('simulator', 'off', /^done, \d+ sent$/);
      assert.ok((flows.counters('simulator')['sent'] ?? 0) < limit, 'some wait to be written');
      for (const client of server().clients()) client.hangUp();
      await flows.shows('simulator', 'off', /^done, 300 sent$/);
      await server().arrived('publish', 1, ({ payload }) => (JSON.parse(payload.toString()) as Payload).seq === limit);
    });

    it('stops when all that it has made is answered', async () => {
      const held: (() => void)[] = [];
      server().answer('publish', ({ messageId }, client) => {
        held.push(() => client.send({ cmd: 'puback', messageId }));
      });
      await flows.load([brokerNode(server().url), simulatorNode({ autoStart: false, devices: 1 })]);
      await flows.shows('broker', 'ok');
      flows.send('simulator', { payload: { burst: 5 } });
      await server().arrived('publish', 5);
      const { behaviour, counters } = flows.running('simulator');
      let stopped = false;
      const stopping = behaviour.stop?.().then(() => (stopped = true));
      for (const answer of held.splice(0, 4)) answer();
      await flows.shows('simulator', 'off', /^stopped, 4 sent$/);
      assert.equal(stopped, false);
      for (const answer of held) answer();
      await stopping;
      assert.equal(counters.total('sent'), 5);
    });

    it('gives up what has no answer when the broker goes away as it stops', async () => {
      server().answer('publish', () => undefined);
      await flows.load([brokerNode(server().url), simulatorNode({ autoStart: false, devices: 1 })]);
      await flows.shows('broker', 'ok');
      flows.send('simulator', { payload: { burst: 5 } });
      await server().arrived('publish', 5);
      const stopping = flows.running('simulator').behaviour.stop?.();
      for (const client of server().clients()) client.hangUp();
      await stopping;
      await flows.shows('simulator', 'error');
      assert.equal(flows.counters('simulator')['sent'], undefined);
    });
  });
});
