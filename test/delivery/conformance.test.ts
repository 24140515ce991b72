import assert from 'node:assert/strict';
import { installContrib } from './contrib.js';
import { startEmbeddedStore } from '../servers/mongo.js';
import type { TestServer } from '../servers/server.js';
import { type Case, range } from './cases/case.js';
import { GROUPS } from './cases/index.js';
import { PeerServer } from './peer-server.js';
import type { Arrival } from './probes.js';
import { Runtime, type FlowNode } from './runtime.js';

const CASES = GROUPS.flatMap(({ cases }) => cases);
const CONTRIB_CASES: ReadonlySet<Case> = new Set(GROUPS.at(-1)?.cases);

const idOf = (index: number, id: string): string => `case${index}-${id}`;

/** What holds ids of other nodes, at any depth. */
const HOLDS_IDS = new Set([
  'id',
  'z',
  'g',
  'wires',
  'links',
  'scope',
  'in',
  'out',
  'nodes',
  'target',
  'clientNode',
  'broker',
]);

/** The same with the ids of a case made its own. */
function localized(value: unknown, ids: ReadonlySet<string>, index: number, isId = false): unknown {
  if (Array.isArray(value)) return value.map((item) => localized(item, ids, index, isId));
  if (typeof value === 'string') return isId && ids.has(value) ? idOf(index, value) : value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, localized(item, ids, index, isId || HOLDS_IDS.has(name))]),
  );
}

/** The nodes of a case on a tab of their own, with a source and sinks. */
function tab({ nodes, settings = {} }: Case, index: number): FlowNode[] {
  const probe = (id: string, type: string, wires: string[][]): FlowNode => ({
    id,
    type,
    configVersion: 1,
    wires,
    ...settings[id],
  });
  const first = nodes.find(({ type, z }) => type !== 'subflow' && type !== 'group' && z === undefined)?.id ?? 'sink';
  const all = [
    probe('source', 'probe-source', [[first]]),
    ...nodes,
    probe('sink', 'probe-sink', []),
    probe('sink2', 'probe-sink', []),
  ];
  const ids = new Set(all.map(({ id }) => id));
  const local = all.map((node): FlowNode => {
    const { z = 'tab', type, ...others } = localized(node, ids, index) as FlowNode;
    if (type === 'subflow') return { type, ...others };
    const of = ids.has(type.replace('subflow:', '')) ? `subflow:${idOf(index, type.replace('subflow:', ''))}` : type;
    const place = { x: 1, y: 1, z: z === 'tab' ? idOf(index, 'tab') : z };
    return { ...others, type: of, ...((others['wires'] !== undefined || type === 'group') && place) }; // else a config node
  });
  return [{ id: idOf(index, 'tab'), type: 'tab', label: `case ${index}` }, ...local];
}

/** What is left out where the packages of others are not there. */
const isLeftOut = (one: Case, missing: string | undefined): boolean => missing !== undefined && CONTRIB_CASES.has(one);

/** All cases run at the same time, each on its own tab. A test tells what has become of its case. */
describe('a delivery', () => {
  let runtime: Runtime | undefined;
  let peer: PeerServer | undefined;
  let store: TestServer | undefined;
  let missing: string | undefined;
  const runs = new Map<Case, Promise<Error | undefined>>();
  before(async function () {
    this.timeout(180_000);
    missing = installContrib();
    if (missing !== undefined && process.env['SLUICE_TEST_ALL'] === '1') throw new Error(missing);
    peer = await PeerServer.start();
    store = await startEmbeddedStore();
    runtime = await Runtime.start({ PEER_URL: peer.url, MONGO_URL: store.url });
    await runtime.deploy(CASES.flatMap((one, index) => (isLeftOut(one, missing) ? [] : tab(one, index))));
    for (const [index, one] of CASES.entries()) {
      if (isLeftOut(one, missing)) continue;
      const run = runCase(runtime, one, index);
      runs.set(
        one,
        run.then(
          () => undefined,
          (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
        ),
      );
    }
  });
  after(async () => {
    await runtime?.stop();
    await store?.stop();
    await peer?.stop();
  });

  for (const one of CASES) {
    it(`is settled when all is stored: ${one.name}`, async function () {
      if (isLeftOut(one, missing)) {
        this.test!.title += ` (left out: ${missing})`;
        this.skip();
      }
      const error = await runs.get(one);
      assert.ifError(error);
    });
  }
});

async function runCase(runtime: Runtime, one: Case, index: number): Promise<void> {
  const { messages = 1, arrivals, settledBefore = 0, ends = { stored: messages }, late = {} } = one;
  const { refusals = 0, arrivalsAfter = arrivals, logs } = one;
  const source = idOf(index, 'source');
  const of = (list: readonly Arrival[]): number => list.filter(({ sink }) => sink.startsWith(idOf(index, ''))).length;
  const settled = (): number => runtime.settled.filter((entry) => entry.source === source).length;
  await runtime.send(
    source,
    range(messages).map((payload) => ({ payload })),
  );
  await runtime.until(() => of(runtime.arrivals) >= arrivals && settled() >= settledBefore);
  await runtime.quiet();
  assert.equal(of(runtime.arrivals), arrivals, 'arrivals');
  assert.equal(settled(), settledBefore, 'settled while sinks keep what they have');
  for (let seen = -1; settled() < messages;) {
    await runtime.until(() => settled() >= messages || of(runtime.arrivals) > seen);
    seen = of(runtime.arrivals);
    await runtime.letGo(idOf(index, ''));
  }
  await runtime.quiet();
  assert.equal(of(runtime.arrivals), arrivalsAfter, 'arrivals at the end');
  assert.equal(settled(), messages, 'settled once');
  assert.equal(of(runtime.refused), refusals, 'refusals');
  if (logs !== undefined) assert.match(runtime.logged.join('\n'), logs);
  const { flows } = await runtime.ledger();
  const account = flows.find(({ sources }) => sources.includes(source));
  assert.ok(account);
  const { received, gap, inFlight } = account;
  assert.deepEqual({ received, gap, inFlight }, { received: messages, gap: 0, inFlight: 0 });
  assert.deepEqual(account.late, late, 'sent too late');
  for (const [bucket, count] of Object.entries(ends)) assert.equal(account[bucket as 'stored'], count, bucket);
}
