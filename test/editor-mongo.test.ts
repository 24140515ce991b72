import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EditorPage, useEditor } from './editor-page.js';
import { startChromium } from './servers/chromium.js';
import { describeWithServer } from './servers/server.js';
import type { RunningSluice } from './sluice.js';

describeWithServer('the forms of MongoDB in the editor', startChromium, (server) => {
  const opened = useEditor(() => server().browser);
  let sluice: RunningSluice;
  let editor: EditorPage;
  before(() => {
    ({ sluice, editor } = opened());
  });

  const choose = (id: string, value: string): Promise<unknown> =>
    editor.page.evaluate(`$('#${id}').typedInput('value', '${value}')`);

  it('move a password out of the URI into the credentials, and leave a variable alone', async function () {
    this.timeout(60_000);
    const sink = await editor.add('mongo-sink', 150, 120);
    const connect = async (name: string, uri: string): Promise<Record<string, unknown>> => {
      await editor.openForm(sink);
      await editor.page.locator('#node-input-connection').selectOption('_ADD_');
      await editor.addConfig('connection', async () => {
        await editor.configField('name').fill(name);
        await editor.configField('uri').fill(uri);
        await editor.configField('database').fill('iot');
      });
      await editor.closeForm();
      const { connection } = await editor.exported(sink);
      return editor.exported({ id: String(connection), type: 'mongo-connection' });
    };
    const plain = await connect('typed', 'mongodb://me:p%40ss@127.0.0.1:1/iot?replicaSet=r');
    assert.equal(plain['uri'], 'mongodb://127.0.0.1:1/iot?replicaSet=r');
    const variable = await connect('variable', 'mongodb://me:${MONGODB_PASSWORD}@127.0.0.1:1/iot');
    assert.equal(variable['uri'], 'mongodb://me:${MONGODB_PASSWORD}@127.0.0.1:1/iot');
    await editor.deploy();
    const [flow, credentials] = ['flows.json', 'flows_cred.json'].map((name) =>
      readFileSync(join(sluice.ready.userDir, name), 'utf8'),
    );
    assert.ok(!/p%40ss|p@ss/.test(`${flow}${credentials}`));
    const response = await editor.page.request.get(
      `${sluice.ready.editor}credentials/mongo-connection/${String(plain['id'])}`,
    );
    assert.deepEqual(await response.json(), { user: 'me', has_password: true });
    assert.deepEqual(editor.errors, []);
  });

  it('show what each operation needs, and warn of operators that count twice', async function () {
    this.timeout(60_000);
    const sink = await editor.add('mongo-sink', 150, 220);
    await editor.openForm(sink);
    const fields = ['ordered', 'key', 'update', 'operators', 'updatePath', 'newerOnly', 'timeField'];
    const shown = async (): Promise<string[]> => {
      const visible = await Promise.all(fields.map(async (name) => editor.row(name).isVisible()));
      return fields.filter((_name, index) => visible[index]);
    };
    assert.deepEqual(await shown(), ['ordered']);
    await choose('node-input-operation', 'upsert');
    assert.deepEqual(await shown(), ['key', 'update', 'newerOnly']);
    await choose('node-input-operation', 'delete');
    assert.deepEqual(await shown(), ['key']);
    await choose('node-input-operation', 'update');
    assert.deepEqual(await shown(), ['key', 'operators', 'newerOnly']);

    const note = editor.page.locator('.sluice-note');
    await editor.row('operators').locator('.red-ui-editableList-addButton').click();
    assert.equal(await note.isVisible(), false);
    const cells = editor.row('operators').locator('.sluice-cell');
    await editor.choose(cells.first(), '$inc: add the value');
    await note.waitFor();
    await editor.field('newerOnly').fill('seq');
    await note.waitFor({ state: 'hidden' });
    const texts = editor.row('operators').locator('input[type=text]:visible');
    await texts.first().fill('count');
    await texts.last().fill('payload.n');
    await editor.closeForm();

    const { operation, operators, newerOnly } = await editor.exported(sink);
    assert.deepEqual([operation, newerOnly], ['update', 'seq']);
    assert.deepEqual(operators, [
      { operator: '$inc', field: 'count', source: 'path', value: 'payload.n', type: 'any' },
    ]);
    assert.deepEqual(editor.errors, []);
  });
});
