import assert from 'node:assert/strict';
import { Runtime, type Deployment, type FlowNode } from './runtime.js';

const node = (id: string, type: string, wires: string[][], settings: object = {}): FlowNode => ({
  id,
  type,
  x: 1,
  y: 1,
  wires,
  ...settings,
});
const source = (to: string): FlowNode => node('source', 'probe-source', [[to]], { configVersion: 1 });
const sink = (settings: object = {}): FlowNode => node('sink', 'probe-sink', [], { configVersion: 1, ...settings });
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
  x: 1,
  y: 1,
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
  x: 1,
  y: 1,
});
const fn = (func: string): FlowNode => node('n', 'function', [['sink']], { func, outputs: 1 });
/** Each test has a tab and a source of its own: counts outlive deploys. */
let test = 0;
const own = (id: string): string => (id === 'source' || id === 'tab' ? `${id}${test}` : id);
const flow = (...nodes: FlowNode[]): FlowNode[] => [
  { id: own('tab'), type: 'tab', label: 'deploys' },
  ...nodes.map(({ id, z = own('tab'), ...others }) => ({
    ...others,
    id: own(id),
    ...(others.type !== 'subflow' && { z }),
  })),
];

const MESSAGES = [0, 1, 2].map((payload) => ({ payload }));
const DEPLOYMENTS: readonly Deployment[] = ['full', 'flows', 'nodes'];

