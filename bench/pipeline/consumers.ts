import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { MeasuredProcess } from '../lib/process.js';
import { SLUICE, type Servers } from '../lib/servers.js';
import { pipelineFlow, type FlowNode } from '../lib/sluice-flow.js';
import { SCHEMA } from './schema.js';
import { stockFlow } from './stock-flow.js';

/** Debian's own, for which its packages are. */
const PYTHON = '/usr/bin/python3';
const root = join(import.meta.dirname, '../..');
const stock = join(root, 'bench/stock');

type Qos = 0 | 1 | 2;

/** Starts what takes messages from the broker and puts them into the store. */
export type Consumer = (servers: Servers, qos: Qos) => Promise<MeasuredProcess>;

export const bare: Consumer = (servers, qos) =>
  Promise.resolve(
    new MeasuredProcess(process.execPath, [join(import.meta.dirname, 'bare.ts')], {
      ...servers.environment,
      QOS: String(qos),
      SCHEMA: JSON.stringify(SCHEMA),
    }),
  );

export const python: Consumer = (servers, qos) =>
  Promise.resolve(
    new MeasuredProcess(PYTHON, [join(import.meta.dirname, 'mongogw.py')], {
      ...servers.environment,
      QOS: String(qos),
    }),
  );

/** Node-RED as it is installed, with the nodes of bench/stock. */
export const stockNodeRed: Consumer = (servers, qos) => {
  if (!existsSync(join(stock, 'node_modules'))) {
    spawnSync('npm', ['ci', '--prefix', stock, '--no-audit', '--no-fund'], { stdio: 'inherit' });
  }
  const folder = join(servers.folder, 'stock');
  mkdirSync(folder);
  const { MQTT_URL, MONGODB_URI } = servers.environment;
  writeFileSync(join(folder, 'flows.json'), JSON.stringify(stockFlow(new URL(MQTT_URL), MONGODB_URI, qos)));
  writeFileSync(
    join(folder, 'settings.js'),
    `module.exports = ${JSON.stringify({
      flowFile: 'flows.json',
      uiHost: '127.0.0.1',
      uiPort: 0,
      nodesDir: join(stock, 'node_modules/node-red-contrib-mongodb4'),
      logging: { console: { level: 'warn' } },
    })};`,
  );
  return Promise.resolve(
    new MeasuredProcess(process.execPath, [join(root, 'node_modules/node-red/red.js'), '--userDir', folder]),
  );
};

/** Ours with a flow: one instance, or what another command makes of it. */
export async function startSluice(
  servers: Servers,
  flow: readonly FlowNode[],
  command: readonly string[] = ['start'],
): Promise<MeasuredProcess> {
  const folder = join(servers.folder, 'sluice');
  mkdirSync(folder);
  const file = join(folder, 'flow.json');
  writeFileSync(file, JSON.stringify(flow));
  const instance = new MeasuredProcess(
    process.execPath,
    [SLUICE, ...command, file, '--json', '--user-dir', join(folder, 'user'), '--port', '0'],
    servers.environment,
  );
  await instance.line();
  return instance;
}

export const sluice: Consumer = (servers, qos) =>
  startSluice(servers, pipelineFlow({ qos, branches: 1, objects: false }));

export const sluiceWithObjects: Consumer = (servers, qos) =>
  startSluice(servers, pipelineFlow({ qos, branches: 1, objects: true }));
