import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { SlotLog } from '../../runtime/fleet/slots/log.js';
import { runSluice, Sluice, temporaryFolder, until } from '../sluice.js';

describe('the logs of a fleet', function () {
  this.timeout(20_000);
  const folder = temporaryFolder();
  const write = process.stderr.write.bind(process.stderr);
  const shown: string[] = [];
  before(() => {
    process.stderr.write = (text) => shown.push(String(text)) > 0;
  });
  after(() => {
    process.stderr.write = write;
    folder.remove();
  });
  const log = (slot: number): SlotLog => new SlotLog(join(folder.path, 'slots', String(slot), 'log'), `press-${slot}`);

  it('are kept by slot, and shown with the name of the instance; the command needs no fleet that runs', async () => {
    const [one, two] = [log(1), log(2)];
    one.write('first\nsec');
    one.write('ond\n');
    two.write('third\n');
    assert.deepEqual(shown.splice(0), ['press-1: first\n', 'press-1: second\n', 'press-2: third\n']);
    const logs = (...parameters: string[]) => runSluice(['fleet', 'logs', '--user-dir', folder.path, ...parameters]);
    assert.equal((await logs()).stdout, '1: first\n1: second\n2: third\n');
    assert.equal((await logs('1', '--lines', '1')).stdout, 'second\n');
    const none = await logs('7');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /expected a log of slot 7 in .*, got none/);
  });

  it('are followed', async () => {
    const follower = new Sluice(['fleet', 'logs', '2', '--follow', '--user-dir', folder.path]);
    assert.equal(await follower.line(), 'third');
    log(2).write('fourth\n');
    await until(
      () => follower.stdout,
      (text) => text === 'third\nfourth\n',
    );
    assert.equal((await follower.stop('SIGINT')).code, 0);
  });

  it('take a bounded part of the disk, and lose none of the last lines', async () => {
    const noisy = log(3);
    const line = 'x'.repeat(1_000);
    for (let number = 0; number < 7_000; number++) noisy.write(`${number} ${line}\n`);
    const bytes = ['log', 'log.1'].map((name) => statSync(join(folder.path, 'slots/3', name)).size);
    assert.ok(Math.max(...bytes) < 2.2e6, String(bytes));
    const { stdout } = await runSluice(['fleet', 'logs', '3', '--lines', '2000', '--user-dir', folder.path]);
    const numbers = stdout.trimEnd().split('\n').map(Number.parseFloat);
    assert.deepEqual(
      numbers,
      Array.from({ length: 2_000 }, (_none, index) => 5_000 + index),
    );
  });
});
