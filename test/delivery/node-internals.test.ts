/** What following deliveries builds on, in the Node-RED that is installed: another version that does it otherwise fails here. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Seen } from './internals-process.js';

describe("Node-RED's contract with the tracking of deliveries", () => {
  let seen: Seen;
  before(async function () {
    this.timeout(60_000);
    const userDir = mkdtempSync(join(tmpdir(), 'sluice-internals-'));
    const child = fork(join(import.meta.dirname, 'internals-process.ts'), [userDir], { execArgv: ['--import', 'tsx'] });
    [seen] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`the runtime has ended with ${code}`))),
    ])) as [Seen];
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    rmSync(userDir, { recursive: true, force: true });
  });

  it('tells by private fields whether a node has done, and whether it takes messages', () => {
    assert.deepEqual(seen.handlers, {
      done: { completesOnReturn: false, listens: true },
      several: { completesOnReturn: false, listens: true },
      one: { completesOnReturn: true, listens: true },
      none: { completesOnReturn: true, listens: false },
      closed: { completesOnReturn: false, listens: false },
    });
  });

  it('calls the hooks in their order, and delivers in a later turn than it announces', () => {
    assert.deepEqual(seen.order, [
      'onReceive done',
      'onSend',
      ...['preRoute nowhere', 'preDeliver one', 'postDeliver'],
      ...['preRoute nowhere', 'preDeliver two', 'postDeliver'],
      'onComplete', // a node that is done at once says so before its handler returns
      'postReceive done',
      ...['microtask', 'microtask'],
      ...['onReceive one', 'postReceive one', 'onReceive two', 'postReceive two'],
    ]);
  });

  it('gives the first of a fan-out the object itself and the others copies, which share functions', () => {
    assert.deepEqual(seen.copies, { symbolIsShared: true, firstIsTheObject: true, secondIsTheObject: false });
  });

  it('lets Catch nodes receive within done(error), after onComplete', () => {
    assert.deepEqual(seen.failing, [
      'onReceive fails',
      'before done',
      'onComplete',
      ...['onReceive catch', 'onComplete', 'postReceive catch'],
      'after done',
      'postReceive fails',
    ]);
  });

  it('lets Complete nodes receive within done(), after onComplete', () => {
    assert.deepEqual(seen.completing, [
      'onReceive completes',
      'before done',
      'onComplete',
      ...['onReceive complete', 'onComplete', 'postReceive complete'],
      'after done',
      'postReceive completes',
    ]);
  });

  it('takes nodes out of the list before their close handlers run, and tells of the deploy before and after', () => {
    assert.deepEqual(seen.deploy, [
      'flows:stopping: the old node',
      'close done: not active',
      'flows:starting: no node',
      'flows:started: the new node',
    ]);
  });

  it('drops what has no node to go to, after preRoute', () => {
    assert.deepEqual(seen.dropped, ['preRoute done']);
  });
});
