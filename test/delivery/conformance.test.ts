import assert from 'node:assert/strict';
import { CASES, type Case } from './cases.js';
import { PeerServer } from './peer-server.js';
import { Runtime, type FlowNode } from './runtime.js';

const idOf = (index: number, id: string): string => `case${index}-${id}`;

/** What holds ids of other nodes, at any depth. */
const HOLDS_IDS = new Set(['id', 'z', 'g', 'wires', 'links', 'scope', 'in', 'out', 'nodes', 'target']);

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
    return { x: 1, y: 1, ...others, type: of, z: z === 'tab' ? idOf(index, 'tab') : z };
  });
  return [{ id: idOf(index, 'tab'), type: 'tab', label: `case ${index}` }, ...local];
}

describe('a delivery', () => {
  let runtime: Runtime;
  let server: PeerServer;
  before(async function () {
    this.timeout(60_000);
    server = await PeerServer.start();
    runtime = await Runtime.start({ PEER_URL: server.url });
    await runtime.deploy(CASES.flatMap(tab));
  });
  after(async () => {
    await runtime.stop();
    await server.stop();
  });

  for (const [index, one] of CASES.entries()) {
    const { name, messages = 1, arrivals, settledBefore = 0, ends = { stored: messages }, late = {} } = one;
    const { refusals = 0, logs } = one;
    it(`is settled when all is stored: ${name}`, async () => {
      const source = idOf(index, 'source');
      const ofCase = (id: string): boolean => id.startsWith(idOf(index, ''));
      const arrived = (): number => runtime.arrivals.filter(({ sink }) => ofCase(sink)).length;
      const settled = (): unknown[] => runtime.settled.filter((entry) => entry.source === source);
      await runtime.send(
        source,
        Array.from({ length: messages }, (_value, payload) => ({ payload })),
      );
      await runtime.until(() => arrived() >= arrivals && settled().length >= settledBefore);
      await runtime.quiet();
      assert.equal(arrived(), arrivals, 'arrivals');
      assert.equal(settled().length, settledBefore, 'settled while sinks keep what they have');
      await runtime.letGo();
      await runtime.until(() => settled().length >= messages);
      await runtime.quiet();
      assert.equal(settled().length, messages, 'settled once');
      assert.equal(runtime.refused.filter(({ sink }) => ofCase(sink)).length, refusals, 'refusals');
      if (logs !== undefined) assert.match(runtime.logged.join('\n'), logs);
      const { flows } = await runtime.ledger();
      const account = flows.find(({ sources }) => sources.includes(source));
      assert.ok(account);
      const { received, gap, inFlight } = account;
      assert.deepEqual({ received, gap, inFlight }, { received: messages, gap: 0, inFlight: 0 });
      assert.deepEqual(account.late, late, 'sent too late');
      for (const [bucket, count] of Object.entries(ends)) {
        assert.equal(account[bucket as 'stored'], count, bucket);
      }
    });
  }
});
