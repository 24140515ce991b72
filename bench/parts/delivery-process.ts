/**
 * What following a delivery costs: CPU time a message over five hops (source → router → filter → router → two sinks), in
 * real Node-RED 5. `none`: messages without a delivery. `explicit`: our nodes only. `tracked`: a core
 * function node in place of the filter.
 * Prints one line of JSON: of each, the figures of its rounds.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import RED from 'node-red';
import type * as Adapter from '../../nodes/adapter/define-node.js';
import type { Message } from '../../nodes/lib/message.js';

const dist = join(import.meta.dirname, '../../dist');
const { defineNode } = (await import(join(dist, 'adapter/define-node.js'))) as typeof Adapter;
const COUNT = 100_000;
const WINDOW = 1_000;
/** The first warms up. */
const ROUNDS = Number(process.argv[2] ?? 5);

let settled = 0;
let arrived = 0;
let source: Adapter.NodeContext<unknown, unknown> | undefined;
const config = { type: 'object', properties: { configVersion: { const: 1, default: 1 } } } as never;
const base = { config, checks: () => [] } as const;
const nodes = {
  'bench-source': defineNode({ ...base, type: 'bench-source', create: (context) => ((source = context), {}) }),
  'bench-pass': defineNode({
    ...base,
    type: 'bench-pass',
    create: () => ({ input: (message: Message, send: Adapter.Send) => send(message, 0) }),
  }),
  'bench-sink': defineNode({
    ...base,
    type: 'bench-sink',
    create: () => ({
      input: async () => {
        arrived++;
        await Promise.resolve();
        return 'stored' as const;
      },
    }),
  }),
};
const globals = globalThis as { benchNodes?: typeof nodes };
globals.benchNodes = nodes;

const userDir = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
process.once('exit', () => rmSync(userDir, { recursive: true, force: true }));
const folder = join(userDir, 'bench');
mkdirSync(folder);
writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
for (const type of Object.keys(nodes)) {
  writeFileSync(join(folder, `${type}.js`), `export default globalThis.benchNodes['${type}'];\n`);
  writeFileSync(join(folder, `${type}.html`), `<script type="text/html" data-template-name="${type}"></script>\n`);
}
RED.init(createServer(), {
  userDir,
  nodesDir: [folder],
  logging: { console: { level: 'off' } },
  telemetry: { enabled: false, updateNotification: false },
});
const started = new Promise((resolve) => void RED.runtime.events.once('flows:started', resolve));
await RED.start();
await started;
const { flows } = RED.runtime as unknown as { flows: { setFlows(request: object): Promise<unknown> } };

const at = { z: 'tab', x: 1, y: 1, configVersion: 1 };
const flowWith = (middle: object): object[] => [
  { id: 'tab', type: 'tab' },
  { id: 'source', type: 'bench-source', wires: [['a']], ...at },
  { id: 'a', type: 'bench-pass', wires: [['b']], ...at },
  { id: 'b', wires: [['c']], ...at, ...middle },
  { id: 'c', type: 'bench-pass', wires: [['s', 't']], ...at },
  { id: 's', type: 'bench-sink', wires: [], ...at },
  { id: 't', type: 'bench-sink', wires: [], ...at },
];
const OURS = flowWith({ type: 'bench-pass' });
const FOREIGN = flowWith({ type: 'function', func: 'return msg;', outputs: 1 });

async function deploy(nodesOfFlow: object[]): Promise<void> {
  const running = new Promise((resolve) => void RED.runtime.events.once('flows:started', resolve));
  await flows.setFlows({ flows: { flows: nodesOfFlow }, deploymentType: 'full' });
  await running;
}

/** CPU µs a message. */
async function run(withDelivery: boolean): Promise<number> {
  if (source === undefined) throw new Error('no source');
  settled = arrived = 0;
  const before = process.cpuUsage();
  let sent = 0;
  while (sent < COUNT) {
    for (let burst = 0; burst < WINDOW / 2 && sent < COUNT; burst++, sent++) {
      const message: Message = { topic: 'device/1', payload: { value: sent, unit: 'C' } };
      if (withDelivery) {
        const delivery = source.deliveries.begin(message, () => settled++);
        source.send(message, 0);
        delivery.close('bench-source');
      } else {
        (source as unknown as { raw: (message: Message) => void }).raw(message);
      }
    }
    while ((withDelivery ? settled : arrived / 2) < sent) await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / COUNT;
}

const results: Record<string, number[]> = { none: [], explicit: [], tracked: [] };
const rawSend = (): void => {
  const node = (RED as unknown as { nodes: { getNode(id: string): { send(message: Message): void } } }).nodes;
  Object.assign(source as object, { raw: (message: Message) => node.getNode('source').send(message) });
};
for (let round = 0; round <= ROUNDS; round++) {
  const figures: Record<string, number> = {};
  await deploy(OURS);
  rawSend();
  figures['none'] = await run(false);
  figures['explicit'] = await run(true);
  await deploy(FOREIGN);
  figures['tracked'] = await run(true);
  if (round === 0) continue; // warms up
  for (const [name, figure] of Object.entries(figures)) results[name]?.push(figure);
}
process.stdout.write(`${JSON.stringify(results)}\n`);
process.exit(0);
