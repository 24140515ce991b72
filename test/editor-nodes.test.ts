/** Each node of the palette as a person first meets it: dragged in, its form, a bad value, a deploy, its form again; and its example. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EditorPage, type CanvasNode, EMPTY_TAB, useEditor } from './editor-page.js';
import { startChromium } from './servers/chromium.js';
import { describeWithServer } from './servers/server.js';
import { type RunningSluice, until } from './sluice.js';

const EXAMPLES = join(import.meta.dirname, '../examples');

interface Change {
  readonly field: string;
  readonly bad: string;
  readonly good: string;
}

/** What is typed into each form; `config` is the row by which the node names a config node, with its form. */
const FORMS: Readonly<
  Record<string, Change & { readonly config?: Change & { readonly row: string; readonly type: string } }>
> = {
  'device-simulator': { field: 'devices', bad: '0', good: '5' },
  'mqtt-ingest': {
    ...{ field: 'maxInFlight', bad: '70000', good: '50' },
    config: { row: 'broker', type: 'sluice-mqtt-broker', field: 'keepalive', bad: '-1', good: '17' },
  },
  'mqtt-publish': {
    ...{ field: 'topic', bad: 'alert/#', good: 'alert/{payload.uuid}' },
    config: { row: 'broker', type: 'sluice-mqtt-broker', field: 'clientId', bad: '', good: 'alerts' },
  },
  'schema-filter': {
    ...{ field: 'property', bad: 'payload..x', good: 'payload.reading' },
    config: { row: 'schema', type: 'message-schema', field: 'version', bad: '', good: '12' },
  },
  'fan-out-router': { field: 'name', bad: '', good: 'three ways' },
  'mongo-sink': {
    ...{ field: 'collection', bad: '{payload', good: 'readings_{topic[0]}' },
    config: { row: 'connection', type: 'mongo-connection', field: 'serverSelectionTimeout', bad: 'soon', good: '700' },
  },
  's3-sink': {
    ...{ field: 'maxRecords', bad: '1.5', good: '77' },
    config: { row: 'store', type: 'object-store', field: 'url', bad: 'ftp://bucket', good: '${S3_URL}' },
  },
  'dead-letter': {
    ...{ field: 'name', bad: '', good: 'not taken' },
    config: { row: 'queue', type: 'dead-letter-queue', field: 'maxQueue', bad: '0', good: '11' },
  },
};

describeWithServer('each node in the editor', startChromium, (server) => {
  const opened = useEditor(() => server().browser, EMPTY_TAB);
  let sluice: RunningSluice;
  let editor: EditorPage;
  before(() => {
    ({ sluice, editor } = opened());
  });

  type Field = ReturnType<EditorPage['field']>;
  /** Types a value; resolves when the field is marked as bad, or is not. */
  async function type(field: Field, value: string, marked: boolean): Promise<void> {
    await field.fill(value);
    await editor.page.keyboard.press('Tab');
    await until(
      async () => ((await field.getAttribute('class')) ?? '').split(' ').includes('input-error'),
      (now) => now === marked,
    );
  }
  const typeBoth = async (field: Field, { bad, good }: Change): Promise<void> => {
    if (bad !== '') await type(field, bad, true);
    await type(field, good, false);
  };

  it('is dragged in, marks a bad value, is deployed, and opens again with the same values', async function () {
    this.timeout(180_000);
    const palette = await editor.page
      .locator('.red-ui-palette-node[data-palette-type]')
      .evaluateAll((elements) =>
        elements.map((element) => (element as unknown as { dataset: { paletteType: string } }).dataset.paletteType),
      );
    const types = (await sluice.nodeTypes()).filter((type) => palette.includes(type));
    assert.deepEqual(types.sort(), Object.keys(FORMS).sort(), 'every node of the palette, and no other');

    const added: CanvasNode[] = [];
    for (const [index, [type, form]] of Object.entries(FORMS).entries()) {
      const node = await editor.add(type, 150 + 300 * (index % 3), 80 + 110 * Math.floor(index / 3));
      added.push(node);
      await editor.openForm(node);
      await typeBoth(editor.field(form.field), form);
      const { config } = form;
      if (config !== undefined) {
        await editor.addConfig(config.row, async () => {
          await typeBoth(editor.configField(config.field), config);
        });
      }
      await editor.closeForm();
    }
    assert.deepEqual(await editor.invalid(), []);
    await editor.deploy();
    const nodes = await until(
      () => sluice.nodes(),
      (running) => added.every(({ id }) => running.some((node) => node.id === id)),
    );
    assert.deepEqual(
      nodes.filter(({ status }) => status.startsWith('/')),
      [],
      'no setting is refused',
    );

    await editor.page.reload();
    await editor.palette('inject').waitFor();
    for (const node of added) {
      const form = FORMS[node.type];
      assert.ok(form);
      await editor.openForm(node);
      assert.equal(await editor.field(form.field).inputValue(), form.good);
      const { config } = form;
      if (config !== undefined) {
        await editor.editConfig(config.row, async () => {
          assert.equal(await editor.configField(config.field).inputValue(), config.good);
        });
      }
      await editor.closeForm();
    }
    assert.deepEqual(editor.errors, []);
  });

  it('has an example that the import dialog offers and imports', async function () {
    this.timeout(180_000);
    for (const file of readdirSync(EXAMPLES)) {
      const name = file.replace(/\.json$/, '');
      const flow = JSON.parse(readFileSync(join(EXAMPLES, file), 'utf8')) as { type: string; label?: string }[];
      await editor.importExample(name);
      const label = flow.find(({ type }) => type === 'tab')?.label ?? '';
      await editor.page.locator('.red-ui-tab-label', { hasText: label }).first().waitFor({ state: 'attached' });
    }
    assert.deepEqual(await editor.invalid(), []);
    assert.deepEqual(editor.errors, []);
  });
});
