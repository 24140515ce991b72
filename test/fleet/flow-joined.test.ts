import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EmbeddedBroker } from '../../runtime/embedded/broker.js';
import { unreachable } from '../../runtime/fleet/flows/reach.js';
import { variablesOf } from '../../runtime/fleet/flows/variables.js';
import { startOwnMosquitto, type OwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { debug, request, EDITOR_TAB, TAB } from './flows.js';
import { useFleet } from './use-fleet.js';

const STORE = { id: 's', type: 'tls-config', name: 'store', caname: '${MONGODB_URI}' };

describeWithServer('a worker on another machine', startOwnMosquitto, (server) => {
  const broker = (): OwnMosquitto => server();
  const fleet = useFleet(broker);
  const flows = [TAB, EDITOR_TAB, debug('a'), request('r', { url: '${MQTT_URL}' }), STORE];

  it('is refused an address that it could not reach, by the name of its variable, and goes on', async () => {
    const environment = { MONGODB_URI: 'mongodb://db.example/iot', MQTT_URL: 'mqtt://127.0.0.1' };
    const editor = await fleet.member(0, { flows, environment });
    const worker = await fleet.member(1, { remote: true });
    assert.equal((await worker.state()).revision, 1);
    assert.equal(await worker.environment('MQTT_URL'), broker().url);
    await editor.stop();
    const moved = await fleet.member(0, {
      environment: { ...environment, MONGODB_URI: 'mongodb://user:pass@localhost:27017/iot' },
    });
    const state = await until(
      () => worker.state(),
      ({ problem }) => problem !== undefined,
    );
    assert.match(
      state.problem ?? '',
      /^revision 2 by .* does not start here: expected the variable MONGODB_URI to be an address that this machine can reach, got a loopback address: give the editor instance another, or set MONGODB_URI where this worker is started: revision 1 goes on running$/,
    );
    assert.deepEqual([state.revision, state.refused], [1, { unreachable: 1 }]);
    assert.equal(await worker.environment('MONGODB_URI'), 'mongodb://db.example/iot');
    assert.doesNotMatch(worker.log, /user|pass@/);
    // Its operator knows better.
    const own = await fleet.member(2, { remote: true, environment: { MONGODB_URI: 'mongodb://127.0.0.1/here' } });
    assert.equal((await own.state()).revision, 2);
    assert.equal((await moved.state()).problem, undefined);
  });

  it('is not asked to reach what only the editor instance uses', async () => {
    const devices = request('d', { z: 'tab2', url: '${DEVICES}' });
    await fleet.member(0, {
      flows: [...flows, devices],
      environment: { DEVICES: 'http://localhost:8080', MONGODB_URI: 'mongodb://db.example' },
    });
    assert.equal((await (await fleet.member(1, { remote: true })).state()).revision, 1);
  });
});

describe('addresses that another machine cannot reach', () => {
  const config = (fields: object) => [{ id: 'c', type: 'server', name: 'the store', ...fields }];

  for (const value of [
    ...[
      'mqtt://localhost',
      'mqtts://user:p@ss@127.0.0.1:8883',
      'MQTT://LOCALHOST:1883',
      'mqtt://[::1]:1883',
      'localhost',
      '127.0.0.1:1883',
    ],
    ...[
      'mongodb://u:p@db.example,127.0.0.2:27017/iot?w=majority',
      'http://broker.localhost/',
      'ws://127.1:80/mqtt',
      '[::1]:1883',
    ],
    's3://bucket/prefix?endpoint=http%3A%2F%2Flocalhost%3A9000&region=eu',
  ]) {
    it(`${value}: loopback`, () => {
      assert.match(
        unreachable([], { PLACE: value }) ?? '',
        /^expected the variable PLACE .*, got a loopback address: /,
      );
      assert.match(
        unreachable(config({ url: value }), {}) ?? '',
        /^expected server "the store" \/url .*, got a loopback address$/,
      );
    });
  }

  it("file:///data: a folder of the editor's machine", () => {
    assert.match(
      unreachable([], { S3_URL: 'file:///data' }) ?? '',
      /S3_URL .*, got a folder of the editor's machine: /,
    );
  });

  it('all others can be reached, and what calls its own machine may do so', () => {
    for (const value of [
      'mqtt://broker',
      'mqtt://localhost.example',
      's3://bucket?endpoint=https%3A%2F%2Fs3.example',
      'http://10.0.0.1',
      'K',
      '',
      '0.0.0.0',
      '::',
    ]) {
      assert.equal(unreachable([], { PLACE: value }), undefined, value);
    }
    assert.equal(unreachable([request('r', { url: 'http://localhost:1880' })], {}), undefined);
    assert.equal(unreachable(config({ servername: 'localhost' }), {}), undefined);
    assert.equal(unreachable(config({ url: 'mqtt://localhost', d: true }), {}), undefined);
  });
});

describe('the variables of a flow', () => {
  const names = (fields: object, environment: Record<string, string> = {}): string[] => {
    const all = Object.fromEntries(['A', 'B', 'C', 'D', 'E', 'SLUICE_X'].map((name) => [name, 'value']));
    return Object.keys(
      variablesOf({ flows: [{ id: 'n', type: 't', ...fields }], credentials: {} }, { ...all, ...environment }),
    );
  };

  it('are those that its texts, expressions, functions and typed values refer to, and that are set', () => {
    assert.deepEqual(names({ url: 'mqtt://${A}:${B}/x', rows: [{ text: '${C}' }, '$(D)'] }), ['A', 'B', 'C', 'D']);
    assert.deepEqual(names({ url: '${NOT_SET}', other: '$(A) and more', name: 'B' }), []);
    assert.deepEqual(names({ expr: '$env("A") & $env(\'B\')', func: 'return env.get("C") + env.get(`D`)' }), [
      'A',
      'B',
      'C',
      'D',
    ]);
    assert.deepEqual(
      names({
        props: [{ p: 'payload', v: 'A', vt: 'env' }],
        payload: 'B',
        payloadType: 'env',
        topic: 'C',
        topicType: 'str',
      }),
      ['A', 'B'],
    );
    assert.deepEqual(
      names({ rules: [{ t: 'set', p: 'E', to: 'A', tot: 'env' }], env: [{ name: 'B', type: 'env', value: 'C' }] }),
      ['A', 'C'],
    );
    assert.deepEqual(names({ url: '${$parent.A}' }), ['A']);
  });

  it("are none of the instance's own", () => {
    assert.deepEqual(names({ url: '${SLUICE_X} ${A}' }), ['A']);
  });

  it('are looked for in credentials too', () => {
    assert.deepEqual(variablesOf({ flows: [], credentials: { n: { password: '${A}' } } }, { A: 'secret' }), {
      A: 'secret',
    });
  });
});

describe('the broker of a fleet', () => {
  const fleet = useFleet();

  it('that does not let an instance in is named, without the password, and asked again for ever', async () => {
    const guarded = await startOwnMosquitto({ users: { fleet: 'p:a@s/s%2F' } });
    const url = (password: string): string => guarded.url.replace('//', `//fleet:${password}@`);
    const wrong = await fleet.member(1, { brokerUrl: url('wrong-password') });
    assert.match(
      wrong.problem ?? '',
      /^the fleet's broker at mqtt:\/\/127\.0\.0\.1:\d+ cannot be used: Connection refused: (Not authorized|Bad username or password)/i,
    );
    assert.doesNotMatch(`${wrong.log}${wrong.problem}`, /wrong-password/);
    const right = await fleet.member(0, { brokerUrl: url(encodeURIComponent('p:a@s/s%2F')), flows: [TAB] });
    assert.equal(right.problem, undefined);
    await right.stop();
    await wrong.stop();
    await guarded.stop();
  });

  it('that lets an instance in and nothing through is named', async () => {
    const folder = temporaryFolder();
    const rights = join(folder.path, 'rights');
    for (const [topic, sentence] of [
      [
        'topic read sluice/#',
        /does not let this instance publish to sluice\/press\/flow\/echo\/\w+: .*not authorized/i,
      ],
      ['topic write sluice/#', /does not give back what is published: may this user read and write sluice\/#\?$/],
    ] as const) {
      writeFileSync(rights, `${topic}\n`);
      const guarded = await startOwnMosquitto({ lines: [`acl_file ${rights}`] });
      const member = await fleet.member(1, { brokerUrl: guarded.url });
      const { problem } = await until(
        () => member.state(),
        (state) => state.problem !== undefined,
      );
      assert.match(problem ?? '', sentence);
      await member.stop();
      await guarded.stop();
    }
    folder.remove();
  });

  it('may speak MQTT 3.1.1 only', async () => {
    const old = await EmbeddedBroker.start(0);
    const editor = await fleet.member(0, { brokerUrl: old.url, flows: [TAB, debug('a')] });
    const worker = await fleet.member(1, { brokerUrl: old.url });
    assert.deepEqual([(await worker.runs(1)).problem, (await editor.state()).problem], [undefined, undefined]);
    await Promise.all([worker.stop(), editor.stop()]);
    await old.stop();
  });

  it('must be an address', async () => {
    for (const brokerUrl of ['http://user:secret@here', 'mqtt://user:secret%@here', 'here', 'mqtt://']) {
      await assert.rejects(fleet.member(1, { brokerUrl }), (error: Error) => {
        assert.match(
          error.message,
          /expected the fleet's broker as mqtt:\/\/host:port or mqtts:\/\/host:port, got another address/,
        );
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    }
  });
});
