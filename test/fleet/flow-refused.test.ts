import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { decodeManifest, encodeManifest, type Manifest } from '../../runtime/fleet/flows/revision.js';
import { FleetKeys } from '../../runtime/fleet/keys.js';
import { FleetTopics } from '../../runtime/fleet/topics.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { mosquittoPub, Watcher } from './broker.js';
import { GATEWAY, numbered, publish, SECRET, TestFleet } from './fleet.js';

const WORKERS = [1, 2, 3];
const topics = new FleetTopics('sluice');
const keys = new FleetKeys(SECRET, 'sluice');

describeWithServer('every worker of a fleet refuses flows', startOwnMosquitto, (broker) => {
  const folder = temporaryFolder();
  let fleet: TestFleet;
  let watcher: Watcher;
  /** What the broker retained of the first revision, and of the one that runs. */
  let first: Buffer;
  let current: Buffer;
  let manifest: Manifest;

  before(async function () {
    this.timeout(60_000);
    watcher = await Watcher.start(broker().url, 'sluice/+/flow/#');
    fleet = await TestFleet.up(folder.path, broker().url, [GATEWAY, '-n', '3']);
    first = await watcher.of(topics.manifest);
    const flows = JSON.parse(readFileSync(GATEWAY, 'utf8')) as { type: string }[];
    await fleet.deploy(flows.map((node) => (node.type === 'debug' ? { ...node, name: 'refused' } : node)));
    current = await until(
      () => watcher.of(topics.manifest),
      (retained) => !retained.equals(first),
    );
    manifest = decodeManifest(keys.verify(topics.manifest, current) ?? Buffer.alloc(0));
    for (const slot of WORKERS)
      await fleet.untilSlot(slot, ({ report }) => report?.flow.revision === manifest.revision);
  });
  after(async () => {
    await watcher.stop();
    await fleet.stop('SIGKILL');
    folder.remove();
  });

  const said = async (slot: number, sentence: RegExp): Promise<number> =>
    [...(await fleet.done('logs', String(slot))).matchAll(sentence)].length;

  /** Each says so in its log, goes on with what it has, and the broker has the right ones again. */
  async function areRefused(message: Uint8Array, sentence: RegExp): Promise<void> {
    const before = await Promise.all(WORKERS.map((slot) => said(slot, sentence)));
    await mosquittoPub(broker().port, topics.manifest, message, true);
    for (const [index, slot] of WORKERS.entries()) {
      await until(
        () => said(slot, sentence),
        (count) => count > (before[index] ?? 0),
      );
    }
    await until(
      () => watcher.retained.get(topics.manifest),
      (retained) => retained?.equals(current) === true,
    );
    for (const slot of WORKERS) {
      const { report } = await fleet.untilSlot(slot, ({ report: one }) => one?.flow.problem === undefined);
      const { revision } = manifest;
      assert.deepEqual([report?.flow.revision, report?.flow.wanted], [revision, revision]);
    }
  }
  const NOT_SIGNED =
    /refused: expected a flow manifest signed with this fleet's secret, got another message: revision \d+ goes on running/g;

  it('that are forged: a greater revision under the signature of another', async function () {
    this.timeout(60_000);
    const body = encodeManifest({ ...manifest, revision: manifest.revision + 1 });
    const signature = current.subarray(0, current.length - encodeManifest(manifest).length);
    await areRefused(Buffer.concat([signature, body]), NOT_SIGNED);
  });

  it('that are replayed', async function () {
    this.timeout(60_000);
    await areRefused(first, /refused: expected a revision greater than \d+, got revision \d+ by .* goes on running/g);
  });

  it('that are truncated', async function () {
    this.timeout(60_000);
    await areRefused(current.subarray(0, -1), NOT_SIGNED);
  });

  it('and nothing stops meanwhile', async function () {
    this.timeout(60_000);
    const { slots, forged } = await fleet.status();
    assert.ok(slots.every(({ takesMessages, restarts }) => takesMessages && restarts === 0));
    assert.equal(forged, 0, "those of the launcher's own topics only");
    const ids = numbered('after', 60);
    await publish(broker().url, ids);
    const stored = await until(
      () => fleet.stored(),
      (all) => all.length >= ids.length,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), [...ids].sort());
    assert.equal(new Set(stored.map(({ by }) => by)).size, 3);
  });
});
