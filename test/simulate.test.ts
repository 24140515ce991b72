import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync, type MqttClient } from 'mqtt';
import { EmbeddedBroker } from '../runtime/embedded/broker.js';
import { TestClient } from './mqtt.js';
import { startMosquitto, startOwnMosquitto } from './servers/mosquitto.js';
import { startScriptedMqtt } from './servers/scripted-mqtt.js';
import { describeWithServer, freePort, type TestServer } from './servers/server.js';
import { runSluice, Sluice, temporaryFolder } from './sluice.js';
import { startTcpGate } from './tcp-gate.js';

const SECRET = 'p@ss:w/rd%';

interface Totals {
  readonly made: number;
  readonly published: number;
  readonly failed: number;
  readonly seconds: number;
  readonly seed: string;
  readonly run: string;
}

describe('sluice simulate', function () {
  this.timeout(60_000);
  const clients = new Set<MqttClient>();
  const running = new Set<Sluice>();

  afterEach(async () => {
    await Promise.all([...running].map((sluice) => sluice.stop('SIGKILL')));
    await Promise.all([...clients].map((client) => client.endAsync(true)));
    running.clear();
    clients.clear();
  });

  function start(parameters: readonly string[], environment: Record<string, string> = {}): Sluice {
    const sluice = new Sluice(['simulate', ...parameters], environment);
    running.add(sluice);
    return sluice;
  }

  /** Resolves when the command has said something like it on stderr. */
  async function says(sluice: Sluice, pattern: RegExp): Promise<void> {
    const { stderr } = sluice.child;
    while (!pattern.test(sluice.stderr)) {
      assert.ok(stderr?.readable, `ended without having said ${String(pattern)}: ${sluice.stderr}`);
      await Promise.race([once(stderr, 'data'), once(stderr, 'end')]);
    }
  }

  async function receiver(url: string, options: { version?: 4 | 5; username?: string; password?: string } = {}) {
    const { version = 5, ...login } = options;
    const client = await connectAsync(url, { protocolVersion: version, reconnectPeriod: 0, ...login });
    clients.add(client);
    const receiving = new TestClient(client);
    await receiving.subscribe('device/+', 2);
    return receiving;
  }

  const payloadsOf = async (receiving: TestClient, count: number): Promise<{ uuid: string; value: number }[]> =>
    (await receiving.received(count)).map(({ payload }) => JSON.parse(payload.toString()) as never);

  const at = (server: TestServer): string[] => ['-b', '127.0.0.1', '-p', new URL(server.url).port];

  describeWithServer(
    'to the embedded broker',
    () => EmbeddedBroker.start(0),
    (server) => suite(server, 4),
  );
  describeWithServer('to mosquitto', startMosquitto, (server) => suite(server, 5));

  function suite(server: () => TestServer, version: 4 | 5): void {
    for (const qos of [0, 1, 2]) {
      it(`publishes as so many devices at QoS ${qos}, and ends with one line of totals`, async () => {
        const receiving = await receiver(server().url, { version });
        const { code, stdout, stderr } = await runSluice([
          'simulate',
          ...at(server()),
          '-r',
          '100',
          '-q',
          String(qos),
          '-n',
          '3',
          '--count',
          '30',
          '--run',
          'r',
          '--json',
        ]);
        assert.deepEqual([code, stderr], [0, '']);
        assert.match(stdout, /^\{.*\}\n$/);
        const { made, published, failed, seconds, run } = JSON.parse(stdout) as Totals;
        assert.deepEqual([made, published, failed, run], [30, 30, 0, 'r']);
        assert.ok(seconds > 0 && seconds < 30);
        const packets = await receiving.received(30);
        assert.equal(packets.length, 30);
        const uuids = new Set<string>();
        for (const [index, packet] of packets.entries()) {
          const payload = JSON.parse(packet.payload.toString()) as { uuid: string; value: number };
          assert.deepEqual(Object.keys(payload), ['uuid', 'value'], "as the article's device.py");
          assert.ok(Number.isInteger(payload.value) && payload.value >= 20 && payload.value <= 30);
          assert.deepEqual([packet.topic, packet.qos], [`device/${payload.uuid}`, qos]);
          uuids.add(payload.uuid);
          const id = packet.properties?.userProperties?.['message-id'];
          assert.equal(id, version === 5 ? `${payload.uuid}:r:${Math.floor(index / 3) + 1}` : undefined);
        }
        assert.equal(uuids.size, 3);
      });
    }

    it('goes on until Ctrl-C, and ends with what it has published', async () => {
      const receiving = await receiver(server().url, { version });
      const sluice = start([...at(server()), '-q', '1', '-r', '50', '--seed', 'a']);
      await receiving.received(10);
      const { code, signal, stdout } = await sluice.stop('SIGINT');
      assert.deepEqual([code, signal], [0, null]);
      const totals = /^(\d+) made, (\d+) published, 0 failed in [\d.]+ s \([\d.]+\/s\)\nseed a, run [0-9a-f-]{36}\n$/;
      const [, made, published] = totals.exec(stdout) ?? assert.fail(stdout);
      assert.equal(made, published);
      assert.equal((await receiving.received(Number(made))).length, Number(made));
    });
  }

  describeWithServer('its devices', startMosquitto, (server) => {
    const sent = async (...parameters: string[]): Promise<{ uuid: string; value: number }[]> => {
      const receiving = await receiver(server().url);
      await runSluice(['simulate', ...at(server()), '-r', '1000', '-n', '2', '--count', '20', ...parameters]);
      const payloads = await payloadsOf(receiving, 20);
      await receiving.mqtt.endAsync(true);
      return payloads;
    };

    it('are the same, with the same values, for the same seed', async () => {
      const first = await sent('--seed', 'a');
      assert.deepEqual(await sent('--seed', 'a'), first);
      const other = await sent('--seed', 'b');
      assert.notDeepEqual(
        other.map(({ value }) => value),
        first.map(({ value }) => value),
      );
    });

    it('are others each time without a seed', async () => {
      const [[first], [second]] = [await sent(), await sent()];
      assert.notEqual(first?.uuid, second?.uuid);
    });

    it('make payloads that match a schema', async () => {
      const folder = temporaryFolder();
      try {
        const file = join(folder.path, 'schema.json');
        const properties = { value: { type: 'integer', minimum: 0, maximum: 9 }, unit: { enum: ['C', 'F'] } };
        writeFileSync(file, JSON.stringify({ type: 'object', required: ['value', 'unit'], properties }));
        const payloads = (await sent('--schema', file, '--seq')) as unknown as Record<string, unknown>[];
        for (const [index, { value, unit, seq }] of payloads.entries()) {
          assert.ok(Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 9);
          assert.ok(unit === 'C' || unit === 'F');
          assert.equal(seq, Math.floor(index / 2) + 1);
        }
      } finally {
        folder.remove();
      }
    });

    it('start one after the other over the ramp', async () => {
      const payloads = (await sent('--ramp', '1', '-r', '10', '--seq', '--count', '20')) as {
        uuid: string;
        seq?: number;
      }[];
      const second = payloads.findIndex(({ uuid }) => uuid !== payloads[0]?.uuid);
      // The second one starts after half a second, when three messages are made, and the first has its turn.
      assert.equal(second, 4);
    });

    it('label what is wrong, at the given shares', async () => {
      const receiving = await receiver(server().url);
      const shares = ['--fault', 'gap=0.5', '--fault', 'malformed=0.5'];
      await runSluice(['simulate', ...at(server()), '-r', '1000', '-n', '2', '--count', '40', ...shares]);
      const labels = (await receiving.received(40)).map(({ properties }) => properties?.userProperties?.['fault']);
      assert.deepEqual([...new Set(labels)].sort(), ['gap', 'malformed']);
    });

    it('say what they are asked to', async () => {
      const options = ['--model', 'step', '--minimum', '-1', '--maximum', '1', '--step', '1', '--seq', '--ts', '--id'];
      const payloads = await sent(...options, '--run', 'r');
      const { uuid, ts, ...rest } = payloads[2] as unknown as Record<string, string>;
      assert.deepEqual(rest, { value: 0, seq: 2, id: `${uuid}:r:2` });
      assert.ok(Math.abs(Date.parse(ts ?? '') - Date.now()) < 60_000);
    });
  });

  describe('with wrong options', () => {
    const host = ['-b', '127.0.0.1'];
    for (const [parameters, sentence] of [
      [[], /^error: required option '-b, --broker <host>' not specified$/],
      [[...host, '-q', '3'], /'3' is invalid\. expected 0, 1 or 2, got "3"$/],
      [[...host, '-p', '99999'], /expected a port from 0 to 65535, got "99999"$/],
      [[...host, '-r', '0'], /expected a number above 0, got "0"$/],
      [[...host, '-r', 'fast'], /expected a number, got "fast"$/],
      [[...host, '-n', '0'], /expected a whole number from 1, got "0"$/],
      [[...host, '--count', '1.5'], /expected a whole number from 0, got "1.5"$/],
      [[...host, '--model', 'noise'], /Allowed choices are integer, uniform/],
      [[...host, '--values', '1,,2'], /expected a number, got ""$/],
      [[...host, '--minimum', '5', '--maximum', '1'], /^error: --maximum: expected a number >= the minimum 5, got 1$/],
      [
        [...host, '--topic', 'device/#'],
        /^error: --topic: expected a topic without wildcards \[MQTT-3.3.2-2\], got "device\/#"$/,
      ],
      [[...host, '--topic', '{name}'], /^error: --topic: expected the fields {uuid} and {index} only, got another$/],
      [
        [...host, '--fault', 'fire=0.1'],
        /expected a fault \(malformed, .*\), = and a share from 0 to 1, got "fire=0.1"$/,
      ],
      [[...host, '--fault', 'gap=2'], /expected a fault .* got "gap=2"$/],
      [[...host, '--fault', 'gap'], /expected a fault .* got "gap"$/],
      [
        [...host, '--fault', 'late=0.1'],
        /^error: --fault: expected ts in the payload for the fault late, got none: add ts$/,
      ],
      [
        [...host, '--fault', 'gap=0.6', '--fault', 'malformed=0.6'],
        /^error: --fault: expected shares of messages that add up/,
      ],
      [[...host, '--ramp', '-1'], /expected a number from 0, got "-1"$/],
      [[...host, '--schema', '/nowhere.json'], /^error: --schema: expected a file with a JSON Schema, got ENOENT/],
      [[...host, '--faster'], /^error: unknown option '--faster'$/],
      [
        ['-b', 'http://broker'],
        /^error: --broker: expected mqtt:\/\/, mqtts:\/\/, ws:\/\/ or wss:\/\/ and a host, got http:\/\/broker$/,
      ],
      [['-b', 'a host'], /^error: --broker: expected mqtt:\/\/.*, got "mqtt:\/\/a host:1883"$/],
      [['-b', 'mqtt://user:sec#ret@broker'], /^error: --broker: expected mqtt:\/\/.*, got "mqtt:\/\/\*\*\*@broker"$/],
    ] as [string[], RegExp][]) {
      it(`${parameters.join(' ')} ends with 2 and says what was expected`, async () => {
        const { code, stdout, stderr } = await runSluice(['simulate', ...parameters]);
        assert.deepEqual([code, stdout], [2, '']);
        const [first = '', ...others] = stderr.trimEnd().split('\n');
        assert.match(first, sentence);
        assert.doesNotMatch(others.join('\n'), /^\s+at /m, 'no stack');
      });
    }
  });

  describeWithServer('without a broker', startMosquitto, (server) => {
    it('says so, goes on trying, and publishes when it is there', async () => {
      const gate = await startTcpGate(Number(new URL(server().url).port));
      try {
        await gate.shut();
        const receiving = await receiver(server().url);
        const sluice = start(['-b', '127.0.0.1', '-p', String(gate.port), '-q', '1', '-r', '100', '--count', '20']);
        await says(sluice, /connect ECONNREFUSED [^]*connect ECONNREFUSED /);
        assert.match(sluice.stderr, /; trying again in \d s \(mqtt:\/\/127\.0\.0\.1:\d+\)\n/);
        await gate.open();
        assert.equal((await receiving.received(20)).length, 20);
        const { code, stdout } = await sluice.ended;
        assert.equal(code, 0);
        assert.match(stdout, /^20 made, 20 published, 0 failed in /);
      } finally {
        await gate.stop();
      }
    });

    it('gives up after the time for the first connection, and says what stood in its way', async () => {
      const port = String(await freePort());
      const broker = ['-b', '127.0.0.1', '-p', port];
      const { code, stderr } = await runSluice([
        'simulate',
        ...broker,
        '--count',
        '2',
        '--connect-within',
        '0.5',
        '--json',
      ]);
      assert.equal(code, 1);
      assert.match(stderr, /^sluice: expected a connection within 0\.5 s, got none: .*ECONNREFUSED/m);
    });

    it('ends with Ctrl-C, and says that nothing was published', async () => {
      const gate = await startTcpGate(1);
      await gate.shut();
      const sluice = start(['-b', '127.0.0.1', '-p', String(gate.port), '-r', '100']);
      await says(sluice, /ECONNREFUSED/);
      const { code, stdout } = await sluice.stop('SIGINT');
      assert.match(stdout, /^(\d+) made, 0 published, \1 failed in /);
      assert.equal(code, 1);
    });
  });

  describeWithServer('when the broker stops answering', startScriptedMqtt, (server) => {
    it('ends with Ctrl-C as soon as the connection is gone, and counts what has no answer', async () => {
      server().answer('publish', () => undefined);
      const sluice = start([...at(server()), '-q', '1', '--count', '5', '-r', '1000', '--json']);
      await server().arrived('publish', 5);
      sluice.child.kill('SIGINT');
      for (const client of server().clients()) client.hangUp();
      const { code, stdout, stderr } = await sluice.ended;
      const { made, published, failed } = JSON.parse(stdout) as Totals;
      assert.deepEqual([made, published, failed, stderr], [5, 0, 5, '']);
      assert.equal(code, 1);
    });
  });

  describeWithServer(
    'to a broker that asks for a password',
    () => startOwnMosquitto({ users: { gateway: SECRET } }),
    (server) => {
      const environment = { SLUICE_MQTT_USER: 'gateway', SLUICE_MQTT_PASSWORD: SECRET };
      const urlWith = (user: string, password: string): string =>
        server().url.replace('//', `//${user}:${encodeURIComponent(password)}@`);

      for (const [title, url, variables] of [
        ['of the URL', () => urlWith('gateway', SECRET), {}],
        ['of the environment', () => server().url, environment],
        ['of the environment before that of the URL', () => urlWith('gateway', 'wrong'), environment],
      ] as const) {
        it(`logs in with what is ${title.replace('of the', 'in the')}, and shows it nowhere`, async () => {
          const { code, stdout, stderr } = await runSluice(
            ['simulate', '-b', url(), '-q', '1', '--count', '1'],
            variables,
          );
          assert.equal(code, 0, stderr);
          assert.match(stderr, /connecting to mqtt:\/\/127\.0\.0\.1:\d+\n/);
          assert.doesNotMatch(stdout + stderr, /gateway|p@ss|p%40ss|wrong/);
        });
      }

      it('says that a password is wrong, without it, and goes on trying', async () => {
        const sluice = start(['-b', urlWith('gateway', 'wrong-secret'), '-q', '1']);
        await says(sluice, /(the broker refuses the user or password [^]*){2}/);
        const { stdout, stderr } = await sluice.stop('SIGINT');
        assert.doesNotMatch(stdout + stderr, /wrong-secret/);
      });
    },
  );
});
