import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { runSluice, temporaryFolder, until } from '../sluice.js';
import { GATEWAY, numbered, publish, SECRET, TestFleet, TestWorker } from './fleet.js';

describeWithServer('a worker that joins a fleet', startOwnMosquitto, (broker) => {
  const folder = temporaryFolder();
  const workers: TestWorker[] = [];
  let fleet: TestFleet;
  before(async function () {
    this.timeout(40_000);
    fleet = await TestFleet.up(folder.path, broker().url, [GATEWAY, '-n', '1', '--fleet', 'press']);
  });
  after(async () => {
    for (const worker of workers) await worker.stop('SIGKILL');
    await fleet.stop('SIGKILL');
    folder.remove();
  });

  async function join(name: string, ...parameters: string[]): Promise<TestWorker> {
    const worker = await TestWorker.join(broker().url, `${folder.path}/${name}`, '--fleet', 'press', ...parameters);
    workers.push(worker);
    return worker;
  }

  it('gets the lowest free slot, the flows, and its share; after Ctrl-C it comes back to its slot', async function () {
    this.timeout(40_000);
    const worker = await join('b');
    assert.equal(worker.ready.slot, 2);
    await fleet.untilSlot(2, ({ takesMessages, here }) => takesMessages && !here);
    const ids = numbered('joined', 200);
    await publish(broker().url, ids);
    const stored = await until(
      () => fleet.stored(),
      (all) => all.length >= ids.length,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), [...ids].sort());
    assert.ok(stored.some(({ by }) => by === 'press-2'));

    assert.equal((await worker.stop('SIGINT')).code, 0);
    const { danger } = await fleet.untilSlot(2, ({ state }) => state === 'away');
    assert.match(danger ?? '', /^slot 2: nothing was heard of .* since .*; its session is held by nobody/);
    assert.equal((await fleet.run('status')).code, 1);
    const another = await join('c');
    assert.equal(another.ready.slot, 3, 'a slot that is kept is not given away');
    const again = await join('b');
    assert.equal(again.ready.slot, 2);
    await fleet.untilSlot(2, ({ takesMessages }) => takesMessages);
    assert.deepEqual((await fleet.status()).dangers, []);
  });

  it('leaves when the launcher asks for it, and ends', async function () {
    this.timeout(40_000);
    const worker = workers.find(({ ready }) => ready.slot === 3);
    assert.match(await fleet.done('drain', '3'), /^slot 3 on .* has left the fleet$/);
    assert.equal((await worker?.ended)?.code, 0);
    assert.deepEqual(fleet.held, [1, 2]);
  });

  it('is restarted with the others', async function () {
    this.timeout(40_000);
    const before = await fleet.pid(2);
    assert.equal(await fleet.done('restart', '2'), 'slot 2 was restarted');
    assert.notEqual(await fleet.pid(2), before);
  });

  it('leaves at Ctrl-C with --leave', async function () {
    this.timeout(40_000);
    const worker = await join('d', '--leave');
    assert.equal(worker.ready.slot, 3);
    await fleet.untilSlot(3, ({ takesMessages }) => takesMessages);
    assert.equal((await worker.stop('SIGINT')).code, 0);
    await until(
      () => fleet.held,
      (held) => !held.includes(3),
    );
    assert.deepEqual((await fleet.status()).dangers, []);
  });

  it('is refused a slot that is not free, and a folder that runs elsewhere', async () => {
    const refused = async (userDir: string, ...parameters: string[]): Promise<string> => {
      const options = ['--fleet', 'press', '--user-dir', `${folder.path}/${userDir}`, ...parameters];
      const { code, stderr } = await runSluice(['join', broker().url, ...options], { SLUICE_FLEET_SECRET: SECRET });
      assert.equal(code, 1);
      return stderr;
    };
    assert.match(await refused('e', '--slot', '1'), /expected a slot that is free, got 1, which is the launcher's own/);
    assert.match(await refused('e', '--slot', '2'), /expected a slot that is free, got 2, which is kept for/);
    assert.match(await refused('b'), /expected a user folder that no instance runs on/);
    assert.match(await refused('b', '--fleet', 'mill'), /no instance runs on|expected a folder of the fleet "press"/);
    const running = await fleet.run('drain', '2', '--take-over');
    assert.match(running.stderr, /expected a slot that nobody holds, got 2, which runs on/);
  });

  it('is taken over when its machine is gone for good: a successor empties its session', async function () {
    this.timeout(40_000);
    const worker = workers.findLast(({ ready }) => ready.slot === 2);
    await worker?.stop('SIGKILL');
    await fleet.untilSlot(2, ({ state }) => state === 'away');
    const ids = numbered('orphaned', 100);
    await publish(broker().url, ids);
    rmSync(`${folder.path}/b`, { recursive: true });
    const kept = await fleet.run('drain', '2');
    assert.match(
      kept.stderr,
      /start sluice join there again, or, when it is gone for good: sluice fleet drain 2 --take-over/,
    );
    assert.match(
      await fleet.done('drain', '2', '--take-over'),
      /^slot 2 was taken over, emptied and has left the fleet/,
    );
    const stored = await until(
      async () => (await fleet.stored()).filter(({ id }) => id.startsWith('orphaned')),
      (all) => all.length >= ids.length,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), [...ids].sort());
    assert.deepEqual(fleet.held, [1]);
    assert.deepEqual((await fleet.status()).dangers, []);
  });
});
