import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EmbeddedBroker } from '../../runtime/embedded/broker.js';
import { freePort } from '../servers/server.js';
import { runSluice, temporaryFolder } from '../sluice.js';

describe('what a fleet refuses', function () {
  this.timeout(30_000);
  const folder = temporaryFolder();
  after(() => folder.remove());
  const up = (environment: Record<string, string>, ...parameters: string[]) =>
    runSluice(['fleet', 'up', '--user-dir', folder.path, ...parameters], environment);

  it('the embedded broker', async () => {
    const { code, stderr } = await up({});
    assert.equal(code, 1);
    assert.equal(
      stderr,
      'sluice: expected MQTT_URL to name a broker with shared subscriptions, by which a fleet divides its messages, got ' +
        'nothing: the embedded one has none. Use mosquitto, HiveMQ, EMQX, VerneMQ or NanoMQ\n',
    );
  });

  it('a broker that takes a shared subscription and delivers nothing to it', async () => {
    const broker = await EmbeddedBroker.start(0);
    const { code, stderr } = await up({ MQTT_URL: broker.url });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /expected a broker with shared subscriptions at .*, got one that grants them and delivers nothing: use mosquitto/,
    );
    await broker.stop();
  });

  it('a broker that is not there', async () => {
    const { code, stderr } = await up({ MQTT_URL: `mqtt://user:hidden@127.0.0.1:${await freePort()}` });
    assert.equal(code, 1);
    assert.match(stderr, /expected a broker that the fleet can use, got none: .*ECONNREFUSED/);
    assert.doesNotMatch(stderr, /hidden/);
  });

  it('a secret that can be guessed, or that others can read; its own is neither', async () => {
    const MQTT_URL = `mqtt://127.0.0.1:${await freePort()}`;
    const short = await up({ MQTT_URL, SLUICE_FLEET_SECRET: 'short' });
    assert.match(short.stderr, /expected a fleet secret of at least 16 characters in SLUICE_FLEET_SECRET, got 5/);
    await up({ MQTT_URL });
    const file = join(folder.path, 'fleet-secret');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const { stdout } = await runSluice(['fleet', 'secret', '--user-dir', folder.path]);
    assert.equal(stdout, readFileSync(file, 'utf8'));
    chmodSync(file, 0o644);
    const open = await up({ MQTT_URL });
    assert.match(open.stderr, /expected .*fleet-secret to be for its owner only, got mode 644/);
    const none = temporaryFolder();
    const missing = await runSluice(['fleet', 'secret', '--user-dir', none.path]);
    assert.match(missing.stderr, /expected a secret in SLUICE_FLEET_SECRET or .*, got none: sluice fleet up makes one/);
    none.remove();
  });

  it('a folder whose slots are of another fleet', async () => {
    const held = { state: 'held', holder: { kind: 'here' }, since: '2026-01-01T00:00:00.000Z' };
    writeFileSync(join(folder.path, 'slots.json'), JSON.stringify({ fleet: 'press', slots: { 1: held } }));
    const { stderr } = await up({ MQTT_URL: 'mqtt://127.0.0.1:1' }, '--fleet', 'mill');
    assert.match(stderr, /expected the fleet "press", whose slots .* keeps, got "mill": choose another folder/);
  });

  it('options that say two things, and a wrong name', async () => {
    assert.equal((await up({}, '-n', '2', '--max', '3')).code, 2);
    assert.match((await up({}, '--min', '2')).stderr, /expected --max beside --min, got none/);
    assert.match((await up({}, '--min', '4', '--max', '3')).stderr, /expected --min to be at most --max \(3\), got 4/);
    assert.match((await up({}, '--fleet', 'a/b')).stderr, /expected a name of at most 63 letters/);
  });

  it('a worker without a secret, and one whose fleet does not answer', async function () {
    this.timeout(60_000);
    const none = await runSluice(['join', 'mqtt://127.0.0.1:1', '--user-dir', join(folder.path, 'w')]);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /expected SLUICE_FLEET_SECRET to hold the secret of the fleet, got nothing/);
    const wrong = await runSluice(['join', 'http://127.0.0.1:1']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /expected the address of a broker/);
    const broker = await EmbeddedBroker.start(0);
    const alone = await runSluice(['join', broker.url, '--user-dir', join(folder.path, 'w')], {
      SLUICE_FLEET_SECRET: 'a secret for tests only',
    });
    assert.equal(alone.code, 1);
    assert.match(
      alone.stderr,
      /expected an answer from the launcher of the fleet, got none: is sluice fleet up running/,
    );
    await broker.stop();
  });

  it('has --help for each command', async () => {
    for (const command of [
      'up',
      'status',
      'scale',
      'drain',
      'restart',
      'logs',
      'down',
      'history',
      'rollback',
      'secret',
    ]) {
      const { code, stdout } = await runSluice(['fleet', command, '--help']);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^Usage: sluice fleet ${command}`));
    }
  });
});
