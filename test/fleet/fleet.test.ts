import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { runSluice, temporaryFolder, until } from '../sluice.js';
import { GATEWAY, numbered, publish, SECRET, TestFleet } from './fleet.js';

describeWithServer('a fleet that is up', startOwnMosquitto, (broker) => {
  const folder = temporaryFolder();
  let fleet: TestFleet;
  before(async function () {
    this.timeout(40_000);
    fleet = await TestFleet.up(folder.path, broker().url, [GATEWAY, '-n', '2'], { SLUICE_METRICS_TOKEN: 'reader' });
  });
  after(async () => {
    await fleet.stop('SIGKILL');
    folder.remove();
  });

  it('is an editor instance and workers, of which one line of JSON tells', async () => {
    const { ready } = fleet;
    assert.deepEqual(
      ready.workers.map(({ slot, name, state }) => ({ slot, name, state })),
      [
        { slot: 1, name: 'sluice-1', state: 'running' },
        { slot: 2, name: 'sluice-2', state: 'running' },
      ],
    );
    assert.equal(ready.pid, fleet.child.pid);
    assert.equal((await fetch(ready.editor)).status, 200);
    assert.equal(fleet.stdout.trim().split('\n').length, 1);
    assert.doesNotMatch(fleet.stderr, /no flows/);
  });

  it('divides what comes in between the workers, stores each message once, and its ledger adds up', async function () {
    this.timeout(20_000);
    const ids = numbered('divided', 200);
    await publish(broker().url, ids);
    const stored = await until(
      () => fleet.stored(),
      (all) => all.length >= ids.length,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), [...ids].sort());
    assert.deepEqual([...new Set(stored.map(({ by }) => by))].sort(), ['sluice-1', 'sluice-2']);
    const status = await until(
      () => fleet.status(),
      ({ ledger }) => ledger.stored >= ids.length,
    );
    assert.equal(status.ledger.received, ids.length);
    assert.equal(status.balanced, true);
    assert.deepEqual(status.dangers, []);
  });

  it('shows a table of its instances, and what they have in common', async () => {
    const { code, stdout } = await fleet.run('status');
    assert.equal(code, 0);
    assert.match(stdout, /^fleet "sluice", editor at http:.*, broker at mqtt:/m);
    assert.match(stdout, /^ +0 +sluice-0 +\S+ +running +1 /m);
    assert.match(stdout, /^ +2 +sluice-2 +\S+ +running +1 .* MB/m);
    assert.match(stdout, /^BALANCED$/m);
    assert.doesNotMatch(stdout, /DANGER/);
  });

  it('answers status, ledger, metrics and health on workers, to those who know the token, and nothing else', async () => {
    const file = JSON.parse(readFileSync(join(folder.path, 'slots/1/instance.json'), 'utf8')) as Record<string, string>;
    const ask = async (path: string, token: string): Promise<number> => {
      const headers = { Authorization: `Bearer ${token}` };
      return (await fetch(`${file['url'] ?? ''}${path}`, { headers })).status;
    };
    for (const path of ['sluice/status', 'sluice/ledger', 'sluice/metrics', 'sluice/health']) {
      assert.equal(await ask(path, file['token'] ?? ''), 200, path);
      assert.equal(await ask(path, 'another'), 401, path);
    }
    for (const path of ['', 'flows', 'settings', 'nodes', 'auth/token', 'sluice/dead-letters']) {
      assert.equal(await ask(path, file['token'] ?? ''), 404, path);
    }
    const ledger = await runSluice(['ledger', '--user-dir', join(folder.path, 'slots/1')]);
    assert.match(ledger.stdout, /^sluice-1, run /);
  });

  it('has a metric of how full the windows are, for what scales by it', async () => {
    const ask = (token: string): Promise<Response> =>
      fetch(`${fleet.ready.control}metrics`, { headers: { Authorization: `Bearer ${token}` } });
    const text = await (await ask('reader')).text();
    assert.match(text, /^sluice_fleet_workers_ready\{fleet="sluice"\} 2$/m);
    assert.match(text, /^sluice_fleet_window_saturation\{fleet="sluice"\} [\d.]+$/m);
    assert.equal((await ask('another')).status, 401);
    const headers = { Authorization: 'Bearer reader' };
    assert.equal((await fetch(`${fleet.ready.control}status`, { headers })).status, 401);
  });

  it('shows its secret to nobody: not on a command line, not to flows, not beyond the owner of its files', async () => {
    for (const [pid, command] of fleet.children()) {
      assert.doesNotMatch(command, new RegExp(SECRET));
      if (!command.includes('instance-process')) continue;
      assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), new RegExp(SECRET));
    }
    for (const file of ['fleet.json', 'instance.json', 'slots/1/instance.json', 'slots.json']) {
      assert.equal(statSync(join(folder.path, file)).mode & 0o077, 0, file);
    }
    const printed = await runSluice(['fleet', 'secret', '--user-dir', folder.path], { SLUICE_FLEET_SECRET: SECRET });
    assert.equal(printed.stdout, `${SECRET}\n`);
    assert.doesNotMatch(fleet.stderr, new RegExp(SECRET));
  });

  it('is refused twice: on one folder, and under one name on one broker', async function () {
    this.timeout(20_000);
    const again = await runSluice(['fleet', 'up', '--user-dir', folder.path], { MQTT_URL: broker().url });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /expected a user folder that no fleet runs on, got .* runs the fleet "sluice"/);
    const other = temporaryFolder();
    const twin = await runSluice(['fleet', 'up', '--user-dir', other.path], {
      MQTT_URL: broker().url,
      SLUICE_FLEET_SECRET: SECRET,
    });
    assert.equal(twin.code, 1);
    assert.match(
      twin.stderr,
      /expected a broker on which no fleet "sluice" runs, got one whose editor instance runs on/,
    );
    other.remove();
  });

  it('grows, shrinks to one, and no further; who leaves has stored what it had', async function () {
    this.timeout(40_000);
    assert.equal(await fleet.done('scale', '3'), '3 workers run on this machine');
    await fleet.untilSlot(3, ({ takesMessages }) => takesMessages);
    assert.deepEqual(fleet.held, [1, 2, 3]);
    const ids = numbered('scaled', 300);
    const published = publish(broker().url, ids);
    assert.equal(await fleet.done('scale', '1'), '1 workers run on this machine');
    await published;
    assert.deepEqual(fleet.held, [1]);
    const stored = await until(
      async () => (await fleet.stored()).filter(({ id }) => id.startsWith('scaled')),
      (all) => all.length >= ids.length,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), [...ids].sort());
    for (const command of [
      ['drain', '1'],
      ['scale', '0'],
    ]) {
      const last = await fleet.run(...command);
      assert.equal(last.code, 1);
      assert.match(last.stderr, /expected another worker than slot 1 to go on, got none/);
    }
  });

  it('restarts all its instances, one at a time', async function () {
    this.timeout(40_000);
    await fleet.done('scale', '2');
    const before = [await fleet.pid(0), await fleet.pid(1), await fleet.pid(2)];
    const ids = numbered('rolling', 200);
    const restarted = fleet.done('restart');
    await publish(broker().url, ids);
    assert.equal(await restarted, 'all 3 instances were restarted');
    const after = [await fleet.pid(0), await fleet.pid(1), await fleet.pid(2)];
    assert.equal(new Set([...before, ...after]).size, 6);
    const stored = await until(
      async () => (await fleet.stored()).filter(({ id }) => id.startsWith('rolling')),
      (all) => all.length >= ids.length,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), [...ids].sort());
    assert.deepEqual(
      (await fleet.status()).slots.map(({ restarts }) => restarts),
      [0, 0, 0],
      'nobody has crashed',
    );
  });

  it('has a history of its flows, and says what cannot be brought back', async () => {
    const { stdout } = await fleet.run('history', '--json');
    const [{ revision, author }] = JSON.parse(stdout) as [{ revision: number; author: string }];
    assert.ok(revision >= 1 && author !== '');
    assert.match(await fleet.done('history'), /^revision +deployed +by +nodes +bytes/);
    const { code, stderr } = await fleet.run('rollback', '99');
    assert.equal(code, 1);
    assert.match(stderr, /expected one of the last 50 revisions.*, got 99/);
    assert.match(await fleet.done('rollback', String(revision)), /^revision \d+ is back, as revision \d+$/);
  });

  it('says what does not work while the broker is away, restarts nobody for it, and goes on when it is back', async function () {
    this.timeout(40_000);
    const file = JSON.parse(readFileSync(join(folder.path, 'slots/1/instance.json'), 'utf8')) as Record<string, string>;
    const health = async (): Promise<{ status: number; problems: string[] }> => {
      const headers = { Authorization: `Bearer ${file['token'] ?? ''}` };
      const response = await fetch(`${file['url'] ?? ''}sluice/health`, { headers });
      return { status: response.status, ...((await response.json()) as { problems: string[] }) };
    };
    await broker().kill();
    const { problems } = await until(health, ({ status }) => status === 503);
    assert.match(problems.join(), /mqtt-ingest: the connection was lost; trying again/);
    const { stdout } = await until(
      () => fleet.run('status'),
      (shown) => /^slot 1: mqtt-ingest: /m.test(shown.stdout),
    );
    assert.match(stdout, /\(NOT CONNECTED\)/);
    assert.match(stdout, /^ +1 +sluice-1 +\S+ +running, takes nothing /m);
    await broker().restart();
    await until(health, ({ status }) => status === 200);
    const back = await until(
      () => fleet.status(),
      ({ slots, broker: { connected } }) => connected && slots.every(({ takesMessages }) => takesMessages),
    );
    assert.deepEqual(
      back.slots.map(({ restarts }) => restarts),
      [0, 0, 0],
    );
  });

  it('stops with `down`, and keeps the slots', async function () {
    this.timeout(40_000);
    assert.equal(await fleet.done('down'), 'the fleet has stopped');
    assert.equal((await fleet.ended).code, 0);
    assert.deepEqual(fleet.held, [1, 2]);
    const { code, stderr } = await fleet.run('status');
    assert.equal(code, 1);
    assert.match(stderr, /expected a running fleet on .*, got none: start it with sluice fleet up/);
  });
});