describe('a deploy', function () {
  this.timeout(10_000);
  let runtime: Runtime;
  before(async () => {
    runtime = await Runtime.start();
  });
  after(() => runtime.stop());
  beforeEach(() => {
    test++;
    runtime.forget();
  });

  const send = (): Promise<void> => runtime.send(own('source'), MESSAGES);
  const payloads = (): unknown[] => runtime.arrivals.map(({ payload }) => payload).sort();
  const settle = async (ends: Readonly<Record<string, number>>): Promise<void> => {
    await runtime.letGo();
    await runtime.until(() => runtime.settled.length >= 3);
    await runtime.quiet();
    assert.equal(runtime.settled.length, 3, 'each once');
    const { flows } = await runtime.ledger();
    const account = flows.find(({ id }) => id === own('tab'))!;
    const { received, inFlight, gap } = account;
    assert.deepEqual({ received, inFlight, gap }, { received: 3, inFlight: 0, gap: 0 });
    for (const [bucket, count] of Object.entries(ends)) assert.equal(account[bucket as 'stored'], count, bucket);
  };

  for (const deployment of DEPLOYMENTS) {
    describe(deployment, () => {
      it('keeps what is sent while the node that it goes to is made anew', async () => {
        await runtime.deploy(flow(source('sink'), sink()));
        await runtime.sendInDeploy(own('source'), MESSAGES);
        await runtime.deploy(flow(source('sink'), sink({ name: 'anew' })), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.deepEqual(payloads(), [0, 1, 2]);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('goes on with what a delay node has', async () => {
        await runtime.deploy(flow(source('n'), delay('60000'), sink()));
        await send();
        await runtime.quiet();
        await runtime.deploy(flow(source('n'), delay('1'), sink()), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.deepEqual(payloads(), [0, 1, 2]);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('goes on with what a join node has not put together', async () => {
        await runtime.deploy(flow(source('n'), join('first'), sink()));
        await send();
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
        await send();
        await runtime.quiet();
        await runtime.deploy(flow(source('n'), fn('return msg;'), sink()), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('does not take a message from a sink that goes on', async () => {
        if (deployment !== 'nodes') return; // it is closed by the others
        await runtime.deploy(flow(source('n'), fn('return msg;'), sink()));
        await send();
        await runtime.until(() => runtime.arrivals.length >= 3);
        await runtime.deploy(flow(source('n'), fn('return { payload: 1 };'), sink()), deployment);
        await runtime.quiet();
        assert.equal(runtime.arrivals.length, 3);
        await settle({ stored: 3 });
      });

      it('lets a sink of ours finish what it has, or gives it to the next', async () => {
        await runtime.deploy(flow(source('sink'), sink()));
        await send();
        await runtime.until(() => runtime.arrivals.length >= 3);
        await runtime.letGo(undefined, 'unavailable');
        await runtime.deploy(flow(source('sink'), sink({ name: 'next' })), deployment);
        await runtime.until(() => runtime.arrivals.length >= 6);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('goes on with what a node had that was not stopped by its close', async () => {
        await runtime.deploy(flow(source('n'), node('n', 'raw-slow', [['sink']]), sink()));
        await send();
        await runtime.quiet();
        await runtime.deploy(
          flow(source('n'), node('n', 'raw-slow', [['sink']], { name: 'next' }), sink()),
          deployment,
        );
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.deepEqual(payloads(), [0, 1, 2]);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('goes on with what fails and is attempted again while it takes place', async () => {
        const fails =
          'if (!flow.get("failed")) { flow.set("failed", msg.payload === 2); throw new Error("no"); } return msg;';
        const closing = (name: string): FlowNode => node('c', 'raw-closes-slowly', [], { name });
        await runtime.deploy(flow(source('n'), fn(fails), sink(), closing('first')));
        await send();
        await runtime.quiet();
        await runtime.deploy(flow(source('n'), fn('return msg;'), sink(), closing('next')), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.deepEqual(payloads(), [0, 1, 2]);
        await settle({ stored: 3 });
      });

      it('goes on with what a node that stays sends to one that is made anew', async () => {
        const closing = (name: string): FlowNode => node('c', 'raw-closes-slowly', [], { name });
        const slow = node('slow', 'raw-slow', [['n']]);
        await runtime.deploy(flow(source('slow'), slow, fn('return msg;'), sink(), closing('first')));
        await send();
        await runtime.quiet();
        await runtime.deploy(flow(source('slow'), slow, fn(' return msg;'), sink(), closing('next')), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.deepEqual(payloads(), [0, 1, 2]);
        assert.equal(runtime.settled.length, 0);
        await settle({ stored: 3 });
      });

      it('knows what a switch node does whose wires it has changed', async () => {
        const rules = {
          property: 'payload',
          propertyType: 'msg',
          rules: [{ t: 'nnull' }],
          checkall: 'true',
          outputs: 1,
        };
        const to = (id: string): FlowNode[] =>
          flow(source('n'), node('n', 'switch', [[id]], rules), node('other', 'junction', [['sink']]), sink());
        await runtime.deploy(to('sink'));
        await runtime.send(own('source'), MESSAGES.slice(0, 1));
        await runtime.until(() => runtime.arrivals.length >= 1);
        await runtime.letGo();
        await runtime.until(() => runtime.settled.length >= 1);
        await runtime.deploy(to('other'), deployment);
        await runtime.send(own('source'), MESSAGES.slice(1));
        await runtime.until(() => runtime.arrivals.length >= 3);
        await settle({ stored: 3 });
      });

      it('leaves what is in a subflow that it does not touch', async () => {
        const waits = 'await new Promise((r) => setTimeout(r, 1300)); return msg;';
        const nodes = (name: string): FlowNode[] => [
          { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's' }] }], out: [{ wires: [{ id: 's', port: 0 }] }] },
          node('s', 'function', [[]], { func: waits, outputs: 1, z: 'sub' }),
          node('n', 'subflow:sub', [['sink']]),
          source('n'),
          sink(),
          node('c', 'debug', [], { name, active: false }),
        ];
        if (deployment !== 'nodes') return; // the others close it
        await runtime.deploy(flow(...nodes('first')));
        await send();
        await runtime.quiet();
        await runtime.deploy(flow(...nodes('next')), deployment);
        await runtime.until(() => runtime.arrivals.length >= 3);
        assert.deepEqual(payloads(), [0, 1, 2]);
        await settle({ stored: 3 });
      });

      it('makes dead letters of what is in a node that is gone', async () => {
        await runtime.deploy(flow(source('n'), delay('60000'), sink()));
        await send();
        await runtime.quiet();
        await runtime.deploy(flow(source('sink'), sink()), deployment);
        await settle({ deadLettered: 3 });
      });
    });
  }
});
