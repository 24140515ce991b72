/** Instances of a fleet that go for good, or die and come back: four Node-RED processes on a broker. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { connect, connectAsync, type IConnackPacket, type MqttClient } from 'mqtt';
import { onEveryBrokerWithMqtt5 } from '../servers/mqtt-brokers.js';
import { startMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { startTcpGate } from '../tcp-gate.js';
import { Runtime, type FlowNode } from './runtime.js';

const ON_TAB = { z: 'tab', x: 1, y: 1, configVersion: 1 };
/** More than the windows of four members. */
const ON_THEIR_WAY = 400;

interface Collected {
  readonly got: ReadonlySet<string>;
  /** Resolves with the next one. */
  readonly next: () => Promise<unknown>;
}

describe('instances of a fleet', function () {
  this.timeout(60_000);
  const running: Runtime[] = [];
  const clients: MqttClient[] = [];
  let fleet: string;

  beforeEach(() => {
    fleet = `f-${randomUUID()}`;
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.endAsync(true)));
    await Promise.all(running.splice(0).map((runtime) => runtime.stop()));
  });

  async function client(url: string, options: Parameters<typeof connectAsync>[1] = {}): Promise<MqttClient> {
    const made = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, ...options }, false);
    clients.push(made);
    return made;
  }

  /** An instance with an ingest of `<fleet>/in` and what is wired to it. */
  async function member(
    slot: number,
    url: string,
    end: FlowNode[],
    { qos = 1, ...broker }: { readonly qos?: 1 | 2; readonly protocol?: string } = {},
  ): Promise<Runtime> {
    const runtime = await Runtime.start({
      SLUICE_FLEET: fleet,
      SLUICE_SLOT: String(slot),
      SLUICE_NAME: `${fleet}-${slot}`,
    });
    running.push(runtime);
    await runtime.deploy([
      { id: 'tab', type: 'tab' },
      { id: 'broker', type: 'sluice-mqtt-broker', configVersion: 1, url, ...broker },
      {
        id: 'in',
        type: 'mqtt-ingest',
        ...ON_TAB,
        broker: 'broker',
        topics: [`${fleet}/in`],
        identity: '{payload}',
        maxInFlight: 10,
        qos,
        wires: [['end']],
      },
      ...end,
    ]);
    await until(
      () => runtime.status(),
      ({ nodes }) => nodes.some(({ id, level }) => id === 'in' && level === 'ok'),
    );
    return runtime;
  }

  /** Each message takes a while, so that under load the broker has some waiting for every member. */
  const slowly: FlowNode = {
    ...{ id: 'end', type: 'delay', z: 'tab', x: 1, y: 1, wires: [['out']] },
    ...{ pauseType: 'delay', timeout: '20', timeoutUnits: 'milliseconds', outputs: 1 },
  };
  const forwarding = (): FlowNode[] => [
    slowly,
    { id: 'out', type: 'mqtt-publish', ...ON_TAB, broker: 'broker', topic: `${fleet}/out`, wires: [[], []] },
  ];
  const keeping = (): FlowNode[] => [{ id: 'end', type: 'probe-sink', ...ON_TAB, wires: [] }];

  /** What comes out of all members, by payload. */
  async function collector(url: string): Promise<Collected> {
    const got = new Set<string>();
    const made = (await client(url)).setMaxListeners(0);
    made.on('message', (_topic, payload) => got.add(payload.toString()));
    await made.subscribeAsync(`${fleet}/out`, { qos: 1 });
    return { got, next: () => once(made as never, 'message') };
  }

  async function publish(url: string, count: number): Promise<void> {
    const made = await client(url);
    for (let next = 0; next < count; next++) await made.publishAsync(`${fleet}/in`, String(next), { qos: 1 });
  }

  /**
   * Publishes numbers from 0 on, as fast as they come out, with so many on their way that each member has some waiting.
   *
   * @param count - how many, at the least: until that is known they go on
   * @returns how many it were
   */
  async function keepPublishing(
    url: string,
    count: Promise<number>,
    { got, next }: Collected,
    qos: 1 | 2 = 1,
  ): Promise<number> {
    const made = await client(url);
    let sent = 0;
    let last = Infinity;
    void count.then((known) => (last = known));
    const sender = async (): Promise<void> => {
      while (sent < last) {
        if (sent - got.size >= ON_THEIR_WAY) await next();
        else await made.publishAsync(`${fleet}/in`, String(sent++), { qos });
      }
    };
    await Promise.all(Array.from({ length: 10 }, sender));
    return sent;
  }

  /** Whether the broker has sessions for an instance, in and out: its next connection is told, and takes them. */
  async function sessions(url: string, slot: number, protocolVersion: 4 | 5 = 5): Promise<boolean[]> {
    const present: boolean[] = [];
    for (const suffix of ['', '-out']) {
      const clientId = `sluice-${fleet}-${slot}-broker${suffix}`;
      const asking = connect(url, { protocolVersion, clientId, clean: false, reconnectPeriod: 0 });
      clients.push(asking);
      const [connack] = (await once(asking as never, 'connect')) as [IConnackPacket];
      present.push(connack.sessionPresent);
    }
    return present;
  }

  onEveryBrokerWithMqtt5((server) => {
    for (const qos of [1, 2] as const) {
      it(`one that leaves under load loses nothing, and leaves no session (QoS ${qos})`, async () => {
        const { url } = server();
        const collected = await collector(url);
        const { got } = collected;
        const members = await Promise.all([1, 2, 3, 4].map((slot) => member(slot, url, forwarding(), { qos })));
        const enough = Promise.withResolvers<number>();
        const sent = keepPublishing(url, enough.promise, collected, qos);
        await until(
          () => got.size,
          (size) => size > 1_000,
        );
        assert.deepEqual(await members[1]?.leave(30_000), { ended: true, spooled: [] });
        const total = got.size + 1_000;
        enough.resolve(total);
        const count = await sent;
        assert.ok(count >= total, 'it has left before all were sent');
        await until(
          () => got.size,
          (size) => size === count,
        );
        assert.deepEqual(await sessions(url, 2), [false, false]);
        assert.deepEqual(await sessions(url, 3), [true, true]);
      });
    }

    it('what one that was killed had is given again when it is back, by its client id', async () => {
      const { url } = server();
      const { got } = await collector(url);
      const held = await member(1, url, keeping());
      await publish(url, 40);
      await held.until(() => held.arrivals.length > 0);
      running.splice(0);
      await held.stop();
      assert.equal(got.size, 0);
      await member(1, url, forwarding());
      await until(
        () => got.size,
        (size) => size === 40,
      );
    });

    it('one whose messages are not settled in time keeps its session, and says so', async () => {
      const { url } = server();
      const held = await member(1, url, keeping());
      await publish(url, 10);
      await held.until(() => held.arrivals.length > 0);
      const left = await held.leave(2_000);
      assert.equal(left.ended, false);
      assert.match(left.reason ?? '', /^expected all messages to be settled in time, got \d+ that are not$/);
      await held.letGo();
      assert.deepEqual(await held.leave(20_000), { ended: true, spooled: [] });
      assert.deepEqual(await sessions(url, 1), [false, false]);
    });
  });

  describeWithServer('on mosquitto', startMosquitto, (server) => {
    it('with MQTT 3.1.1 the session ends too', async () => {
      const { url } = server();
      const { got } = await collector(url);
      const runtime = await member(1, url, forwarding(), { protocol: '3.1.1' });
      await publish(url, 100);
      assert.deepEqual(await runtime.leave(20_000), { ended: true, spooled: [] });
      assert.equal(got.size, 100);
      assert.deepEqual(await sessions(url, 1, 4), [false, false]);
    });

    it('stores what its disk has before it goes', async () => {
      const { url } = server();
      const folder = temporaryFolder();
      const runtime = await member(1, url, [
        { id: 'store', type: 'object-store', configVersion: 1, url: pathToFileURL(folder.path).href },
        {
          id: 'end',
          type: 's3-sink',
          ...ON_TAB,
          store: 'store',
          key: 'k/{batch}{suffix}',
          maxAgeSeconds: 3_600,
          wires: [[], []],
        },
      ]);
      await publish(url, 100);
      await until(
        () => runtime.ledger(),
        ({ spooled }) => spooled === 100,
      );
      assert.deepEqual(readdirSync(folder.path), []);
      assert.deepEqual(await runtime.leave(20_000), { ended: true, spooled: [] });
      const { stored, spooled, balanced } = await runtime.ledger();
      assert.deepEqual({ stored, spooled, balanced }, { stored: 100, spooled: 0, balanced: true });
      assert.equal(readdirSync(join(folder.path, 'k')).length, 1);
      folder.remove();
    });

    it('keeps its session while its disk has what a server does not take, and says what', async () => {
      const { url } = server();
      const runtime = await member(1, url, [
        {
          id: 'mongo',
          type: 'mongo-connection',
          configVersion: 1,
          uri: 'mongodb://127.0.0.1:1/x',
          serverSelectionTimeout: 500,
        },
        {
          id: 'end',
          type: 'mongo-sink',
          name: 'readings',
          ...ON_TAB,
          connection: 'mongo',
          document: 'mapping',
          wires: [[], []],
        },
      ]);
      await publish(url, 10);
      await until(
        () => runtime.ledger(),
        ({ spooled }) => spooled === 10,
      );
      assert.deepEqual(await runtime.leave(3_000), {
        ended: false,
        reason: 'expected empty spools, got records: 10 of mongo-sink "readings"',
        spooled: [{ node: 'end', what: 'mongo-sink "readings"', records: 10 }],
      });
      assert.deepEqual(await sessions(url, 1), [true, false]);
    });

    it('keeps its session when the broker is away', async () => {
      const gate = await startTcpGate(Number(new URL(server().url).port));
      const runtime = await member(1, `mqtt://127.0.0.1:${gate.port}`, forwarding());
      await gate.stop();
      const { ended, reason } = await runtime.leave(2_000);
      assert.equal(ended, false);
      assert.match(reason ?? '', /^expected a connection to unsubscribe on, got none: /);
      assert.equal((await sessions(server().url, 1))[0], true);
    });
  });
});
