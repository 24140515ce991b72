import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EditorPage, useEditor, type CanvasNode } from './editor-page.js';
import { startChromium } from './servers/chromium.js';
import { describeWithServer } from './servers/server.js';

const DEFAULT_FLOW = join(import.meta.dirname, '../flows/devices-to-mongo-and-s3.json');

/** A flow of before there were formats and tags to choose. */
const OLD_FLOW = [
  { id: 'tab1', type: 'tab', label: 'Flow 1' },
  { id: 'store', type: 'object-store', configVersion: 1, name: '', url: '${S3_URL}' },
  {
    ...{ id: 'sink', type: 's3-sink', z: 'tab1', configVersion: 1, store: 'store', key: '{batch}.ndjson.gz' },
    ...{ eventTime: '', line: 'envelope', compression: 'gzip', maxRecords: 10, maxBytes: 8_388_608 },
    ...{ maxAgeSeconds: 10, maxBufferedBytes: 67_108_864, x: 150, y: 300, wires: [[], []] },
  },
];

interface FlowNode extends CanvasNode {
  readonly z?: string;
}

describeWithServer('forms that are opened and closed', startChromium, (server) => {
  const opened = useEditor(() => server().browser);

  it('change nothing of the default flow', async function () {
    this.timeout(60_000);
    const { editor } = opened();
    const flow = JSON.parse(readFileSync(DEFAULT_FLOW, 'utf8')) as FlowNode[];
    for (const { id, type, z } of flow) {
      if (z === undefined) continue;
      await editor.showTab(z);
      const before = await editor.exported({ id, type });
      await editor.openForm({ id, type });
      await editor.closeForm();
      assert.deepEqual(await editor.exported({ id, type }), before);
      assert.equal(await editor.isChanged({ id, type }), false, type);
    }
    assert.deepEqual(editor.errors, []);
  });
});

describeWithServer('the forms of objects in the editor', startChromium, (server) => {
  const opened = useEditor(() => server().browser, OLD_FLOW);
  let editor: EditorPage;
  before(() => {
    ({ editor } = opened());
  });

  const shown = async (...fields: string[]): Promise<string[]> => {
    const visible = await Promise.all(fields.map(async (name) => editor.row(name).isVisible()));
    return fields.filter((_name, index) => visible[index]);
  };
  const choose = (id: string, value: string): Promise<unknown> =>
    editor.page.evaluate(`$('#${id}').typedInput('value', '${value}')`);

  it('open a flow of an older palette with the defaults of the fields that came since', async () => {
    assert.deepEqual(await editor.invalid(), []);
    const sink = { id: 'sink', type: 's3-sink' };
    await editor.openForm(sink);
    await editor.closeForm();
    const { key, format, header, escapeFormulas, tags, columns } = await editor.exported(sink);
    assert.deepEqual([key, format, String(header), tags], ['{batch}.ndjson.gz', 'ndjson', 'true', []]);
    assert.equal(String(escapeFormulas), 'false');
    assert.equal((columns as unknown[]).length, 4);
  });

  it('show what the chosen format and encryption need, and keep it', async function () {
    this.timeout(60_000);
    const sink = await editor.add('s3-sink', 150, 120);
    await editor.openForm(sink);
    const ofFormats = ['line', 'columns', 'header', 'escapeFormulas'];
    assert.deepEqual(await shown(...ofFormats), ['line']);
    await choose('node-input-format', 'csv');
    assert.deepEqual(await shown(...ofFormats), ['columns', 'header', 'escapeFormulas']);
    await editor.row('columns').locator('.red-ui-editableList-addButton').click();
    const cells = editor.row('columns').locator('input[type=text]:visible');
    await cells.nth(-2).fill('t');
    await cells.last().fill('payload.t');
    await editor.addConfig('store', async () => {
      const key = editor.page.locator('#node-config-dialog-edit-form [data-sluice-field=kmsKeyId]');
      assert.equal(await key.isVisible(), false);
      await choose('node-config-input-encryption', 'aws:kms');
      await key.waitFor();
    });
    await editor.closeForm();
    assert.equal((await editor.node(sink.id).locator('.red-ui-flow-node-label').textContent())?.trim(), 's3 sink');

    const { format, columns, escapeFormulas } = await editor.exported(sink);
    assert.deepEqual([format, String(escapeFormulas)], ['csv', 'false']);
    assert.deepEqual((columns as unknown[]).slice(-2), [
      { header: 'payload', path: 'payload' },
      { header: 't', path: 'payload.t' },
    ]);
    await editor.openForm(sink);
    assert.deepEqual(await shown(...ofFormats), ['columns', 'header', 'escapeFormulas']);
    await editor.closeForm();
    assert.deepEqual(await editor.invalid(), []);
    assert.deepEqual(editor.errors, []);
  });
});
