import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { until } from '../sluice.js';
import { forWorkers } from '../../runtime/fleet/flows/placement.js';
import type { FlowEntry } from '../../runtime/fleet/flows/document.js';
import { debug, EDITOR_TAB, TAB } from './flows.js';
import { useFleet } from './use-fleet.js';

const BOTH = [TAB, EDITOR_TAB, debug('a'), debug('b', { z: 'tab2' })];

describeWithServer('where a tab runs', startOwnMosquitto, (server) => {
  const fleet = useFleet(server);

  it('is every worker, or the editor instance only', async () => {
    const editor = await fleet.member(0, { flows: BOTH });
    const workers = [await fleet.member(1), await fleet.member(2)];
    assert.deepEqual(await editor.running('a', 'b'), ['b']);
    for (const worker of workers) assert.deepEqual(await worker.running('a', 'b'), ['a']);
  });

  it('is changed by a deploy: a tab goes from the workers to the editor instance, and back', async () => {
    const editor = await fleet.member(0, { flows: BOTH });
    const worker = await fleet.member(1);
    const moved = [{ ...TAB, env: EDITOR_TAB['env'] }, EDITOR_TAB, debug('a'), debug('b', { z: 'tab2' })];
    for (const [revision, flows, here, there] of [
      [2, moved, ['a', 'b'], []],
      [3, BOTH, ['b'], ['a']],
    ] as const) {
      await editor.deploy(flows);
      await worker.runs(revision);
      assert.deepEqual(await editor.running('a', 'b'), here);
      assert.deepEqual(await worker.running('a', 'b'), there);
    }
  });

  it('keeps nothing from the editor: it shows, exports and deploys all tabs as they are', async () => {
    const editor = await fleet.member(0, { flows: BOTH });
    const json = async (path: string): Promise<unknown> => (await fetch(`${editor.url}${path}`)).json();
    assert.deepEqual(await json('flows'), BOTH);
    const one = (await json('flow/tab1')) as Record<string, unknown>;
    assert.equal('disabled' in one, false);
    // Back as it came: the admin API of a single tab.
    const put = await fetch(`${editor.url}flow/tab1`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(one),
    });
    assert.equal(put.status, 200);
    const tab = ((await json('flows')) as FlowEntry[]).find(({ id }) => id === 'tab1');
    assert.notEqual(tab?.['disabled'], true);
    const worker = await fleet.member(1);
    assert.deepEqual(await worker.running('a', 'b'), ['a']);
  });

  it('a tab that is switched off runs nowhere', async () => {
    const off = [{ ...TAB, disabled: true }, { ...EDITOR_TAB, disabled: true }, debug('a'), debug('b', { z: 'tab2' })];
    const editor = await fleet.member(0, { flows: off });
    const worker = await fleet.member(1);
    assert.deepEqual([await editor.running('a', 'b'), await worker.running('a', 'b')], [[], []]);
    assert.equal((await worker.state()).revision, 1);
  });

  it('a link from one to the other is said to carry nothing', async () => {
    const out = { ...debug('out', { name: 'alerts' }), type: 'link out', mode: 'link', links: ['in'] };
    const into = { ...debug('in', { name: 'shown', z: 'tab2', wires: [['b']] }), type: 'link in', links: ['out'] };
    const editor = await fleet.member(0, { flows: [...BOTH, out, into] });
    await until(
      () => editor.log,
      (log) =>
        log.includes('nothing passes from link "alerts" to "shown": the tab of one runs on the editor instance only'),
    );
  });
});

describe('what a worker has of the flows', () => {
  const ids = (flows: readonly FlowEntry[]): string[] => forWorkers(flows).map(({ id }) => id);
  const node = (id: string, z: string, fields: object = {}): FlowEntry => ({
    id,
    type: 'debug',
    z,
    x: 1,
    y: 1,
    ...fields,
  });
  const config = (id: string, fields: object = {}): FlowEntry => ({ id, type: 'server', ...fields });

  it('is without the subflows and config nodes that only tabs of the editor instance use, however far', () => {
    const flows: FlowEntry[] = [
      ...[TAB, EDITOR_TAB, node('a', 'tab1', { server: 'both' }), node('b', 'tab2', { server: 'both', other: 'only' })],
      ...[
        config('both', { tls: 'tls-both' }),
        config('only', { tls: 'tls-only' }),
        config('tls-both'),
        config('tls-only'),
      ],
      ...[config('nobody'), config('on-tab', { z: 'tab2' })],
      ...[
        { id: 'sub', type: 'subflow' },
        node('s1', 'sub', { type: 'subflow:inner' }),
        { id: 'inner', type: 'subflow' },
      ],
      ...[
        node('i1', 'inner'),
        node('use', 'tab2', { type: 'subflow:sub' }),
        { id: 'g', type: 'group', z: 'tab2', nodes: [] },
      ],
    ];
    assert.deepEqual(ids(flows), ['tab1', 'a', 'both', 'tls-both', 'nobody']);
  });

  it('has a subflow that a tab of the workers uses too, with all that is in it', () => {
    const flows: FlowEntry[] = [
      ...[TAB, EDITOR_TAB, node('u1', 'tab1', { type: 'subflow:sub' }), node('u2', 'tab2', { type: 'subflow:sub' })],
      ...[{ id: 'sub', type: 'subflow' }, node('s1', 'sub', { server: 'c' }), config('c')],
    ];
    assert.deepEqual(ids(flows), ['tab1', 'u1', 'sub', 's1', 'c']);
  });

  it('is the pipeline of the default flow, without its devices and their broker', () => {
    const file = join(import.meta.dirname, '../../flows/devices-to-mongo-and-s3.json');
    const flows = JSON.parse(readFileSync(file, 'utf8')) as FlowEntry[];
    const kept = ids(flows);
    assert.deepEqual(
      flows.filter(({ id }) => !kept.includes(id)).map(({ type, name, label }) => [type, name ?? label]),
      [
        ['tab', 'Devices'],
        ['sluice-mqtt-broker', 'broker (devices)'],
        ['device-simulator', '3 devices, 2 messages/s each'],
      ],
    );
  });

  it('is all of it where no tab is for the editor instance', () => {
    assert.deepEqual(ids([TAB, node('a', 'tab1'), { id: 'sub', type: 'subflow' }]), ['tab1', 'a', 'sub']);
  });
});
