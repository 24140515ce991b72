import assert from 'node:assert/strict';
import { accountOf, type AccountInput, type Row } from '../../runtime/chaos/account.js';
import { DeadLetterTally, PlaceTally, type Contents } from '../../runtime/chaos/contents.js';
import { placeFlow, type Place, type Surroundings } from '../../runtime/chaos/places.js';
import { chaosText, isKept } from '../../runtime/chaos/report.js';
import type { ChaosResult } from '../../runtime/chaos/run.js';

const IDS = ['a:r:1', 'a:r:2', 'a:r:3', 'a:r:4'];
const PLACES: Place[] = [
  { kind: 'documents', collection: 'devices', nodes: ['mongo'] },
  { kind: 'objects', name: 'objects', url: 'file:///o', nodes: ['s3'] },
];

/** Records of the two places, and letters as `id@node`. */
function contents(documents: readonly string[], objects: readonly string[], letters: readonly string[] = []): Contents {
  const sent = new Set(IDS);
  const places = [documents, objects].map((ids) => {
    const tally = new PlaceTally(sent);
    for (const id of ids) tally.add([id]);
    return tally.contents();
  });
  const deadLetters = new DeadLetterTally(sent);
  for (const letter of letters) {
    const [id, node = ''] = letter.split('@');
    deadLetters.add([id], node, 'reason');
  }
  return { places, deadLetters: deadLetters.contents() };
}

function account(calm: Contents, found: Contents, more: Partial<AccountInput> = {}) {
  const acknowledged = new Map(IDS.map((id, index) => [id, index]));
  return accountOf({ places: PLACES, acknowledged, unanswered: new Set(), calm, found, ...more });
}

const numbers = ({ sent, stored, rejected, deadLettered, duplicates, lost }: Row): number[] => {
  assert.equal(sent, stored + rejected + deadLettered + lost, 'a row adds up');
  return [sent, stored, rejected, deadLettered, duplicates, lost];
};

describe('the account of a chaos run', () => {
  it('finds nothing wrong where all is as it was without faults', () => {
    const calm = contents(IDS.slice(0, 3), IDS.slice(0, 3), ['a:r:4@filter']);
    const { rows, lost, nowhere } = account(calm, calm);
    assert.deepEqual(rows.map(numbers), [
      [3, 3, 0, 0, 0, 0],
      [3, 3, 0, 0, 0, 0],
      [1, 0, 1, 0, 0, 0],
    ]);
    assert.deepEqual([lost.size, nowhere], [0, 0]);
  });

  it('says of each sink by itself what is lost, twice, and a dead letter in its place', () => {
    const calm = contents(IDS, IDS);
    const found = contents(
      ['a:r:1', 'a:r:2', 'a:r:2'],
      ['a:r:1', 'a:r:3', 'a:r:3', 'a:r:3'],
      ['a:r:3@mongo', 'a:r:4@filter'],
    );
    const { rows, lost } = account(calm, found);
    assert.deepEqual(rows.map(numbers).slice(0, 2), [
      [4, 2, 0, 2, 1, 0],
      [4, 2, 0, 1, 2, 1],
    ]);
    assert.deepEqual([...lost], ['a:r:2'], 'a letter of one sink is none of the other');
    assert.deepEqual(
      rows.map(({ once }) => once),
      [true, false, false],
    );
  });

  it('counts a rejected message whose letter is not there as lost', () => {
    const calm = contents(IDS.slice(0, 2), [], ['a:r:3@filter', 'a:r:4@mongo']);
    const { rows, lost } = account(calm, contents(IDS.slice(0, 2), []));
    assert.deepEqual(numbers(rows[0]!), [3, 2, 0, 0, 0, 1]);
    assert.deepEqual(numbers(rows[2]!), [1, 0, 0, 0, 0, 1]);
    assert.deepEqual([...lost].sort(), ['a:r:3', 'a:r:4']);
  });

  it('wants every part of a message', () => {
    const calm = contents(['a:r:1#0', 'a:r:1#1', 'a:r:2'], []);
    const { rows, lost } = account(calm, contents(['a:r:1#0', 'a:r:2'], []));
    assert.deepEqual(numbers(rows[0]!), [3, 2, 0, 0, 0, 1]);
    assert.deepEqual([...lost], ['a:r:1']);
  });

  it('wants only what was acknowledged, and says what became of the rest', () => {
    const calm = contents(IDS, IDS);
    const more = { acknowledged: new Map([['a:r:1', 0]]), unanswered: new Set(['a:r:2', 'a:r:3']) };
    const { rows, lost, unanswered } = account(calm, contents(['a:r:1', 'a:r:2'], ['a:r:1']), more);
    assert.deepEqual(numbers(rows[0]!), [1, 1, 0, 0, 0, 0]);
    assert.deepEqual([lost.size, unanswered], [0, { messages: 2, stored: 1 }]);
  });

  it('says what was never there before, what is of others, and what the flow stores nowhere', () => {
    const calm = contents(IDS.slice(0, 2), []);
    const { rows, nowhere } = account(calm, contents([...IDS.slice(0, 3), 'another'], []));
    assert.deepEqual([rows[0]?.unexpected, rows[0]?.others, nowhere], [1, 1, 2]);
  });
});

