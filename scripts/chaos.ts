/**
 * `npm run chaos [-- options of sluice chaos]`: our flow by a plan of faults, and a flow of stock nodes by the same plan,
 * which shows what acknowledging on receipt costs. Exit code: that of our flow.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const flows = join(root, 'bench/chaos');
const stock = join(root, 'bench/stock');
const options = process.argv.slice(2);

process.on('SIGINT', () => undefined); // the command ends what it has started, in order

if (!existsSync(join(stock, 'node_modules'))) run('npm', ['ci', '--prefix', stock, '--no-audit', '--no-fund']);
console.log('\nSluice\n');
const code = chaos('sluice.json');
console.log('\nThe same work and plan with stock nodes\n');
chaos('stock.json', ['--nodes', stock, '--collection', 'devices']);
process.exitCode = code;

function chaos(flow: string, more: readonly string[] = []): number {
  return run(process.execPath, [join(root, 'runtime/bin/sluice.js'), 'chaos', join(flows, flow), ...more, ...options]);
}

function run(command: string, parameters: readonly string[]): number {
  const { status } = spawnSync(command, parameters, { stdio: 'inherit' });
  if (status === null || status > 1) process.exit(status ?? 1); // interrupted, or a wrong option
  return status;
}
