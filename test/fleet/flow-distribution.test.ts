import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { startHiveMq } from '../servers/hivemq.js';
import { startOwnMosquitto, type OwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { runSluice, until } from '../sluice.js';
import { Watcher } from './broker.js';
import { debug, request, TAB } from './flows.js';
import { FLEET, SECRET, type FlowNode, type Member, type MemberOptions } from './member.js';
import { useFleet } from './use-fleet.js';

describeWithServer('flows travel from the editor instance to the workers', startOwnMosquitto, (server) => {
  const fleet = useFleet(server);
  const broker = (): OwnMosquitto => server();
  const start = async (
    flows: readonly FlowNode[],
    slots: readonly number[],
    options: Partial<MemberOptions> = {},
  ): Promise<Member[]> => {
    const editor = await fleet.member(0, { flows, ...options });
    return [editor, ...(await Promise.all(slots.map((slot) => fleet.member(slot))))];
  };

  it('what the editor starts with, then each deploy, with revision, author and time', async () => {
    const [editor, ...workers] = await start([TAB, debug('a')], [1, 2]);
    for (const worker of workers) assert.deepEqual(await worker.running('a', 'b'), ['a']);
    const before = Date.now();
    await editor!.deploy([TAB, debug('a'), debug('b')]);
    for (const worker of workers) {
      const state = await worker.runs(2);
      assert.deepEqual(await worker.running('a', 'b'), ['a', 'b']);
      assert.deepEqual(
        [state.wanted, state.author, state.problem, state.refused],
        [2, userInfo().username, undefined, {}],
      );
      assert.ok(Date.parse(state.time ?? '') >= before);
    }
    // The same once more is no news.
    await editor!.deploy([TAB, debug('a'), debug('b')]);
    await editor!.deploy([TAB, debug('a'), debug('c')]);
    await workers[0]!.runs(3);
    assert.deepEqual(
      (await editor!.history()).map(({ revision, nodes }) => [revision, nodes]),
      [
        [3, 2],
        [2, 2],
        [1, 1],
      ],
    );
  });

  it("its author is Node-RED's user, where the editor asks for a login", async () => {
    const { stdout: hash } = await runSluice(['password'], {}, 'a password\n');
    const editor = await fleet.member(0, {
      flows: [TAB, debug('a')],
      passwordHash: hash.trim(),
    });
    const worker = await fleet.member(1);
    const login = await fetch(`${editor.url}auth/token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        client_id: 'node-red-admin',
        grant_type: 'password',
        scope: '*',
        username: 'admin',
        password: 'a password',
      }),
    });
    const { access_token: token } = (await login.json()) as { access_token: string };
    await editor.deploy([TAB, debug('a'), debug('b')], undefined, { Authorization: `Bearer ${token}` });
    assert.equal((await worker.runs(2)).author, 'admin');
  });

  it('only what has changed is started anew', async () => {
    const [editor, worker] = await start([TAB, debug('a'), debug('b'), request('r')], [1]);
    for (const id of ['a', 'b', 'r']) await worker!.mark(id, 'old');
    await editor!.deploy([TAB, debug('a'), debug('b', { complete: 'true' }), request('r'), debug('c')]);
    await worker!.runs(2);
    assert.deepEqual(await Promise.all(['a', 'b', 'c', 'r'].map((id) => worker!.mark(id, 'new'))), [
      'old',
      undefined,
      undefined,
      'old',
    ]);
    // Credentials alone are a change of their node too.
    await editor!.deploy([
      TAB,
      debug('a'),
      debug('b', { complete: 'true' }),
      { ...request('r'), credentials: { user: 'u', password: 'p' } },
      debug('c'),
    ]);
    await worker!.runs(3);
    assert.deepEqual(await Promise.all(['a', 'r'].map((id) => worker!.mark(id, 'newer'))), ['new', undefined]);
    assert.deepEqual(await worker!.credentials('r'), { user: 'u', password: 'p' });
  });

  it('credentials and variables travel, and stand in no message and no file in clear', async () => {
    const watcher = await Watcher.start(broker().url);
    const used = [TAB, request('r', { url: '${PLACE}' })];
    const environment = { PLACE: 'http://hidden-place.example', UNUSED: 'an unused value', SLUICE_TOKEN: 'a token' };
    const [editor, worker] = await start(used, [1], { environment });
    await editor!.deploy([
      TAB,
      {
        ...request('r', { url: '${PLACE}', headers: [{ valueValue: '${SLUICE_TOKEN}' }] }),
        credentials: { user: 'u', password: 'hidden-password' },
      },
    ]);
    await worker!.runs(2);
    assert.deepEqual(await worker!.credentials('r'), { user: 'u', password: 'hidden-password' });
    assert.equal(await worker!.environment('PLACE'), 'http://hidden-place.example');
    assert.equal(await worker!.environment('UNUSED'), undefined);
    assert.equal(await worker!.environment('SLUICE_TOKEN'), undefined);

    // One that has been taken away is gone.
    await editor!.deploy([TAB, request('r', { authType: '' })], {});
    await worker!.runs(3);
    assert.equal(await worker!.environment('PLACE'), undefined);

    const kept = [editor!, worker!].flatMap(({ userDir }) => files(userDir).filter((file) => /\.flow$/.test(file)));
    assert.equal(kept.length, 4);
    for (const file of kept) assert.equal(statSync(file).mode & 0o777, 0o600, file);
    for (const bytes of [
      ...kept.map((file) => readFileSync(file)),
      ...watcher.messages.map(({ payload }) => payload),
    ]) {
      for (const secret of ['hidden-password', 'hidden-place', SECRET]) assert.ok(!bytes.includes(secret));
    }
    await watcher.stop();
  });

  it("a worker's own environment wins over what is distributed", async () => {
    const editor = await fleet.member(0, {
      flows: [TAB, request('r', { url: '${PLACE}' })],
      environment: { PLACE: 'http://one.example' },
    });
    const worker = await fleet.member(1, { environment: { PLACE: 'http://another.example' } });
    assert.equal((await worker.state()).revision, 1);
    assert.equal(await worker.environment('PLACE'), 'http://another.example');
    assert.equal((await editor.state()).problem, undefined);
  });

  it('while the broker is away a worker starts with its last good flows, a deploy waits, and both catch up', async () => {
    const [editor, worker] = await start([TAB, debug('a')], [1]);
    await worker!.stop();
    await broker().kill();
    await until(
      () => editor!.state(),
      ({ problem }) => problem !== undefined,
    );
    await editor!.deploy([TAB, debug('a'), debug('b')]);
    const again = await fleet.member(1);
    assert.deepEqual([(await again.state()).revision, await again.running('a', 'b')], [1, ['a']]);
    assert.match(
      again.problem ?? '',
      /^the fleet's broker at mqtt:\/\/127\.0\.0\.1:\d+ cannot be used: connect ECONNREFUSED/,
    );
    await broker().restart();
    const state = await again.runs(2);
    assert.deepEqual([state.problem, await again.running('a', 'b')], [undefined, ['a', 'b']]);
    assert.equal((await editor!.state()).problem, undefined);
  });

  it('flows larger than a packet of the broker go in chunks, and old chunks are taken away', async () => {
    const small = await startOwnMosquitto({ lines: ['max_packet_size 4000'] });
    const watcher = await Watcher.start(small.url, 'sluice/+/flow/#');
    const large = (mark: string): FlowNode[] => [TAB, debug('a', { info: mark.repeat(20_000) })];
    const editor = await fleet.member(0, { flows: large('1'), brokerUrl: small.url });
    const worker = await fleet.member(1, { brokerUrl: small.url });
    for (const revision of [2, 3, 4]) {
      await editor.deploy(large(String(revision)));
      await worker.runs(revision);
    }
    const { chunks = 0 } = (await editor.history())[0] ?? {};
    assert.ok(chunks >= 6, `${chunks} chunks`);
    const kept = (revision: number): number =>
      [...watcher.retained.keys()].filter((topic) => topic.includes(`/chunks/${revision}/`)).length;
    await until(
      () => [1, 2, 3, 4].map(kept),
      (counts) => JSON.stringify(counts) === JSON.stringify([0, 0, chunks, chunks]),
    );
    assert.ok(watcher.messages.every(({ payload }) => payload.length < 4_000));
    await Promise.all([worker.stop(), editor.stop()]);
    await watcher.stop();
    await small.stop();
  });

  it('a broker that takes no packet of the size of the manifest is told', async () => {
    const tiny = await startOwnMosquitto({ lines: ['max_packet_size 800'] });
    const editor = await fleet.member(0, {
      flows: [TAB, debug('a', { info: '1'.repeat(20_000) })],
      brokerUrl: tiny.url,
    });
    const { problem } = await until(
      () => editor.state(),
      (state) => state.problem !== undefined,
    );
    assert.match(
      problem ?? '',
      /expected a broker that takes packets of \d+ bytes for the manifest of these flows, got one that takes 288/,
    );
    await editor.stop();
    await tiny.stop();
  });

  describe('flows that do not start on a worker', () => {
    /** Installs a node type for one member. @param body - of its constructor, in which `this` and `RED` are */
    const install = (slot: number, body = ''): void => {
      const nodes = join(fleet.folder(), `${FLEET}-${slot}`, 'nodes');
      mkdirSync(nodes, { recursive: true });
      writeFileSync(join(nodes, 'package.json'), '{"type":"commonjs"}');
      const constructor = `function (config) { RED.nodes.createNode(this, config); ${body} }`;
      writeFileSync(
        join(nodes, 'lone.js'),
        `module.exports = (RED) => RED.nodes.registerType('lone', ${constructor});`,
      );
      writeFileSync(join(nodes, 'lone.html'), '<script type="text/html" data-template-name="lone"></script>');
    };
    const startWithOwnType = async (): Promise<Member[]> => {
      install(0);
      writeFileSync(join(fleet.folder(), `${FLEET}-0`, 'flows.json'), JSON.stringify([TAB, debug('a')]));
      return [await fleet.member(0), await fleet.member(1)];
    };

    it('an unknown type: said with its name, and the last good ones go on, untouched', async () => {
      const [editor, worker] = await startWithOwnType();
      await worker!.mark('a', 'old');
      await editor!.deploy([TAB, debug('a'), { ...debug('b'), type: 'lone' }]);
      const state = await until(
        () => worker!.state(),
        ({ problem }) => problem !== undefined,
      );
      assert.deepEqual([state.revision, state.wanted, state.refused], [1, 2, { 'not-started': 1 }]);
      assert.equal(
        state.problem,
        `revision 2 by ${userInfo().username} does not start here: missing-types (lone): revision 1 goes on running`,
      );
      assert.deepEqual(await worker!.running('a', 'b'), ['a']);
      assert.equal(await worker!.mark('a', 'old'), 'old');
      assert.ok(worker!.log.includes(state.problem ?? 'nothing'));
      // What comes next is tried again.
      await editor!.deploy([TAB, debug('a'), debug('c')]);
      assert.equal((await worker!.runs(3)).problem, undefined);
    });

    it('a node of ours whose variable is not set', async () => {
      const [editor, worker] = await start([TAB, debug('a')], [1]);
      const store = { id: 's', type: 'mongo-connection', configVersion: 1, name: 'store', uri: '${NOT_SET_HERE}' };
      await editor!.deploy([TAB, debug('a'), store]);
      const { problem, revision } = await until(
        () => worker!.state(),
        (state) => state.problem !== undefined,
      );
      assert.match(
        problem ?? '',
        /mongo-connection "store": .*expected the environment variable NOT_SET_HERE to be set, got nothing/,
      );
      assert.equal(revision, 1);
      assert.deepEqual(await worker!.running('a', 's'), ['a']);
    });

    it('a node of others that cannot be made', async () => {
      install(1, "throw new Error('no such port')");
      const [editor, worker] = await startWithOwnType();
      await editor!.deploy([TAB, debug('a'), { ...debug('b'), type: 'lone' }]);
      const { problem } = await until(
        () => worker!.state(),
        (state) => state.problem !== undefined,
      );
      assert.match(problem ?? '', /does not start here: lone "b" could not be made: what it said stands in the log/);
      assert.match(worker!.log, /error lone "b": no such port/);
      assert.deepEqual(await worker!.running('a', 'b'), ['a']);
    });
  });
});

describeWithServer('flows travel by HiveMQ CE too', startHiveMq, (server) => {
  const fleet = useFleet();

  it('in several chunks, to several workers, again and again', async () => {
    const brokerUrl = server().url;
    const large = Array.from({ length: 500 }, (_none, index) => debug(`n${index}`, { info: 'x'.repeat(400) }));
    const editor = await fleet.member(0, { brokerUrl, flows: [TAB, ...large] });
    const workers = await Promise.all([1, 2].map((slot) => fleet.member(slot, { brokerUrl })));
    for (const [index, flows] of [[debug('a')], [debug('b'), ...large], [debug('c')]].entries()) {
      await editor.deploy([TAB, ...flows]);
      for (const worker of workers) {
        assert.deepEqual((await worker.runs(index + 2)).refused, {});
        const ends = new Set([flows[0]!.id, flows.at(-1)!.id]);
        assert.deepEqual(await worker.running(...ends), [...ends]);
      }
    }
    assert.ok((await editor.history()).some(({ chunks }) => chunks > 1));
  });
});

/** Paths of all files in a folder, of what Node-RED has written none. */
function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}