describe('the report of a chaos run', () => {
  const result = (found: Contents, ledger?: ChaosResult['ledger']): ChaosResult => {
    const calm = contents(IDS, IDS);
    return {
      ...{ seed: '1', count: 4, qos: 1, broker: 'mosquitto', store: 'sluice store', plan: [], leftOut: [], notes: [] },
      faults: [{ kind: 'kill-runtime', after: 1, seconds: 0, which: 0, from: 2.5, to: 2.8 }],
      sent: { acknowledged: new Map(IDS.map((id, index) => [id, index])), unanswered: new Set() },
      account: account(calm, found),
      ...{ drained: true, stoppedCleanly: true, seconds: 10, folder: undefined, ledger },
    };
  };

  it('ends with what is lost, and says around which fault each was sent', () => {
    const lossy = result(contents(['a:r:1'], IDS));
    assert.equal(isKept(lossy), false);
    const text = chaosText(lossy);
    assert.match(text, /\ndocuments devices +4 +1 +0 +0 +0 +3\n/);
    assert.match(text, /\nlost: a:r:2, acknowledged at 1\.0 s, 1\.5 s before: kill -9 of the runtime\n/);
    assert.match(text, /\nlost: a:r:4, acknowledged at 3\.0 s, 0\.2 s after: kill -9 of the runtime\n/);
    assert.match(text, /\nledger: this runtime serves none\n/);
    assert.ok(text.endsWith('\nlost: 3\n'));
  });

  it('is not as promised where documents are there twice, or the ledger does not balance', () => {
    assert.equal(isKept(result(contents(IDS, [...IDS, 'a:r:1']))), true, 'objects are at-least-once');
    const twice = result(contents([...IDS, 'a:r:1'], IDS));
    assert.equal(isKept(twice), false);
    assert.match(chaosText(twice), /\nNOT as promised: 1 documents twice under one identity\n/);
    const whole = contents(IDS, IDS);
    assert.equal(isKept(result(whole, { balanced: true, gap: 0, inFlight: 0, spooled: 0 })), true);
    const gap = result(whole, { balanced: false, gap: 3, inFlight: 0, spooled: 0 });
    assert.equal(isKept(gap), false);
    assert.match(chaosText(gap), /\nledger: NOT balanced, a gap of 3\nlost: 0\n$/);
  });
});

describe('a flow in the surroundings of a chaos run', () => {
  const around: Surroundings = {
    ...{ qos: 2 as const, broker: { host: '127.0.0.1', port: 1 }, folder: '/run', collections: ['extra'] },
    bucket: 's3://bucket/prefix?region=eu-central-1',
  };

  it('has its servers, folders and QoS, and says where it stores', () => {
    const { nodes, places, deadLetters, notes } = placeFlow(
      [
        { id: 'b', type: 'sluice-mqtt-broker', url: 'mqtts://elsewhere' },
        { id: 'c', type: 'mqtt-broker', broker: 'elsewhere', port: '8883', usetls: true },
        { id: 'i', type: 'mqtt-ingest', broker: 'b', qos: 1 },
        { id: 'm', type: 'mongo-connection', uri: 'mongodb://elsewhere/db', database: 'db' },
        { id: 'd1', type: 'mongo-sink', collection: 'readings_{topic[0]}' },
        { id: 'd2', type: 'mongo-sink', collection: 'readings_{topic[0]}' },
        { id: 'u', type: 'mongo-sink', name: 'last', collection: 'last', operation: 'update' },
        { id: 'o', type: 'object-store', url: '${S3_URL}', encryption: 'AES256' },
        { id: 's', type: 's3-sink', store: 'o', name: 'lines' },
        { id: 'p', type: 'mqtt-publish', topic: 'alert/{payload.uuid}/x' },
        { id: 'q', type: 'dead-letter-queue', place: 'mongodb', collection: 'letters', folder: '/elsewhere' },
        { id: 'off', type: 'mongo-sink', collection: 'off', d: true },
      ],
      around,
    );
    const fields = Object.fromEntries(nodes.map((node) => [node.id, node])) as Record<string, Record<string, unknown>>;
    assert.equal(fields['b']?.['url'], '${MQTT_URL}');
    assert.deepEqual(
      [fields['c']?.['broker'], fields['c']?.['port'], fields['c']?.['usetls']],
      ['127.0.0.1', '1', false],
    );
    assert.equal(fields['i']?.['qos'], 2);
    assert.deepEqual([fields['m']?.['uri'], fields['m']?.['database']], ['${MONGODB_URI}', '']);
    const own = fields[String(fields['s']?.['store'])];
    assert.deepEqual([own?.['url'], own?.['encryption']], ['s3://bucket/prefix/s/?region=eu-central-1', 'AES256']);
    assert.deepEqual(places, [
      { kind: 'documents', collection: 'readings_{topic[0]}', nodes: ['d1', 'd2'] },
      { kind: 'objects', name: 'lines', url: 's3://bucket/prefix/s/?region=eu-central-1', nodes: ['s'] },
      { kind: 'published', filter: 'alert/+/x', nodes: ['p'] },
      { kind: 'documents', collection: 'extra', nodes: [] },
    ]);
    assert.deepEqual(deadLetters, ['letters']);
    assert.equal(fields['q']?.['folder'], '');
    assert.deepEqual(notes, ['not read back: last keeps no document for each message (update)']);
  });
});
