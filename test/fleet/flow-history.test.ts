import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { History } from '../../runtime/fleet/flows/history.js';
import { FleetKeys } from '../../runtime/fleet/keys.js';
import { FleetTopics } from '../../runtime/fleet/topics.js';
import { startOwnMosquitto, type OwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { until } from '../sluice.js';
import { Watcher } from './broker.js';
import { debug, request, TAB } from './flows.js';
import { FLEET, SECRET } from './member.js';
import { useFleet } from './use-fleet.js';

describeWithServer('the revisions of a fleet', startOwnMosquitto, (server) => {
  const broker = (): OwnMosquitto => server();
  const fleet = useFleet(broker);

  it('are kept, and one is brought back as a new one: in the editor and on the workers, with its credentials', async () => {
    const secret = { user: 'u', password: 'first' };
    const editor = await fleet.member(0, { flows: [TAB] });
    const worker = await fleet.member(1);
    await editor.deploy([TAB, { ...request('r'), credentials: secret }]);
    await worker.runs(2);
    await editor.deploy([TAB, { ...request('r'), credentials: { user: '', password: '' } }, debug('a')]);
    await worker.runs(3);
    assert.equal(await editor.rollback(2), 4);
    await worker.runs(4);
    assert.deepEqual(await worker.running('r', 'a'), ['r']);
    assert.deepEqual(await worker.credentials('r'), secret);
    assert.deepEqual(await editor.credentials('r'), secret);
    const shown = (await (await fetch(`${editor.url}flows`)).json()) as { id: string }[];
    assert.deepEqual(
      shown.map(({ id }) => id),
      ['tab1', 'r'],
    );
    const [newest] = await editor.history();
    assert.deepEqual([newest?.revision, newest?.author, newest?.rollbackOf], [4, 'a person', 2]);

    assert.equal(await editor.rollback(3), 5);
    await worker.runs(5);
    assert.deepEqual(await worker.credentials('r'), {});
    await assert.rejects(editor.rollback(99), /expected one of the last 50 revisions \(sluice fleet history\), got 99/);
    await assert.rejects(worker.rollback(1), /expected the editor instance, which has the history, got a worker/);
  });

  it('have the credentials of their own deploy, also when the next one begins before it has started', async () => {
    const editor = await fleet.member(0, { flows: [TAB] });
    const marks = Array.from({ length: 10 }, (_none, index) => String(index));
    await Promise.all(
      marks.map((mark) =>
        editor.deploy([TAB, { ...request('r', { url: mark }), credentials: { user: 'u', password: mark } }]),
      ),
    );
    const history = new History(join(editor.userDir, 'fleet-history'), new FleetKeys(SECRET, FLEET));
    const pairs = history.list().map(({ revision }) => {
      const { flows = [], credentials = {} } = history.document(revision) ?? {};
      return [flows.find(({ id }) => id === 'r')?.['url'], credentials['r']?.['password']];
    });
    assert.ok(pairs.length > 2, `${pairs.length} revisions`);
    for (const [url, password] of pairs) assert.equal(password, url);
  });

  it('one that is brought back while the broker is away waits for it, and says so', async function () {
    this.timeout(60_000);
    const editor = await fleet.member(0, { flows: [TAB, debug('a')] });
    const worker = await fleet.member(1);
    await editor.deploy([TAB, debug('b')]);
    await worker.runs(2);
    await broker().kill();
    await until(
      () => editor.state(),
      ({ problem }) => problem !== undefined,
    );
    await assert.rejects(
      editor.rollback(1),
      /the editor has the flows of revision 1, and the workers get them when the broker is back: the fleet's broker at .* cannot be used/,
    );
    await broker().restart();
    await worker.runs(3);
    assert.deepEqual(await worker.running('a', 'b'), ['a']);
  });

  it('are the last 50', async function () {
    this.timeout(60_000);
    const editor = await fleet.member(0, { flows: [TAB] });
    for (let count = 1; count <= 52; count++) {
      await editor.deploy([TAB, debug(`n${count}`)]);
      await editor.runs(count + 1);
    }
    const revisions = (await editor.history()).map(({ revision }) => revision);
    assert.deepEqual(
      revisions,
      Array.from({ length: 50 }, (_none, index) => 53 - index),
    );
    assert.equal(readdirSync(join(editor.userDir, 'fleet-history')).length, 50);
    await editor.stop();
    const again = await fleet.member(0);
    assert.deepEqual(
      (await again.history()).map(({ revision }) => revision),
      revisions,
    );
  });

  it('a file that was altered is not used, and said', async () => {
    const editor = await fleet.member(0, { flows: [TAB] });
    await editor.deploy([TAB, debug('a')]);
    await editor.runs(2);
    await editor.stop();
    const file = join(editor.userDir, 'fleet-history', '1.flow');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(file, bytes);
    const again = await fleet.member(0);
    assert.deepEqual(
      (await again.history()).map(({ revision }) => revision),
      [2],
    );
    assert.match(
      again.log,
      /a revision of the flow history cannot be used: expected .*1\.flow as this fleet has written it, got another/,
    );
  });

  it("a worker's last good flows that were altered, or are another fleet's, are not used", async () => {
    const editor = await fleet.member(0, { flows: [TAB, debug('a')] });
    const worker = await fleet.member(1);
    assert.equal((await worker.state()).revision, 1);
    await Promise.all([worker.stop(), editor.stop()]);
    await broker().restart(); // forgets what it retained
    const file = join(worker.userDir, 'fleet.flow');
    const good = readFileSync(file);
    for (const bad of [good.subarray(0, -1), Buffer.from('nothing'), Buffer.alloc(0)]) {
      writeFileSync(file, bad);
      const again = await fleet.member(1);
      const state = await again.state();
      assert.deepEqual([state.revision, state.refused], [0, { forged: 1 }]);
      assert.match(
        again.problem ?? '',
        /the last good flows cannot be used: expected .*fleet\.flow as this fleet has written it, got another/,
      );
      await again.stop();
    }
    writeFileSync(file, good);
    const other = await fleet.member(1, { fleet: 'other' });
    await other.stop();
    renameSync(file, join(other.userDir, 'fleet.flow'));
    assert.deepEqual((await (await fleet.member(1, { fleet: 'other' })).state()).refused, { forged: 1 });
  });

  it('that cannot be written to the disk are said: a worker runs them all the same, an editor keeps to what it has', async () => {
    const editor = await fleet.member(0, { flows: [TAB, debug('a')] });
    const worker = await fleet.member(1);
    // What is in the way of the next file.
    mkdirSync(join(worker.userDir, 'fleet.flow.next'));
    await editor.deploy([TAB, debug('b')]);
    const { problem } = await worker.runs(2);
    assert.match(problem ?? '', /^revision 2 by .* runs, and cannot be kept for the next start: EISDIR/);
    assert.deepEqual(await worker.running('a', 'b'), ['b']);

    const inTheWay = join(editor.userDir, 'fleet-history', '3.flow.next');
    mkdirSync(inTheWay);
    await editor.deploy([TAB, debug('c')]);
    const said = await until(
      () => editor.state(),
      (state) => state.problem !== undefined,
    );
    assert.match(said.problem ?? '', /^the flows could not be published: EISDIR/);
    assert.equal((await worker.state()).revision, 2);
    rmSync(inTheWay, { recursive: true });
    await broker().restart();
    assert.deepEqual([(await worker.runs(4)).wanted, await worker.running('c')], [4, ['c']]);
  });

  it('go on upwards when the editor comes with a new folder', async () => {
    const editor = await fleet.member(0, { flows: [TAB, debug('a')] });
    const worker = await fleet.member(1);
    await editor.deploy([TAB, debug('b')]);
    await worker.runs(2);
    await editor.stop();
    rmSync(editor.userDir, { recursive: true });
    const fresh = await fleet.member(0, { flows: [TAB, debug('c')] });
    assert.equal((await worker.runs(3)).problem, undefined);
    assert.deepEqual(await worker.running('a', 'b', 'c'), ['c']);
    assert.equal((await fresh.state()).revision, 3);
  });

  it('go on upwards when nobody but a worker remembers them', async () => {
    const editor = await fleet.member(0, { flows: [TAB, debug('a')] });
    const worker = await fleet.member(1);
    await editor.deploy([TAB, debug('b')]);
    await worker.runs(2);
    await editor.stop();
    rmSync(editor.userDir, { recursive: true });
    await broker().restart(); // forgets what it retained
    const fresh = await fleet.member(0, { flows: [TAB, debug('c')] });
    assert.deepEqual([(await worker.runs(3)).problem, await worker.running('b', 'c')], [undefined, ['c']]);
    assert.equal((await fresh.runs(3)).problem, undefined);
  });

  it('an editor that is started again publishes nothing new, and puts back what the broker has lost', async () => {
    const editor = await fleet.member(0, { flows: [TAB, debug('a')] });
    await editor.stop();
    await broker().restart();
    const watcher = await Watcher.start(broker().url, 'sluice/+/flow/#');
    const again = await fleet.member(0);
    await watcher.of(new FleetTopics(FLEET).manifest);
    const worker = await fleet.member(1);
    assert.deepEqual([(await worker.state()).revision, (await again.state()).revision], [1, 1]);
    await broker().restart();
    assert.deepEqual(
      await until(
        async () => (await again.history()).length,
        (count) => count === 1,
      ),
      1,
    );
    const late = await fleet.member(2);
    assert.equal((await late.runs(1)).problem, undefined);
    await watcher.stop();
  });

  it('of two editors the one with the greater revision wins, and the other says so until its next deploy', async () => {
    const one = await fleet.member(0, { flows: [TAB, debug('a')] });
    const worker = await fleet.member(1);
    // The same slot, by mistake on another machine.
    const folder = join(fleet.folder(), 'elsewhere');
    const other = await fleet.member(0, { folder, flows: [TAB, debug('b')] });
    await worker.runs(2);
    assert.deepEqual(await worker.running('a', 'b'), ['b']);
    const { problem, revision, wanted } = await until(
      () => one.state(),
      (state) => state.problem !== undefined,
    );
    assert.match(
      problem ?? '',
      /^the fleet runs revision 2 by .* of .*, which this editor has not made: its own are revision 1, and replace the others with the next deploy$/,
    );
    assert.deepEqual([revision, wanted], [1, 2]);
    assert.ok(one.log.includes(problem ?? 'nothing'));
    // Also over a start, which is no deploy.
    await one.stop();
    const again = await fleet.member(0);
    assert.match(again.problem ?? '', /^the fleet runs revision 2 by /);
    await again.deploy([TAB, debug('a'), debug('c')]);
    await worker.runs(3);
    assert.deepEqual(await worker.running('a', 'b', 'c'), ['a', 'c']);
    assert.equal((await again.state()).problem, undefined);
    assert.match(
      (
        await until(
          () => other.state(),
          (state) => state.problem !== undefined,
        )
      ).problem ?? '',
      /^the fleet runs revision 3 by /,
    );
  });

  it('of two editors that deploy at once one gets the next number: all members end with the same flows', async () => {
    const one = await fleet.member(0, { flows: [TAB, debug('a')] });
    const other = await fleet.member(0, { folder: join(fleet.folder(), 'elsewhere'), flows: [TAB, debug('b')] });
    const workers = [await fleet.member(1), await fleet.member(2)];
    for (let round = 0, last = 2; round < 5; round++) {
      const ids = [`one${round}`, `other${round}`];
      await Promise.all([one.deploy([TAB, debug(ids[0]!)]), other.deploy([TAB, debug(ids[1]!)])]);
      // Until both have a number of this round, and the workers run the greater one.
      const [first, second] = await until(
        async () => Promise.all([one, other, ...workers].map((member) => member.state())),
        ([a, b, ...rest]) => {
          const newest = Math.max(a!.revision, b!.revision);
          return Math.min(a!.revision, b!.revision) > last && rest.every(({ revision }) => revision === newest);
        },
      );
      assert.notEqual(first!.revision, second!.revision);
      last = Math.max(first!.revision, second!.revision);
      const winner = first!.revision === last ? ids[0]! : ids[1]!;
      for (const worker of workers) assert.deepEqual(await worker.running(...ids), [winner]);
    }
  });
});
