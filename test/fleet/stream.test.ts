/**
 * Fleets under a stream of readings, each of which is to be stored once. `SLUICE_TEST_LONG=1` makes the stream as long
 * as for acceptance.
 */
import assert from 'node:assert/strict';
import { setInterval } from 'node:timers/promises';
import { startHiveMq } from '../servers/hivemq.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer, type TestServer } from '../servers/server.js';
import { temporaryFolder, until } from '../sluice.js';
import { GATEWAY, TestFleet } from './fleet.js';
import { figures, LONG, Simulation, type SimulationOptions } from './simulation.js';

const TEST_MS = LONG ? 300_000 : 90_000;

function onStream(server: () => TestServer) {
  let folder: ReturnType<typeof temporaryFolder>;
  let fleets = 0;
  let fleet: TestFleet | undefined;
  let stream: Simulation | undefined;
  beforeEach(() => (folder = temporaryFolder()));
  afterEach(async function () {
    this.timeout(60_000);
    stream?.end();
    await fleet?.stop('SIGKILL');
    folder.remove();
  });
  return {
    async up(workers: number): Promise<TestFleet> {
      const name = `stream${process.pid}-${++fleets}`;
      const parameters = [GATEWAY, '-n', String(workers), '--fleet', name];
      fleet = await TestFleet.up(folder.path, server().url, parameters);
      return fleet;
    },
    stream(options: Pick<SimulationOptions, 'count' | 'rate'>): Simulation {
      stream = new Simulation({ mqtt: server().url, folder: folder.path, ...options });
      return stream;
    },
  };
}

/** All that was published is stored, once, and so the fleet says. */
async function isStored(fleet: TestFleet, stream: Simulation): Promise<number> {
  const { made, published, failed } = await stream.published();
  assert.deepEqual({ published, failed }, { published: made, failed: 0 });
  const { expected, stored, records, missing, twice, others } = await stream.verified(fleet.ready.mongodb);
  assert.deepEqual(
    { expected, stored, records, missing: missing.count, twice: twice.count, others },
    { expected: made, stored: made, records: made, missing: 0, twice: 0, others: 0 },
  );
  const { balanced, dangers, ledger } = await until(
    () => fleet.status(),
    ({ ledger: sums }) => sums.inFlight === 0 && sums.spooled === 0,
  );
  figures({ made, stored, missing: missing.count, twice: twice.count, ledger, shares: await shares(fleet) });
  assert.deepEqual({ balanced, dangers }, { balanced: true, dangers: [] });
  return made;
}

/** How many each worker has stored, by its name. */
async function shares(fleet: TestFleet): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { by } of await fleet.stored()) counts.set(by, (counts.get(by) ?? 0) + 1);
  return counts;
}

describeWithServer('a fleet under a stream, on mosquitto', startOwnMosquitto, (server) => {
  const on = onStream(server);

  it('of four workers stores each reading once, in shares that differ by less than a fifth', async function () {
    this.timeout(TEST_MS);
    const fleet = await on.up(4);
    const count = LONG ? 40_000 : 4_000;
    const made = await isStored(fleet, on.stream({ count, rate: 1_000 }));
    assert.equal(made, count);
    const { ledger } = await fleet.status();
    assert.deepEqual([ledger.received, ledger.stored, ledger.gap], [count, count, 0]);
    const counts = [...(await shares(fleet)).values()];
    assert.equal(counts.length, 4);
    assert.ok(Math.min(...counts) >= 0.8 * Math.max(...counts), `shares of ${counts.join(', ')}`);
  });

  it('loses nothing when workers are killed again and again, and stores nothing twice', async function () {
    this.timeout(TEST_MS);
    const fleet = await on.up(4);
    const kills = LONG ? 20 : 4;
    const stream = on.stream({ count: 0, rate: 300 });
    const random = numbersOf(7);
    const ticks = setInterval(3_000); // the pace is what is asked for
    for (let killed = 0; killed < kills; killed++) {
      await ticks.next();
      const { slots } = await fleet.status();
      const running = slots.filter(({ role, takesMessages }) => role === 'worker' && takesMessages);
      const victim = running[Math.floor(random() * running.length)];
      process.kill(victim?.report?.pid ?? 0, 'SIGKILL');
    }
    await ticks.return?.();
    stream.end();
    const made = await isStored(fleet, stream);
    assert.ok(made >= kills * 300, `${made} readings`);
    const { slots } = await until(
      () => fleet.status(),
      ({ slots: all }) => all.every(({ takesMessages }) => takesMessages),
      60_000,
    );
    assert.equal(
      slots.reduce((sum, { restarts }) => sum + restarts, 0),
      kills,
    );
  });

  it('loses nothing when it grows from two workers to six, and shrinks to one', async function () {
    this.timeout(TEST_MS);
    const fleet = await on.up(2);
    const stream = on.stream({ count: 0, rate: LONG ? 800 : 300 });
    await until(
      () => fleet.status(),
      ({ ledger }) => ledger.stored > 300,
    );
    assert.equal(await fleet.done('scale', '6'), '6 workers run on this machine');
    for (const slot of [3, 4, 5, 6]) await fleet.untilSlot(slot, ({ report }) => (report?.ledger.stored ?? 0) > 0);
    assert.equal(await fleet.done('scale', '1'), '1 workers run on this machine');
    const before = (await fleet.status()).ledger.stored;
    await until(
      () => fleet.status(),
      ({ ledger }) => ledger.stored > before + 300,
    );
    stream.end();
    await isStored(fleet, stream);
    assert.equal((await shares(fleet)).size, 6);
    assert.deepEqual(fleet.held, [1]);
  });
});

describeWithServer('a fleet under a stream, on HiveMQ CE', startHiveMq, (server) => {
  const on = onStream(server);

  it('of four workers stores each reading once', async function () {
    this.timeout(TEST_MS);
    const fleet = await on.up(4);
    const count = LONG ? 40_000 : 4_000;
    assert.equal(await isStored(fleet, on.stream({ count, rate: 800 })), count);
  });
});

/** The same numbers from 0 to 1 for the same seed (Park and Miller's generator). */
function numbersOf(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}
