import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunningSluice, temporaryFolder, until } from './sluice.js';

const ROOT = join(import.meta.dirname, '..');
const FILES = ['flows', 'examples'].flatMap((folder) =>
  readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`),
);

interface FlowNode {
  readonly id: string;
  readonly type: string;
  readonly [field: string]: unknown;
}

describe('flows and examples', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  let sluice: RunningSluice;
  let ours: Map<string, unknown>;
  let known: Set<string>;

  before(async () => {
    sluice = await RunningSluice.start(folder.path);
    const sets = (await json('nodes')) as { id: string; types: string[]; err?: unknown }[];
    known = new Set(['tab', 'group', 'subflow', ...sets.flatMap(({ types }) => types)]);
    const palette = sets.filter(({ id }) => id.startsWith('@sluice/node-red/'));
    assert.deepEqual(
      palette.filter(({ err }) => err !== undefined),
      [],
    );
    ours = new Map(palette.flatMap(({ types }) => types.map((type) => [type, undefined])));
  });
  after(async () => {
    await sluice.stop();
    folder.remove();
  });

  const json = async (path: string): Promise<unknown> =>
    (await fetch(`${sluice.ready.editor}${path}`, { headers: { Accept: 'application/json' } })).json();

  it('there is an example for each node', () => {
    assert.deepEqual(
      FILES.filter((file) => file.startsWith('examples/'))
        .map((file) => file.slice('examples/'.length, -'.json'.length))
        .sort(),
      [...ours.keys()].sort(),
    );
  });

  it('an example is on one tab, which is named for its node', () => {
    for (const file of FILES.filter((name) => name.startsWith('examples/'))) {
      const flow = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as FlowNode[];
      assert.deepEqual(
        flow.filter(({ type }) => type === 'tab').map((tab) => tab['label']),
        [`Example: ${file.slice('examples/'.length, -'.json'.length)}`],
      );
    }
  });

  it('no id stands in two files: imported one after the other, all are there', () => {
    const seen = new Map<string, string>();
    for (const file of FILES) {
      for (const { id } of JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as FlowNode[]) {
        assert.equal(seen.get(id), undefined, `${id} in ${file}`);
        seen.set(id, file);
      }
    }
  });

  for (const file of FILES) {
    it(`${file} starts, with no unknown type and no setting that is refused`, async () => {
      const text = readFileSync(join(ROOT, file), 'utf8');
      const flow = JSON.parse(text) as FlowNode[];
      const ids = new Set(flow.map(({ id }) => id));
      assert.equal(ids.size, flow.length, 'each id once');
      assert.deepEqual(
        flow.filter(({ type }) => !known.has(type)).map(({ type }) => type),
        [],
      );
      for (const { wires = [] } of flow)
        for (const id of (wires as string[][]).flat()) assert.ok(ids.has(id), `a wire to ${id}`);

      const response = await fetch(`${sluice.ready.editor}flows`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: text,
      });
      assert.equal(response.status, 204, await response.text());
      const expected = flow.filter(({ type }) => ours.has(type)).map(({ id }) => id);
      const running = await until(
        () => sluice.nodes(),
        (nodes) => nodes.every(({ id }) => ids.has(id)) && nodes.length > 0,
      );
      assert.deepEqual(running.map(({ id }) => id).sort(), expected.sort(), sluice.stderr);
      // A node whose settings are refused shows the place of the first.
      assert.deepEqual(
        running.filter(({ status }) => status.startsWith('/')),
        [],
      );
    });
  }
});
