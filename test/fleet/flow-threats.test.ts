import assert from 'node:assert/strict';
import { FleetKeys } from '../../runtime/fleet/keys.js';
import { FleetTopics } from '../../runtime/fleet/topics.js';
import type { FlowState, Refusal } from '../../runtime/fleet/flows/member.js';
import { startOwnMosquitto, type OwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { until } from '../sluice.js';
import { mosquittoPub, Watcher } from './broker.js';
import { debug, TAB } from './flows.js';
import { FLEET, SECRET, type Member } from './member.js';
import { useFleet } from './use-fleet.js';

const topics = new FleetTopics(FLEET);

describeWithServer('whoever reaches the broker without the secret', startOwnMosquitto, (server) => {
  const broker = (): OwnMosquitto => server();
  const fleet = useFleet(broker);
  let watcher: Watcher;
  let editor: Member;
  let workers: Member[];
  /** Of revision 1, as they were on the wire. */
  let first: { readonly manifest: Buffer; readonly chunk: Buffer };

  beforeEach(async function () {
    this.timeout(60_000);
    watcher = await Watcher.start(broker().url, 'sluice/+/flow/#');
    editor = await fleet.member(0, { flows: [TAB, debug('a')] });
    workers = await Promise.all([1, 2].map((slot) => fleet.member(slot)));
    first = { manifest: await watcher.of(topics.manifest), chunk: await watcher.of(topics.chunk(1, 0)) };
    await editor.deploy([TAB, debug('a'), debug('b')]);
    for (const worker of workers) {
      await worker.runs(2);
      await worker.mark('a', 'untouched');
    }
  });
  afterEach(() => watcher.stop());

  /** Every worker refuses it with a count and a sentence, in its state and its log, and what runs goes on. */
  const isRefused = async (reason: Refusal, sentence: RegExp, count = 1): Promise<void> => {
    for (const worker of workers) {
      const state: FlowState = await until(
        () => worker.state(),
        ({ refused }) => refused[reason] === count,
      );
      assert.match(worker.log, sentence);
      assert.deepEqual([state.revision, state.wanted], [2, 2]);
      assert.deepEqual(await worker.running('a', 'b'), ['a', 'b']);
      assert.equal(await worker.mark('a', 'untouched'), 'untouched');
    }
  };
  /** The editor has seen it too, and what a worker gets that comes now is the right one. */
  const isRepaired = async (): Promise<void> => {
    const manifest = watcher.messages.findLast(
      ({ topic, payload }) => topic === topics.manifest && isOurs(topic, payload),
    );
    await until(
      () => watcher.retained.get(topics.manifest),
      (retained) => retained !== undefined && manifest!.payload.equals(retained),
    );
    const late = await fleet.member(3);
    assert.deepEqual([(await late.state()).revision, await late.running('a', 'b')], [2, ['a', 'b']]);
    for (const worker of workers)
      assert.equal(
        (
          await until(
            () => worker.state(),
            ({ problem }) => problem === undefined,
          )
        ).revision,
        2,
      );
  };
  const keys = new FleetKeys(SECRET, FLEET);
  const isOurs = (topic: string, payload: Buffer): boolean => keys.verify(topic, payload) !== undefined;
  const NOT_OURS =
    /refused: expected a flow manifest signed with this fleet's secret, got another message: revision 2 goes on running/;

  it('is refused a forged manifest', async () => {
    const body = Buffer.from(
      JSON.stringify({ version: 1, revision: 9, author: 'me', time: 'now', nodes: 1, size: 1, chunks: [] }),
    );
    await mosquittoPub(broker().port, topics.manifest, Buffer.concat([Buffer.alloc(32), body]), true);
    await isRefused('forged', NOT_OURS);
    assert.deepEqual(
      (
        await until(
          () => editor.state(),
          ({ refused }) => refused.forged === 1,
        )
      ).revision,
      2,
    );
    await isRepaired();
  });

  it('is refused a manifest whose body was altered, by any byte', async () => {
    const manifest = await watcher.of(topics.manifest);
    for (const [index, at] of [0, 31, 32, manifest.length - 1].entries()) {
      const altered = Buffer.from(manifest);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await mosquittoPub(broker().port, topics.manifest, altered);
      await isRefused('forged', NOT_OURS, index + 1);
    }
  });

  it('is refused a manifest that was cut, and one with something behind it', async () => {
    const manifest = await watcher.of(topics.manifest);
    const cuts = [
      manifest.subarray(0, -1),
      manifest.subarray(0, 32),
      manifest.subarray(0, 5),
      Buffer.concat([manifest, Buffer.from(' ')]),
    ];
    for (const [index, cut] of cuts.entries()) {
      await mosquittoPub(broker().port, topics.manifest, cut);
      await isRefused('forged', NOT_OURS, index + 1);
    }
  });

  it('is refused an older manifest, replayed', async () => {
    await mosquittoPub(broker().port, topics.manifest, first.manifest, true);
    await isRefused(
      'older',
      /refused: expected a revision greater than 2, got revision 1 by .*: revision 2 goes on running/,
    );
    await until(
      () => editor.state(),
      ({ refused }) => refused.older === 1,
    );
    await isRepaired();
  });

  it('is refused a manifest of another fleet with the same secret, wherever it is put', async () => {
    const others = new FleetKeys(SECRET, 'other');
    const body = Buffer.from('{}');
    for (const [index, signedFor] of [topics.manifest, new FleetTopics('other').manifest].entries()) {
      await mosquittoPub(broker().port, topics.manifest, others.sign(signedFor, body));
      await isRefused('forged', NOT_OURS, index + 1);
    }
  });

  it("is refused a chunk's message as a manifest, and any other that was signed for another place", async () => {
    await mosquittoPub(broker().port, topics.manifest, first.chunk);
    await isRefused('forged', NOT_OURS);
    await mosquittoPub(broker().port, topics.manifest, keys.sign(topics.instance(1), Buffer.from('{}')));
    await isRefused('forged', NOT_OURS, 2);
  });

  it('can take the manifest away, and it comes back', async () => {
    await mosquittoPub(broker().port, topics.manifest, Buffer.alloc(0), true);
    await until(
      () => watcher.retained.has(topics.manifest),
      (is) => is,
    );
    await isRepaired();
  });

  describe('is refused by a worker that comes back,', () => {
    const CHUNK = (): string => topics.chunk(2, 0);

    /** With the last good flows of revision 1, and revision 2 on the broker with that in place of its chunk. */
    const comesBackTo = async (chunk: Buffer): Promise<Member> => {
      const late = await fleet.member(4, {});
      await late.stop();
      await editor.deploy([TAB, debug('c')]);
      for (const worker of workers) await worker.runs(3);
      await editor.kill();
      await mosquittoPub(broker().port, topics.chunk(3, 0), chunk, true);
      return fleet.member(4);
    };
    const goesOn = async (member: Member, reason: Refusal, sentence: RegExp): Promise<void> => {
      const state = await until(
        () => member.state(),
        ({ refused }) => refused[reason] !== undefined,
      );
      assert.match(member.log, sentence);
      assert.deepEqual([state.revision, state.wanted], [2, 3]);
      assert.deepEqual(await member.running('a', 'b', 'c'), ['a', 'b']);
      // The editor is told, and puts it right.
      await fleet.member(0);
      assert.equal((await member.runs(3)).problem, undefined);
      assert.deepEqual(await member.running('a', 'b', 'c'), ['c']);
    };

    it('a chunk in the place of another', async () => {
      const member = await comesBackTo(await watcher.of(CHUNK()));
      await goesOn(
        member,
        'forged',
        /expected chunk 0 of revision 3 by .* signed with the fleet's secret for its place, got another message/,
      );
    });

    it('a chunk that was cut', async () => {
      const member = await comesBackTo((await watcher.of(CHUNK())).subarray(0, -3));
      await goesOn(member, 'forged', /expected chunk 0 of revision 3 .* signed with the fleet's secret for its place/);
    });

    it('one that is missing', async function () {
      this.timeout(60_000);
      const member = await comesBackTo(Buffer.alloc(0));
      await goesOn(
        member,
        'truncated',
        /expected 1 chunks of revision 3 by .* within 10 s, got 0: revision 2 goes on running/,
      );
    });

    it('one of the same number, signed at another time', async () => {
      const member = await comesBackTo(keys.sign(topics.chunk(3, 0), Buffer.from('an earlier revision 3')));
      await goesOn(member, 'truncated', /expected chunk 0 of revision 3 by .* as its manifest names it, got another/);
    });
  });
});
