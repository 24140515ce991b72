import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { IPublishPacket } from 'mqtt';
import { batchClock } from '../../nodes/adapter/batch-clock.js';
import { Spool } from '../../nodes/lib/spool/spool.js';
import { encodePublication } from '../../nodes/mqtt-publish/spooled-publication.js';
import { brokerNode, publishNode, useMqttFlows } from '../mqtt.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { startScriptedMqtt } from '../servers/scripted-mqtt.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { startTcpGate, type TcpGate } from '../tcp-gate.js';
import { ofDelivery } from '../delivery/of-delivery.js';

const text = ({ payload }: IPublishPacket): string => payload.toString();
const range = (to: number): number[] => Array.from({ length: to }, (_item, n) => n);

describe("mqtt-publish's spool", () => {
  const flows = useMqttFlows();
  let folder: ReturnType<typeof temporaryFolder>;

  beforeEach(() => {
    folder = temporaryFolder();
    flows.settings({ userDir: folder.path });
  });
  afterEach(async () => {
    await flows.unload();
    flows.settings({});
    folder.remove();
  });

  const file = (): string => join(folder.path, 'sluice/spool/publish.sqlite');
  const count = (counter: string, expected: number): Promise<unknown> =>
    until(
      () => flows.counters('publish')[counter] ?? 0,
      (got) => got === expected,
    );

  describeWithServer(
    'before a broker that goes away',
    () => startOwnMosquitto(),
    (server) => {
      let gate: TcpGate;
      beforeEach(async () => {
        gate = await startTcpGate(server().port);
      });
      afterEach(async () => {
        await flows.unload();
        await gate.stop();
      });
      const load = (settings: Record<string, unknown> = {}): Promise<void> =>
        flows.load([brokerNode(`mqtt://127.0.0.1:${gate.port}`), publishNode(settings)]);

      it('takes what comes, shows it, and publishes it in order when the broker is back, with what comes then', async () => {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('spool/#', 2);
        await load({ qos: 'message' });
        await flows.shows('publish', 'ok');
        flows.send('publish', { topic: 'spool/1', payload: 0 });
        await flows.shows('publish', 'ok', /^1 published$/);
        assert.ok(!existsSync(file()), 'nothing is spooled while the broker answers');
        await gate.shut();
        await flows.shows('publish', 'error');
        for (let n = 1; n < 1_200; n++)
          flows.send('publish', { topic: 'spool/1', payload: n, qos: ((n % 2) + 1) as 1 | 2 });
        const published = await flows.arrived('published', 1_200);
        assert.ok(published.slice(1).every((message) => message['spooled'] === true));
        assert.match(await flows.shows('publish', 'error', /spooled/), /^1,199 spooled; .*; trying again in \d/);
        await gate.open();
        await receiver.received(50);
        for (let n = 1_200; n < 1_300; n++) flows.send('publish', { topic: 'spool/1', payload: n });
        const packets = await receiver.received(1_300);
        for (const qos of [1, 2]) {
          const got = packets.filter((packet) => packet.qos === qos).map((packet) => Number(text(packet)));
          assert.deepEqual(
            got,
            got.toSorted((a, b) => a - b),
          );
        }
        await flows.shows('publish', 'ok', /^1,300 published$/);
        assert.deepEqual(new Set(packets.map((packet) => Number(text(packet)))), new Set(range(1_300)));
        const { spooled, drained } = flows.counters('publish');
        assert.ok(spooled === drained && (spooled ?? 0) >= 1_199, `${String(spooled)} and ${String(drained)}`);
      });

      it('publishes nothing twice that was on its way when the connection broke, and loses nothing', async () => {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('spool/#', 2);
        await load({ qos: 2 });
        await flows.shows('publish', 'ok');
        for (const round of [0, 1, 2]) {
          for (let n = 0; n < 500; n++) flows.send('publish', { topic: 'spool/2', payload: round * 500 + n });
          await receiver.received(round * 500 + 50);
          await gate.shut();
          await flows.shows('publish', 'error');
          await gate.open();
          await receiver.received((round + 1) * 500);
        }
        await flows.shows('publish', 'ok', /^1,500 published$/);
        const got = (await receiver.received(1_500)).map((packet) => Number(text(packet)));
        assert.deepEqual(got, range(1_500));
      }).timeout(60_000);

      it('publishes what an earlier run has left as it was, with what is left of its time', async () => {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('spool/#', 2);
        const spool = await Spool.open({
          file: file(),
          maxBytes: 1e6,
          whenFull: 'block',
          rememberIdentities: 0,
          clock: batchClock(),
          dropped: () => undefined,
          damaged: () => undefined,
        });
        const put = async (payload: Buffer, messageExpiryInterval: number): Promise<void> => {
          const properties = {
            contentType: 'a/b',
            responseTopic: 'answers',
            correlationData: Buffer.from([0, 255]),
            messageExpiryInterval,
            userProperties: { é: ['1', '2'], b: 'c' },
          };
          const body = encodePublication({ topic: 'spool/é', payload, qos: 2, retain: false, properties });
          await spool.append({ at: Date.now() - 50_000, body });
        };
        await put(Buffer.from([0xff, 0, 1]), 100);
        await put(Buffer.from('too late'), 40);
        await spool.close();
        await load();
        const [packet] = await receiver.received();
        await count('drained', 1);
        assert.deepEqual([packet?.topic, packet?.payload, packet?.qos], ['spool/é', Buffer.from([0xff, 0, 1]), 2]);
        const { messageExpiryInterval = 0, userProperties, ...others } = packet?.properties ?? {};
        assert.ok(messageExpiryInterval <= 50 && messageExpiryInterval > 20, `${messageExpiryInterval} s`);
        assert.deepEqual({ ...userProperties }, { é: ['1', '2'], b: 'c' });
        assert.deepEqual(
          [others.contentType, others.responseTopic, others.correlationData?.toString('hex')],
          ['a/b', 'answers', '00ff'],
        );
        await count('dropped{expired}', 1);
        await flows.shows('publish', 'ok', /^1 published$/);
      });

      it('takes on closing what the broker has not answered for, with the delivery that it belongs to', async () => {
        await gate.shut();
        await load();
        await flows.shows('publish', 'error');
        const message = { topic: 'spool/4', payload: 'x', identity: 'a:1' };
        ofDelivery(message, 4, 'in');
        flows.send('publish', message);
        await flows.unload();
        const spool = await Spool.open({
          file: file(),
          maxBytes: 1e6,
          whenFull: 'block',
          rememberIdentities: 0,
          clock: batchClock(),
          dropped: () => undefined,
          damaged: () => undefined,
        });
        const [record] = await spool.read(0, { records: 10, bytes: 1e6 });
        await spool.close();
        assert.deepEqual([record?.delivery, record?.identity], [{ number: 4, source: 'in' }, 'a:1']);
      });

      it('counts the time of a message down in memory too', async () => {
        const receiver = await flows.client(server().url);
        await receiver.subscribe('spool/#');
        await load({ spool: 'off' });
        await flows.shows('publish', 'ok');
        await gate.shut();
        await flows.shows('publish', 'error');
        const start = performance.now();
        for (const messageExpiryInterval of [1, 100]) {
          flows.send('publish', { topic: 'spool/7', payload: messageExpiryInterval, messageExpiryInterval });
        }
        await until(
          () => performance.now() - start,
          (waited) => waited > 1_000,
        );
        await gate.open();
        const [packet] = await receiver.received();
        assert.equal(packet?.payload.toString(), '100');
        assert.ok((packet.properties?.messageExpiryInterval ?? 100) < 100);
        await flows.shows('publish', 'ok', /^1 published$/);
        assert.equal(flows.counters('publish')['dropped{expired}'], 1);
      });

      it('keeps nothing on disk when it is off', async () => {
        await load({ spool: 'off' });
        await flows.shows('publish', 'ok');
        await gate.shut();
        await flows.shows('publish', 'error');
        for (const n of range(3)) flows.send('publish', { topic: 'spool/5', payload: n });
        assert.match(await flows.shows('publish', 'error', /waiting/), /^3 waiting; /);
        assert.ok(!existsSync(file()));
        await gate.open();
        await flows.shows('publish', 'ok', /^3 published$/);
      });
    },
  );

  describeWithServer('before a stand-in', startScriptedMqtt, (server) => {
    beforeEach(() => server().reset());

    it('gives what the broker refuses of it to the rejected output', async () => {
      server().answer('publish', ({ messageId, payload }, client) =>
        client.send({ cmd: 'puback', messageId: messageId ?? 0, reasonCode: payload.toString() === '1' ? 0x99 : 0 }),
      );
      await flows.load([brokerNode(server().url), publishNode({ spool: 'always', topic: 'spool/6' })]);
      for (const n of range(3)) flows.send('publish', { payload: n });
      const [rejected] = await flows.arrived('rejected');
      assert.deepEqual([rejected?.rejection?.code, rejected?.topic], ['refused-by-broker', 'spool/6']);
      assert.equal(String(rejected?.payload), '1');
      await count('drained', 2);
      await flows.shows('publish', 'ok', /^2 published$/);
    });
  });
});
