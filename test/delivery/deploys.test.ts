import assert from 'node:assert/strict';
import { Runtime, type Deployment, type FlowNode } from './runtime.js';

const PLACE = { z: 'tab', x: 1, y: 1 };
const source = (to: string): FlowNode => ({
  id: 'source',
  type: 'probe-source',
  configVersion: 1,
  wires: [[to]],
  ...PLACE,
});
const sink = (settings: object = {}): FlowNode => ({
  id: 'sink',
  type: 'probe-sink',
  configVersion: 1,
  wires: [],
  ...PLACE,
  ...settings,
});
const delay = (timeout: string): FlowNode => ({
  id: 'n',
  type: 'delay',
  pauseType: 'delay',
  timeout,
  timeoutUnits: 'milliseconds',
  rate: '1',
  nbRateUnits: '1',
  rateUnits: 'second',
  randomFirst: '1',
  randomLast: '5',
  randomUnits: 'seconds',
  drop: false,
  outputs: 1,
  wires: [['sink']],
  ...PLACE,
});
const join = (name: string): FlowNode => ({
  id: 'n',
  type: 'join',
  name,
  mode: 'custom',
  build: 'array',
  property: 'payload',
  propertyType: 'msg',
  joiner: '\\n',
  joinerType: 'str',
  count: '4',
  wires: [['sink']],
  ...PLACE,
});
const fn = (func: string): FlowNode => ({ id: 'n', type: 'function', func, outputs: 1, wires: [['sink']], ...PLACE });
const flow = (...nodes: FlowNode[]): FlowNode[] => [{ id: 'tab', type: 'tab', label: 'deploys' }, ...nodes];

const MESSAGES = [0, 1, 2].map((payload) => ({ payload }));
const DEPLOYMENTS: readonly Deployment[] = ['full', 'flows', 'nodes'];

describe('a deploy', function () {
  this.timeout(10_000);
  let runtime: Runtime;
  beforeEach(async () => {
    runtime = await Runtime.start();
  });
  afterEach(() => runtime.stop());

  const payloads = (): unknown[] => runtime.arrivals.map(({ payload }) => payload);
  const settle = async (ends: Readonly<Record<string, number>>): Promise<void> => {
    await runtime.letGo();
    await runtime.until(() => runtime.settled.length >= 3);
    await runtime.quiet();
    assert.equal(runtime.settled.length, 3, 'each once');
    const ledger = await runtime.ledger();
    const { received, inFlight, gap } = ledger;
    assert.deepEqual({ received, inFlight, gap }, { received: 3, inFlight: 0, gap: 0 });
    for (const [bucket, count] of Object.entries(ends)) assert.equal(ledger[bucket as 'stored'], count, bucket);
  };

  for (const deployment of DEPLOYMENTS) {
    describe(deployment, () => {
      it('goes on with what a delay node has', async () => {
        await runtime.deploy(flow(source('n'), delay('60000'), sink()));
        await runtime.send('source', MESSAGES);
        await runtime.quiet();
        await runtime.deploy(flow(source('n'), delay('1'), sink()), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.deepEqual(payloads().sort(), [0, 1, 2]);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('goes on with what a join node has not put together', async () => {
        await runtime.deploy(flow(source('n'), join('first'), sink()));
        await runtime.send('source', MESSAGES);
        await runtime.quiet();
        await runtime.deploy(flow(source('n'), { ...join('second'), count: '3' }, sink()), deployment);
        await runtime.until(() => runtime.arrivals.length >= 1);
        assert.deepEqual((payloads()[0] as unknown[]).sort(), [0, 1, 2]);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('goes on with what a function awaits', async () => {
        const waits = fn('await new Promise((r) => setTimeout(r, 60000)); return msg;');
        await runtime.deploy(flow(source('n'), waits, sink()));
        await runtime.send('source', MESSAGES);
        await runtime.quiet();
        await runtime.deploy(flow(source('n'), fn('return msg;'), sink()), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('does not take a message from a sink that goes on', async () => {
        if (deployment !== 'nodes') return; // it is closed by the others
        await runtime.deploy(flow(source('n'), fn('return msg;'), sink()));
        await runtime.send('source', MESSAGES);
        await runtime.until(() => runtime.arrivals.length >= 3);
        await runtime.deploy(flow(source('n'), fn('return { payload: 1 };'), sink()), deployment);
        await runtime.quiet();
        assert.equal(runtime.arrivals.length, 3);
        await settle({ stored: 3 });
      });

      it('lets a sink of ours finish what it has, or gives it to the next', async () => {
        await runtime.deploy(flow(source('sink'), sink()));
        await runtime.send('source', MESSAGES);
        await runtime.until(() => runtime.arrivals.length >= 3);
        await runtime.letGo(undefined, 'unavailable');
        await runtime.deploy(flow(source('sink'), sink({ name: 'next' })), deployment);
        await runtime.until(() => runtime.arrivals.length >= 6);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('makes dead letters of what is in a node that is gone', async () => {
        await runtime.deploy(flow(source('n'), delay('60000'), sink()));
        await runtime.send('source', MESSAGES);
        await runtime.quiet();
        await runtime.deploy(flow(source('sink'), sink()), deployment);
        await settle({ deadLettered: 3 });
      });
    });
  }
});
