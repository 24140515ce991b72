import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { documents, objectLines, temporaryFolder, until } from '../sluice.js';
import { TestFleet } from './fleet.js';

interface Status {
  readonly fill?: string;
  readonly text?: string;
}

const FLOW = join(import.meta.dirname, '../../flows/devices-to-mongo-and-s3.json');
const INGEST =
  (JSON.parse(readFileSync(FLOW, 'utf8')) as { id: string; type: string }[]).find(({ type }) => type === 'mqtt-ingest')
    ?.id ?? '';

describeWithServer('the default flow on a fleet of four', startOwnMosquitto, (broker) => {
  it('runs its devices once, and stores what they send once, whoever does it', async function () {
    this.timeout(120_000);
    const folder = temporaryFolder();
    const fleet = await TestFleet.up(folder.path, broker().url, ['-n', '4']);
    const stored = await until(
      () => documents(fleet.ready.mongodb, 'devices'),
      (all) => all.length >= 60,
    );
    const runs = new Set(stored.map(({ _id }) => String(_id).split(':')[1]));
    assert.equal(runs.size, 1, 'of one instance of the simulator');
    const ingest = await editorStatus(fleet.ready.editor, INGEST, ({ text = '' }) => /received/.test(text));
    assert.match(ingest.text ?? '', /^4 workers, [\d,]+ received$/, 'the editor shows what runs on the workers');
    assert.equal(ingest.fill, 'green');
    const { slots, dangers } = await fleet.status();
    assert.equal(slots.length, 5);
    assert.deepEqual(dangers, []);
    assert.equal(slots[0]?.report?.ledger.received, 0, 'the editor instance takes nothing in');
    assert.ok(slots.slice(1).every(({ report }) => (report?.ledger.received ?? 0) > 0));

    // What was published when the workers had stopped waits at the broker, and on their disks.
    assert.equal(await fleet.done('down'), 'the fleet has stopped');
    const again = await TestFleet.up(folder.path, broker().url, []);
    const run = [...runs][0] ?? '';
    const ofRun = (identities: readonly string[]): string[] => identities.filter((one) => one.split(':')[1] === run);
    const documentsOfRun = async (): Promise<string[]> =>
      ofRun((await documents(again.ready.mongodb, 'devices')).map(({ _id }) => String(_id)));
    const all = await until(documentsOfRun, (identities) => gaps(identities).length === 0);
    assert.ok(all.length >= stored.length);
    await again.done('down');
    const lines = ofRun(objectLines(join(folder.path, 'objects')).map(({ identity }) => String(identity)));
    assert.deepEqual(lines.sort(), all.sort());
    folder.remove();
  });
});

/** What the editor is told of a node, as its pages are: over a WebSocket. */
async function editorStatus(editor: string, id: string, holds: (status: Status) => boolean): Promise<Status> {
  const socket = new WebSocket(`${editor.replace(/^http/, 'ws')}comms`);
  const found = Promise.withResolvers<Status>();
  socket.addEventListener('open', () => socket.send(JSON.stringify({ subscribe: `status/${id}` })));
  socket.addEventListener('error', () => found.reject(new Error('expected the editor to take a connection')));
  socket.addEventListener('message', ({ data }) => {
    const told = [JSON.parse(String(data)) as unknown].flat() as { topic?: string; data?: Status }[];
    for (const { topic, data: status = {} } of told)
      if (topic === `status/${id}` && holds(status)) found.resolve(status);
  });
  try {
    return await found.promise;
  } finally {
    socket.close();
  }
}

/** Devices (`<uuid>:<run>:<seq>`) of which a message is missing. */
function gaps(identities: readonly string[]): string[] {
  const devices = new Map<string, number[]>();
  for (const identity of identities) {
    const [uuid = '', , seq] = identity.split(':');
    devices.set(uuid, [...(devices.get(uuid) ?? []), Number(seq)]);
  }
  return [...devices].filter(([, numbers]) => Math.max(...numbers) !== numbers.length).map(([uuid]) => uuid);
}
