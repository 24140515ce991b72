/** Workers on machines of their own. `SLUICE_TEST_LONG=1`: one is away for as long as for acceptance. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { startMachines, type Machine } from '../servers/machines.js';
import { startOwnMosquitto, type OwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer, freePort } from '../servers/server.js';
import { Sluice, temporaryFolder, until } from '../sluice.js';
import { startTcpGate } from '../tcp-gate.js';
import { GATEWAY, TestFleet, TestWorker } from './fleet.js';
import { figures, LONG, Simulation } from './simulation.js';

const AWAY_MS = LONG ? 30_000 : 8_000;

describeWithServer('workers on machines of their own', startMachines, (machines) => {
  const folder = temporaryFolder();
  const workers: TestWorker[] = [];
  let broker: OwnMosquitto;
  let store: Sluice;
  let gate: Awaited<ReturnType<typeof startTcpGate>>;
  let fleet: TestFleet;
  let hosts: Machine[];
  let mqtt: string;

  before(async function () {
    this.timeout(60_000);
    const { address } = machines();
    const port = await freePort();
    broker = await startOwnMosquitto({ lines: [`listener ${port} ${address}`] });
    mqtt = `mqtt://${address}:${port}`;
    store = new Sluice(['store', '--dir', `${folder.path}/store`, '--port', '0', '--json']);
    const { mongodb } = JSON.parse(await store.line()) as { mongodb: string };
    // The embedded store listens for this machine alone, unless it has users.
    gate = await startTcpGate(Number(new URL(mongodb).port), address);
    const stores = { MONGODB_URI: `mongodb://${address}:${gate.port}` };
    fleet = await TestFleet.up(folder.path, mqtt, [GATEWAY, '-n', '1', '--fleet', 'mill'], stores);
    hosts = [await machines().add(), await machines().add()];
    for (const [index, host] of hosts.entries()) {
      workers.push(await TestWorker.joinFrom(host.command, mqtt, `${folder.path}/worker${index}`, '--fleet', 'mill'));
    }
    for (const slot of [2, 3]) await fleet.untilSlot(slot, ({ takesMessages }) => takesMessages);
  });
  after(async () => {
    for (const worker of workers) await worker.stop('SIGKILL');
    await fleet.stop('SIGKILL');
    await gate.stop();
    await store.stop();
    await broker.stop();
    folder.remove();
  });

  it('one that is cut off for a while loses nothing, and catches up with the flows that were deployed meanwhile', async function () {
    this.timeout(180_000);
    const before = (await fleet.slot(2))?.report?.flow.revision ?? 0;
    const stream = new Simulation({ mqtt: broker.url, folder: folder.path, count: 0, rate: 200 });
    await fleet.untilSlot(2, ({ report }) => (report?.ledger.stored ?? 0) > 100);
    await hosts[0]!.cutOff();
    const flows = JSON.parse(readFileSync(GATEWAY, 'utf8')) as { type: string; name?: string }[];
    await fleet.deploy(flows.map((node) => (node.type === 'debug' ? { ...node, name: 'refused' } : node)));
    await fleet.untilSlot(3, ({ report }) => (report?.flow.revision ?? 0) > before);
    const { danger } = await fleet.untilSlot(2, ({ state }) => state === 'away');
    assert.match(danger ?? '', /^slot 2: nothing was heard of .*; its session is held by nobody/);
    await delay(AWAY_MS); // that long an absence is what is asked for
    assert.equal((await fleet.slot(2))?.report?.flow.revision, before);
    await hosts[0]!.reconnect();
    const { report } = await fleet.untilSlot(
      2,
      ({ report: one, takesMessages }) => takesMessages && (one?.flow.revision ?? 0) > before,
      60_000,
    );
    assert.equal(report?.flow.revision, (await fleet.slot(3))?.report?.flow.revision);
    assert.equal(report?.flow.problem, undefined);
    const stored = report?.ledger.stored ?? 0;
    await fleet.untilSlot(2, ({ report: one }) => (one?.ledger.stored ?? 0) > stored + 100);
    stream.end();
    const { made, failed } = await stream.published();
    assert.equal(failed, 0);
    const { missing, stored: kept, twice } = await stream.verified(fleet.ready.mongodb);
    figures({ made, stored: kept, missing: missing.count, twice: twice.count, flow: report?.flow });
    assert.deepEqual([kept, missing.count, twice.count], [made, 0, 0]);
    const { balanced, dangers } = await until(
      () => fleet.status(),
      ({ ledger }) => ledger.inFlight === 0,
    );
    assert.deepEqual({ balanced, dangers }, { balanced: true, dangers: [] });
  });
});
