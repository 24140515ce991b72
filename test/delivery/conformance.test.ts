import assert from 'node:assert/strict';
import { CASES, type Case } from './cases.js';
import { Runtime, type FlowNode } from './runtime.js';

const idOf = (index: number, id: string): string => `case${index}-${id}`;

/** A property that holds ids of nodes. */
function idsIn(node: Record<string, unknown>, property: string, index: number): object {
  const ids = node[property];
  return Array.isArray(ids) ? { [property]: ids.map((id: string) => idOf(index, id)) } : {};
}

/** The nodes of a case on a tab of their own, with a source and sinks. */
function tab({ nodes }: Case, index: number): FlowNode[] {
  const place = { z: idOf(index, 'tab'), x: 1, y: 1 };
  const source = { id: 'source', type: 'probe-source', configVersion: 1, wires: [[nodes[0]?.id]] };
  const sinks = ['sink', 'sink2'].map((id) => ({ id, type: 'probe-sink', configVersion: 1, wires: [] }));
  const local = [source, ...nodes, ...sinks].map((node: Record<string, unknown>) => ({
    ...node,
    ...place,
    id: idOf(index, String(node['id'])),
    type: String(node['type']),
    wires: (node['wires'] as string[][]).map((wires) => wires.map((id) => idOf(index, id))),
    ...idsIn(node, 'scope', index),
    ...idsIn(node, 'links', index),
  }));
  return [{ id: place.z, type: 'tab', label: `case ${index}` }, ...local];
}

describe('a delivery', () => {
  let runtime: Runtime;
  before(async function () {
    this.timeout(60_000);
    runtime = await Runtime.start();
    await runtime.deploy(CASES.flatMap(tab));
  });
  after(() => runtime.stop());

  for (const [index, one] of CASES.entries()) {
    const { name, messages = 1, arrivals, settledBefore = 0, ends = { stored: messages }, late = {} } = one;
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
