import assert from 'node:assert/strict';
import type { Fault } from '../../nodes/device-simulator/faults.js';
import type { Message } from '../../nodes/lib/message.js';
import { brokerNode, ingestNode, simulatorNode, useMqttFlows } from '../mqtt.js';
import { onEveryBroker } from '../servers/mqtt-brokers.js';
import { startScriptedMqtt } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';

interface Payload {
  readonly uuid?: string;
  readonly value?: number;
  readonly seq: number;
  readonly ts: string;
}

describe('device-simulator with faults', () => {
  const flows = useMqttFlows();
  const seqOf = ({ identity = '' }: Message): number => Number(identity.split(':')[2]);
  const faultOf = (message: Message): unknown => message['fault'];
  const shares = (settings: Readonly<Partial<Record<Fault, number>>>) =>
    Object.entries(settings).map(([fault, share]) => ({ fault, share }));

  async function burst(count: number, settings: Record<string, unknown>): Promise<Message[]> {
    await flows.unload();
    const fixed = { broker: '', autoStart: false, devices: 1, seed: 'a', run: 'r', seq: true, ts: true };
    await flows.load([simulatorNode({ ...fixed, ...settings })]);
    flows.send('simulator', { payload: { burst: count } });
    return flows.arrived('simulated', count);
  }

  it('are at the given shares, labelled, counted, and the same for the same seed', async () => {
    const faults = shares({ malformed: 0.1, 'missing-field': 0.05, 'out-of-range': 0.2, duplicate: 0.02, late: 0.3 });
    const all = await burst(5_000, { faults, devices: 3 });
    const counters = flows.counters('simulator');
    assert.equal(counters['sent'], 5_000);
    for (const { fault, share } of faults) {
      const labelled = all.filter((message) => faultOf(message) === fault).length;
      assert.equal(counters[`sent{${fault}}`], labelled);
      // Five standard deviations of 5,000 draws.
      assert.ok(
        Math.abs(labelled - 5_000 * share) < 5 * Math.sqrt(5_000 * share * (1 - share)),
        `${labelled} ${fault}`,
      );
    }
    const again = await burst(5_000, { faults, devices: 3 });
    const seen = (messages: Message[]): unknown[] =>
      messages.map((message) => {
        const { payload, identity } = message;
        if (Buffer.isBuffer(payload)) return [identity, faultOf(message)];
        const { ts: _time, ...rest } = payload as Payload;
        return [identity, faultOf(message), rest];
      });
    assert.deepEqual(seen(again), seen(all));
    const other = await burst(5_000, { faults, devices: 3, seed: 'b' });
    assert.notDeepEqual(other.map(faultOf), all.map(faultOf));
  });

  it('leave the values of a seed as they are without them', async () => {
    const values = (messages: Message[]): unknown[] =>
      messages.map(({ payload }) => (payload as Payload).value).filter((value) => value !== undefined);
    const plain = values(await burst(50, {}));
    assert.deepEqual(values(await burst(50, { faults: shares({ gap: 0.5, late: 0.5 }) })), plain);
  });

  it('malformed: bytes that are no JSON, whatever reads them', async () => {
    const all = await burst(300, { faults: shares({ malformed: 1 }) });
    for (const { payload } of all) {
      assert.ok(Buffer.isBuffer(payload));
      assert.throws(() => JSON.parse(payload.toString()) as unknown);
    }
    const texts = all.map(({ payload }) => (payload as Buffer).toString('latin1'));
    assert.ok(texts.some((text) => text.startsWith('\xff')) && texts.some((text) => text.endsWith('}}')));
    assert.ok(texts.some((text) => text.startsWith('{') && !text.endsWith('}')));
  });

  it('missing-field: without the uuid or the value', async () => {
    const all = (await burst(100, { faults: shares({ 'missing-field': 1 }) })).map(({ payload }) => payload as Payload);
    for (const { uuid, value } of all) assert.notEqual(uuid === undefined, value === undefined);
    assert.ok(all.some(({ uuid }) => uuid === undefined) && all.some(({ value }) => value === undefined));
  });

  for (const [settings, expected] of [
    [{}, [-80, 130]],
    [{ model: 'constant', values: [7] }, [-3, 17]],
    [{ model: 'sequence', values: [1, 3] }, [-19, 23]],
  ] as const) {
    it(`out-of-range: far beyond both ends of ${JSON.stringify(settings)}`, async () => {
      const all = await burst(100, { ...settings, faults: shares({ 'out-of-range': 1 }) });
      const values = new Set(all.map(({ payload }) => (payload as Payload).value ?? 0));
      assert.deepEqual(
        [...values].sort((a, b) => a - b),
        expected,
      );
    });
  }

  it('duplicate: each message twice, the second labelled', async () => {
    const all = await burst(100, { faults: shares({ duplicate: 1 }), devices: 2 });
    for (let index = 0; index < 100; index += 2) {
      const [first, second] = [all[index], all[index + 1]];
      assert.deepEqual([second?.identity, second?.payload], [first?.identity, first?.payload]);
      assert.deepEqual(
        [first, second].map((message) => message && faultOf(message)),
        [undefined, 'duplicate'],
      );
    }
  });

  it('gap: a number is skipped before each that says so', async () => {
    const all = await burst(200, { faults: shares({ gap: 0.3 }) });
    let before = 0;
    for (const message of all) {
      assert.equal(seqOf(message), before + (faultOf(message) === 'gap' ? 2 : 1));
      before = seqOf(message);
    }
  });

  it('reorder: two neighbours change places, and none is lost', async () => {
    const all = await burst(200, { faults: shares({ reorder: 0.3 }), limit: 200 });
    assert.deepEqual(
      all.map(seqOf).sort((a, b) => a - b),
      Array.from({ length: 200 }, (_value, index) => index + 1),
    );
    let highest = 0;
    for (const message of all) {
      assert.equal(seqOf(message) < highest, faultOf(message) === 'reorder');
      highest = Math.max(highest, seqOf(message));
    }
    assert.ok(all.some((message) => faultOf(message) === 'reorder'));
  });

  it('reorder: the last message of all has no neighbour to change places with', async () => {
    const all = await burst(5, { faults: shares({ reorder: 1 }), limit: 5 });
    assert.deepEqual(all.map(seqOf), [2, 1, 4, 3, 5]);
    assert.deepEqual(all.map(faultOf), [undefined, 'reorder', undefined, 'reorder', undefined]);
  });

  it('late and clock-skew: the time is off by as much as it says', async () => {
    const before = Date.now();
    const settings = { faults: shares({ late: 0.5, 'clock-skew': 0.5 }), lateBy: 3_600, skew: 120, devices: 40 };
    const all = await burst(400, settings);
    const after = Date.now();
    const devices = new Map<string, Set<number>>();
    for (const message of all) {
      const { ts, uuid = '' } = message.payload as Payload;
      const label = faultOf(message);
      const off = [0, -3_600_000, 120_000, -120_000].find(
        (ms) => Date.parse(ts) - ms >= before && Date.parse(ts) - ms <= after,
      );
      assert.ok(off !== undefined, ts);
      assert.equal(label, off === 0 ? undefined : off === -3_600_000 ? 'late' : 'clock-skew');
      devices.set(uuid, (devices.get(uuid) ?? new Set()).add(off));
    }
    const skewed = [...devices.values()].filter((offs) => offs.has(120_000) || offs.has(-120_000));
    assert.ok(skewed.length > 5 && skewed.length < 35, String(skewed.length));
    for (const offs of skewed) assert.equal(offs.size, 1, 'a clock is off by a constant');
  });

  for (const [settings, sentence] of [
    [
      { faults: shares({ late: 0.1 }), ts: false },
      /\/faults\/0\/fault: expected ts in the payload for the fault late, got none: add ts/,
    ],
    [{ faults: shares({ 'clock-skew': 0.1 }), ts: false }, /for the fault clock-skew, got none/],
    [
      { faults: shares({ malformed: 0.6, gap: 0.6 }) },
      /\/faults: expected shares of messages that add up to 1 at most, got 1.2/,
    ],
    [
      { faults: [...shares({ gap: 0.1 }), ...shares({ gap: 0.2 })] },
      /\/faults\/1\/fault: expected each fault once, got gap twice/,
    ],
    [{ faults: shares({ gap: 1.5 }) }, /\/faults\/0\/share: expected a number <= 1, got number 1.5/],
    [{ faults: [{ fault: 'fire', share: 0.1 }] }, /\/faults\/0\/fault: expected one of /],
    [
      { faults: shares({ disconnect: 0.1 }) },
      /\/faults\/0\/fault: expected a broker for the fault disconnect, got none/,
    ],
    [{ ramp: -1 }, /\/ramp: expected a number >= 0/],
  ] as const) {
    it(`refuses ${JSON.stringify(settings)} at deploy`, async () => {
      await flows.load([simulatorNode({ broker: '', ts: true, ...settings })]);
      const errors = flows.logged().filter((text) => text.startsWith('device-simulator "device-simulator" /'));
      assert.equal(errors.length, 1, errors.join('\n'));
      assert.match(errors[0] ?? '', sentence);
    });
  }

  it('the devices start one after the other over the ramp, and then keep to their rate', async () => {
    // 20 devices in 1 s at 20/s each: half of them when 50 messages are made, the last after 0.95 s, when 181 are.
    await flows.load([simulatorNode({ broker: '', devices: 20, rate: 20, ramp: 1, limit: 500, seq: true })]);
    const uuids = (await flows.arrived('simulated', 500)).map(({ payload }) => (payload as Payload).uuid);
    const starts = [...new Set(uuids)].map((uuid) => uuids.indexOf(uuid));
    assert.equal(starts.length, 20);
    assert.equal(starts[0], 0);
    const [eleventh = 0, last = 0] = [starts[10], starts[19]];
    assert.ok(eleventh >= 50 && eleventh < 75, String(eleventh));
    assert.ok(last >= 181 && last < 205, String(last));
    for (const [index, uuid] of uuids.slice(0, 480).entries()) {
      if (index >= 220) assert.equal(uuids[index + 20], uuid, 'all of them take turns');
    }
  });

  onEveryBroker((server, { version }) => {
    it('an ingest sees what is wrong as it is', async () => {
      await flows.load([
        brokerNode(server().url),
        simulatorNode({ autoStart: false, seq: true, faults: shares({ malformed: 0.5 }), topic: 'faulty/{uuid}' }),
        ingestNode({ topics: ['faulty/+'] }),
      ]);
      await flows.shows('ingest', 'ok');
      flows.send('simulator', { payload: { burst: 100 } });
      await flows.shows('simulator', 'off', /^stopped, 100 sent$/);
      const malformed = flows.counters('simulator')['sent{malformed}'] ?? 0;
      assert.ok(malformed > 20);
      const rejected = await flows.arrived('rejected', malformed);
      const taken = await flows.arrived('out', 100 - malformed);
      assert.deepEqual([rejected.length, taken.length], [malformed, 100 - malformed]);
      const labels = rejected.map(({ userProperties }) => (userProperties as { fault?: string } | undefined)?.fault);
      assert.deepEqual(new Set(labels), new Set([version === 5 ? 'malformed' : undefined]));
    });

    for (const qos of [0, 1, 2] as const) {
      it(`disconnect: the device's own connection breaks and comes back, and the others go on (QoS ${qos})`, async () => {
        const receiver = await flows.client(server().url, { protocolVersion: version });
        await receiver.subscribe(`broken-${qos}/+`, 2);
        const settings = {
          qos,
          limit: 200,
          rate: 1_000,
          run: 'r',
          topic: `broken-${qos}/{index}`,
          devices: 2,
          seq: true,
        };
        await flows.load([
          brokerNode(server().url),
          simulatorNode({ ...settings, faults: shares({ disconnect: 0.1 }), wires: [[]] }),
        ]);
        await flows.shows('simulator', 'off', /^done, 200 sent$/);
        const broken = flows.counters('simulator')['sent{disconnect}'] ?? 0;
        assert.ok(broken > 5);
        const packets = await receiver.received(qos === 0 ? 200 - broken : 200);
        const ids = new Set(
          packets.map(({ topic, payload }) => `${topic} ${(JSON.parse(payload.toString()) as Payload).seq}`),
        );
        assert.ok(ids.size === 200 || (qos === 0 && ids.size >= 200 - broken), String(ids.size));
        assert.equal(flows.running('broker').status.level, 'ok', 'the shared connection has stayed');
      });
    }
  });

  describeWithServer('to a stand-in that answers as it is told', startScriptedMqtt, (server) => {
    it('disconnect: ends without DISCONNECT before the answer, and says the same again as the same client', async () => {
      server().reset();
      let first = true;
      server().answer('publish', ({ messageId }, client) => {
        if (!first) client.send({ cmd: 'puback', messageId });
        first = false;
      });
      await flows.load([
        brokerNode(server().url),
        simulatorNode({ limit: 1, devices: 1, run: 'r', seed: 'a', faults: shares({ disconnect: 1 }) }),
      ]);
      await flows.shows('simulator', 'off', /^done, 1 sent$/);
      const publishes = server().all('publish');
      assert.deepEqual(
        publishes.map(({ dup }) => dup),
        [false, true],
      );
      assert.equal(publishes[0]?.payload.toString(), publishes[1]?.payload.toString());
      assert.equal(publishes[0]?.properties?.userProperties?.['fault'], 'disconnect');
      const own = server()
        .all('connect')
        .map(({ clientId }) => clientId)
        .filter((id) => id.includes(':r:1'));
      assert.equal(own.length, 2, 'the same client twice');
      assert.equal(new Set(own).size, 1);
    });

    it('disconnect: a stop does not wait for a broker that has gone', async () => {
      server().reset();
      server().answer('publish', () => undefined);
      await flows.load([
        brokerNode(server().url),
        simulatorNode({ limit: 1, devices: 1, faults: shares({ disconnect: 1 }) }),
      ]);
      await server().arrived('publish', 2);
      const stopping = flows.running('simulator').behaviour.stop?.();
      for (const client of server().clients()) client.hangUp();
      await stopping;
      assert.equal(flows.counters('simulator')['sent'], undefined);
    });
  });
});
