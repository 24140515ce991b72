/** A Node-RED without the palette that tells its parent what it does, in the order in which it does it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import RED from 'node-red';
import { completesOnReturn, listens } from '../../nodes/adapter/node-internals.js';
import type { CompleteEvent, ReceiveEvent, Red, RedNode, SendEvent } from '../../nodes/adapter/red.js';
import type { Message } from '../../nodes/lib/message.js';
import { loaded, received, steps } from './internals-nodes.js';

/** What was seen, by what was looked at. */
export interface Seen {
  handlers: Record<string, { completesOnReturn: boolean; listens: boolean }>;
  order: string[];
  failing: string[];
  completing: string[];
  deploy: string[];
  copies: { symbolIsShared: boolean; firstIsTheObject: boolean; secondIsTheObject: boolean };
  dropped: string[];
}

const SHARED = Symbol('shared');
type Carrier = Message & { [SHARED]?: () => void };

const runtime = RED.runtime as unknown as { flows: { setFlows(request: object): Promise<unknown> } };
const taken = (): string[] => steps.splice(0);

const at = { z: 'tab', x: 1, y: 1 };
const flowWith = (name: string): object[] => [
  { id: 'tab', type: 'tab' },
  { id: 'source', type: 'c-done', wires: [['done']], ...at },
  { id: 'done', type: 'c-done', name, wires: [['one', 'two']], ...at },
  { id: 'one', type: 'c-without-done', wires: [], ...at },
  { id: 'two', type: 'c-without-done', wires: [], ...at },
  { id: 'several', type: 'c-done-twice', wires: [], ...at },
  { id: 'none', type: 'c-without-handler', wires: [], ...at },
  { id: 'fails', type: 'c-fails', wires: [], ...at },
  { id: 'completes', type: 'c-completes', wires: [], ...at },
  { id: 'catch', type: 'catch', scope: ['fails'], uncaught: false, wires: [], ...at },
  { id: 'complete', type: 'complete', scope: ['completes'], uncaught: false, wires: [], ...at },
];

async function deploy(name: string, deploymentType: string): Promise<void> {
  const deployed = new Promise((resolve) => void RED.runtime.events.once('flows:started', resolve));
  await runtime.flows.setFlows({ flows: { flows: flowWith(name) }, deploymentType });
  await deployed;
}

async function look(red: Red): Promise<Seen> {
  const node = (id: string): RedNode => red.nodes.getNode(id)!;
  const state = (one: RedNode): { completesOnReturn: boolean; listens: boolean } => ({
    completesOnReturn: completesOnReturn(one),
    listens: listens(one),
  });
  const handlers = Object.fromEntries(['done', 'several', 'one', 'none'].map((id) => [id, state(node(id))]));

  for (const name of ['onSend', 'preRoute', 'preDeliver', 'postDeliver', 'onReceive', 'postReceive', 'onComplete']) {
    red.hooks.add(`${name}.contract`, (event: SendEvent & ReceiveEvent & CompleteEvent & SendEvent[]) => {
      const destination = name === 'preRoute' || name === 'preDeliver' ? event.destination : undefined;
      const where =
        destination === undefined
          ? ''
          : (destination.node as RedNode | undefined) === undefined
            ? ' nowhere'
            : ` ${destination.id}`;
      const receiver = name.endsWith('Receive') ? ` ${event.destination.id}` : '';
      steps.push(`${name}${where}${receiver}`);
      if (name === 'preDeliver') queueMicrotask(() => steps.push('microtask'));
    });
  }
  const message: Carrier = { payload: {} };
  message[SHARED] = () => undefined;
  node('done').receive(message);
  await turn();
  await turn();
  const order = taken();
  const [first, second] = received as [Carrier, Carrier];
  const copies = {
    symbolIsShared: second[SHARED] === message[SHARED],
    firstIsTheObject: first === message,
    secondIsTheObject: second === message,
  };
  node('fails').receive({ payload: 1 });
  const failing = taken();
  node('completes').receive({ payload: 1 });
  const completing = taken();

  const old = node('done');
  red.hooks.remove('*.contract');
  for (const event of ['flows:stopping', 'flows:starting', 'flows:started']) {
    red.events.on(event, () => {
      const active = red.nodes.getNode('done');
      steps.push(`${event}: ${active === old ? 'the old node' : active ? 'the new node' : 'no node'}`);
    });
  }
  red.hooks.add('preRoute.contract', (event: SendEvent) => void steps.push(`preRoute ${event.destination.id}`));
  red.hooks.add('preDeliver.contract', (event: SendEvent) => void steps.push(`preDeliver ${event.destination.id}`));
  let dropped: string[] = [];
  red.events.once('flows:starting', () => {
    const deploySteps = taken();
    node('source').send([{ payload: 1 }]); // to a node that is not there at the moment
    dropped = taken();
    steps.push(...deploySteps);
  });
  await deploy('next', 'nodes');
  const deployed = taken();
  handlers['closed'] = state(old);
  return { handlers, order, failing, completing, deploy: deployed, copies, dropped };
}

const userDir = process.argv[2] ?? '';
const folder = join(userDir, 'contract');
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
const from = JSON.stringify(join(import.meta.dirname, 'internals-nodes.ts'));
writeFileSync(join(folder, 'c-nodes.js'), `export { default } from ${from};\n`);
writeFileSync(join(folder, 'c-nodes.html'), '');
RED.init(createServer(), {
  userDir,
  nodesDir: [folder],
  logging: { console: { level: 'off' } },
  telemetry: { enabled: false, updateNotification: false },
});
const started = new Promise((resolve) => void RED.runtime.events.once('flows:started', resolve));
await RED.start();
await started;
const red = await loaded;
await deploy('first', 'full');
process.send?.(await look(red));
