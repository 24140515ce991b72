import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { GATEWAY, numbered, publish, TestFleet } from './fleet.js';

type FlowNode = Readonly<Record<string, unknown>>;

describeWithServer('a fleet that scales by its load', startOwnMosquitto, (broker) => {
  it('adds a worker when windows stay full, and says by which figures', async function () {
    this.timeout(60_000);
    const folder = temporaryFolder();
    const flow = join(folder.path, 'slow.json');
    writeFileSync(flow, JSON.stringify(slowed(JSON.parse(readFileSync(GATEWAY, 'utf8')) as FlowNode[])));
    const fleet = await TestFleet.up(join(folder.path, 'user'), broker().url, [flow, '--min', '1', '--max', '2']);
    assert.deepEqual(fleet.held, [1]);
    const ids = numbered('load', 400);
    await publish(broker().url, ids);
    await until(
      () => fleet.stderr,
      (said) => said.includes('sluice: workers 1 → 2: '),
      30_000,
    );
    assert.match(fleet.stderr, /workers 1 → 2: windows (\d+–)?\d+ % full for 5 s, age at receipt /);
    await fleet.untilSlot(2, ({ takesMessages }) => takesMessages);
    const { report } = await fleet.untilSlot(1, ({ report: one }) => (one?.window ?? 0) > 0.8);
    assert.equal(report?.inFlight, WINDOW);
    assert.deepEqual(fleet.held, [1, 2]);
    await fleet.stop('SIGKILL');
    folder.remove();
  });
});

const WINDOW = 10;

/** The flow with a small window, and a node that lets ten messages a second through. */
function slowed(flow: readonly FlowNode[]): FlowNode[] {
  const ingest = flow.find(({ type }) => type === 'mqtt-ingest');
  const sink = flow.find(({ type }) => type === 'mongo-sink');
  const slow = {
    id: 'slow',
    type: 'delay',
    z: ingest?.['z'],
    name: '',
    pauseType: 'rate',
    timeout: '5',
    timeoutUnits: 'seconds',
    rate: '10',
    nbRateUnits: '1',
    rateUnits: 'second',
    randomFirst: '1',
    randomLast: '5',
    randomUnits: 'seconds',
    drop: false,
    allowrate: false,
    outputs: 1,
    x: 200,
    y: 100,
    wires: [[sink?.['id']]],
  };
  const other = flow.filter((node) => node !== ingest);
  return [...other, { ...ingest, maxInFlight: WINDOW, wires: [['slow'], []] }, slow];
}
