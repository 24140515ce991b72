import assert from 'node:assert/strict';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { GATEWAY, numbered, publish, TestFleet } from './fleet.js';

describeWithServer('a fleet whose processes are killed', startOwnMosquitto, (broker) => {
  let folder: ReturnType<typeof temporaryFolder>;
  let fleet: TestFleet;
  beforeEach(async function () {
    this.timeout(40_000);
    folder = temporaryFolder();
    fleet = await TestFleet.up(folder.path, broker().url, [GATEWAY, '-n', '2', '--fleet', `f${Date.now()}`]);
  });
  afterEach(async () => {
    await fleet.stop('SIGKILL');
    folder.remove();
  });

  it('loses nothing when a worker is killed in a stream, and starts it again', async function () {
    this.timeout(40_000);
    const pid = await fleet.pid(1);
    const ids = numbered('killed', 300);
    await publish(broker().url, ids.slice(0, 100));
    process.kill(pid, 'SIGKILL');
    await publish(broker().url, ids.slice(100));
    const stored = await until(
      () => fleet.stored(),
      (all) => new Set(all.map(({ id }) => id)).size === ids.length,
    );
    assert.ok(stored.length >= ids.length);
    const { restarts, hangs } = await fleet.untilSlot(1, ({ takesMessages }) => takesMessages);
    assert.equal(restarts, 1);
    assert.equal(hangs, 0);
    assert.match(fleet.stderr, /worker 1 ended \(SIGKILL\) and is started again/);
  });

  it('ends its children when the launcher is killed; the next one takes all slots over', async function () {
    this.timeout(40_000);
    const children = fleet.children().map(([pid]) => pid);
    assert.equal(children.length, 4);
    await fleet.stop('SIGKILL');
    await until(
      () => children.filter(isAlive),
      (alive) => alive.length === 0,
    );
    const ids = numbered('meanwhile', 50);
    await publish(broker().url, ids);
    fleet = await TestFleet.up(folder.path, broker().url, []);
    assert.deepEqual(
      fleet.ready.workers.map(({ slot }) => slot),
      [1, 2],
    );
    const stored = await until(
      () => fleet.stored(),
      (all) => all.length >= ids.length,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), [...ids].sort());
  });

  it('ends at once at the second Ctrl-C, also while a worker does not finish; the next one takes all slots over', async function () {
    this.timeout(40_000);
    const children = fleet.children().map(([pid]) => pid);
    const pid = await fleet.pid(1);
    process.kill(pid, 'SIGSTOP');
    fleet.child.kill('SIGINT');
    await until(
      () => fleet.stderr,
      (said) =>
        said.includes('stopping: the workers, then the editor instance, then the store (again: at once)') &&
        children.filter(isAlive).length < children.length,
    );
    assert.equal(fleet.child.exitCode, null);
    assert.equal((await fleet.stop('SIGINT')).code, 130);
    process.kill(pid, 'SIGCONT');
    await until(
      () => children.filter(isAlive),
      (alive) => alive.length === 0,
    );
    fleet = await TestFleet.up(folder.path, broker().url, []);
    assert.deepEqual(
      fleet.ready.workers.map(({ slot, state }) => [slot, state]),
      [
        [1, 'running'],
        [2, 'running'],
      ],
    );
  });

  it('does not start one again that ends again and again, says so, and the others go on', async function () {
    this.timeout(60_000);
    const killed = new Set<number>();
    const kill = async (): Promise<string> => {
      for (const [pid, command] of fleet.children()) {
        if (command.includes('instance-process') && !others.has(pid) && !killed.has(pid)) {
          killed.add(pid);
          process.kill(pid, 'SIGKILL');
        }
      }
      return (await fleet.slot(2))?.state ?? '';
    };
    const others = new Set([await fleet.pid(0), await fleet.pid(1)]);
    await until(kill, (state) => state === 'failed', 40_000);
    const { code, stdout } = await fleet.run('status');
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^DANGER: slot 2: worker 2 ended 5 times within a minute \(last: SIGKILL\); its session is held by nobody.*: sluice fleet restart 2$/m,
    );
    const others1 = await fleet.slot(1);
    assert.equal(others1?.state, 'running');
    assert.equal(await fleet.done('restart', '2'), 'slot 2 was restarted');
    assert.deepEqual((await fleet.status()).dangers, []);
  });

  it('kills one that hangs, counts it, and starts it again', async function () {
    this.timeout(60_000);
    const pid = await fleet.pid(2);
    process.kill(pid, 'SIGSTOP');
    await fleet.untilSlot(2, ({ state }) => state === 'silent');
    const { hangs, restarts } = await fleet.untilSlot(
      2,
      ({ report, takesMessages }) => takesMessages && report?.pid !== pid,
      40_000,
    );
    assert.equal(hangs, 1);
    assert.equal(restarts, 1);
    assert.match(fleet.stderr, /worker 2 has said nothing for 15 s although its process lives: it is killed/);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
