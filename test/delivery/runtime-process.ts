/** A real Node-RED with the palette as it is built, and the probes. It does what its parent's messages say. */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import RED from 'node-red';
import type { Instance as InstanceClass } from '../../nodes/adapter/instance.js';
import { CONTRIB } from './contrib.js';
import { type Arrival, begin, events, letGo } from './probes.js';
import type { Red } from '../../nodes/adapter/red.js';
import type { Reply, Request, Settled } from './runtime.js';

type Flows = { setFlows(request: object): Promise<unknown> };

const userDir = process.argv[2] ?? '';
const { Instance } = (await import(join(import.meta.dirname, '../../dist/adapter/instance.js'))) as {
  Instance: typeof InstanceClass;
};
process.on('disconnect', () => process.exit(1));
process.on('message', (request: Request) => {
  handle(request).then(
    (value) => reply({ type: 'answer', id: request.id, value }),
    (error: unknown) => reply({ type: 'answer', id: request.id, error: String(error) }),
  );
});
events.on('arrived', (arrival: Arrival) => reply({ type: 'arrived', arrival }));
events.on('refused', (arrival: Arrival) => reply({ type: 'refused', arrival }));
events.on('settled', (settled: Settled) => reply({ type: 'settled', settled }));

if (existsSync(CONTRIB)) symlinkSync(CONTRIB, join(userDir, 'node_modules'));
const server = createServer();
RED.init(server, {
  userDir,
  nodesDir: [writeProbes()],
  logging: {
    console: { level: 'off' },
    parent: {
      level: 'warn',
      handler: () => (entry: { msg: unknown; type?: string; level: number }) =>
        reply({ type: 'log', level: entry.level, text: `${entry.type ?? ''} ${String(entry.msg)}` }),
    },
  },
  telemetry: { enabled: false, updateNotification: false },
  functionExternalModules: false,
});
// As a plugin does that is loaded before the palette.
if (process.env['EARLY_HOOK'] === '1')
  (RED as unknown as Pick<Red, 'hooks'>).hooks.add('preDeliver.other', () => undefined);
const started = new Promise((resolve) => void RED.runtime.events.once('flows:started', resolve));
await RED.start();
await started;
reply({ type: 'started' });

async function handle(request: Request): Promise<unknown> {
  switch (request.type) {
    case 'deploy': {
      const { flows } = RED.runtime as unknown as { flows: Flows };
      const deployed = new Promise((resolve) => void RED.runtime.events.once('flows:started', resolve));
      await flows.setFlows({ flows: { flows: request.flows }, deploymentType: request.deployment });
      await deployed;
      return undefined;
    }
    case 'send':
      begin(request.source, request.messages);
      return undefined;
    case 'send-in-deploy':
      RED.runtime.events.once('flows:stopping', () => queueMicrotask(() => begin(request.source, request.messages)));
      return undefined;
    case 'let-go':
      letGo(request.sinks, request.error);
      return undefined;
    case 'turns':
      for (let count = 0; count < request.count; count++) await turn();
      return undefined;
    case 'leave':
      return Instance.running(RED.runtime.events).leave(request.timeoutMs);
    case 'ledger':
      return Instance.running(RED.runtime.events).ledger();
    case 'status':
      return Instance.running(RED.runtime.events).report();
  }
}

function reply(message: Reply): void {
  process.send?.(message);
}

/** Node-RED finds a node by a script and a page of one name. */
function writeProbes(): string {
  const folder = join(userDir, 'probes');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  for (const [type, name, module] of [
    ['probe-source', 'probeSource', 'probes.ts'],
    ['probe-sink', 'probeSink', 'probes.ts'],
    ['probe-pass', 'probePass', 'probes.ts'],
    ['raw-nodes', 'default', 'raw-nodes.ts'],
  ] as const) {
    const from = JSON.stringify(join(import.meta.dirname, module));
    writeFileSync(join(folder, `${type}.js`), `export { ${name} as default } from ${from};\n`);
    writeFileSync(join(folder, `${type}.html`), `<script type="text/html" data-template-name="${type}"></script>\n`);
  }
  return folder;
}
