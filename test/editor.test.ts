import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator } from 'playwright-core';
import { EditorPage, type CanvasNode, EMPTY_TAB, useEditor } from './editor-page.js';
import { startChromium } from './servers/chromium.js';
import { describeWithServer } from './servers/server.js';
import { documents, type RunningSluice, until } from './sluice.js';

const ROOT = join(import.meta.dirname, '..');
const FLOW_FILES = ['flows', 'examples'].flatMap((folder) =>
  readdirSync(join(ROOT, folder)).map((name) => join(ROOT, folder, name)),
);

describeWithServer('the editor', startChromium, (server) => {
  const opened = useEditor(() => server().browser, EMPTY_TAB);
  let sluice: RunningSluice;
  let editor: EditorPage;
  before(() => {
    ({ sluice, editor } = opened());
  });

  it('draws a pipeline: nodes dragged in, wired, configured, deployed; documents arrive; forms reopen with the same values', async function () {
    this.timeout(60_000);
    const devices = await editor.add('device-simulator', 150, 120);
    const filter = await editor.add('schema-filter', 350, 120);
    const sink = await editor.add('mongo-sink', 550, 120);
    await editor.wire(devices, 0, filter);
    await editor.wire(filter, 0, sink);

    await editor.openForm(devices);
    await editor.field('devices').fill('2');
    await editor.field('rate').fill('20');
    await editor.field('limit').fill('10');
    await editor.closeForm();

    await editor.openForm(filter);
    await editor.addConfig('schema', async () => {
      await editor.configField('name').fill('reading');
      await editor.configField('version').fill('7');
    });
    await editor.closeForm();

    await editor.openForm(sink);
    await editor.addConfig('connection', async () => {
      await editor.configField('name').fill('documents');
    });
    await editor.field('collection').fill('from_the_editor');
    await editor.row('indexes').locator('.red-ui-editableList-addButton').click();
    await editor.row('indexes').locator('input[type=text]:visible').first().fill('uuid:1');
    await editor.closeForm();

    await editor.deploy();
    const stored = await until(
      () => documents(sluice.ready.mongodb, 'from_the_editor'),
      (all) => all.length === 10,
    );
    assert.equal(new Set(stored.map(({ uuid }) => uuid as string)).size, 2);

    await editor.openForm(devices);
    assert.equal(await editor.field('devices').inputValue(), '2');
    assert.equal(await editor.field('limit').inputValue(), '10');
    await editor.closeForm();
    await editor.openForm(sink);
    assert.equal(await editor.field('collection').inputValue(), 'from_the_editor');
    assert.equal(await editor.row('indexes').locator('input[type=text]:visible').first().inputValue(), 'uuid:1');
    await editor.closeForm();
    assert.deepEqual((await editor.exported(sink))['indexes'], [{ keys: 'uuid:1', unique: false }]);
    assert.equal((await editor.exported(devices))['configVersion'], 1);
    assert.deepEqual(editor.errors, []);
  });

  it('marks a bad value red, in a field and in a row, and the node; a variable is no bad value', async () => {
    const ingest = await editor.add('mqtt-ingest', 150, 260);
    await editor.openForm(ingest);
    const topic = editor.row('topics').locator('input[type=text]').first();
    const marked = (locator: typeof topic): Promise<boolean> =>
      locator.getAttribute('class').then((names) => names?.split(' ').includes('input-error') === true);
    assert.equal(await marked(topic), false);
    await topic.fill('device/#/x');
    assert.equal(await marked(topic), true);
    assert.match((await topic.getAttribute('title')) ?? '', /expected # only as the whole last level/);
    await editor.field('maxInFlight').fill('0');
    await editor.page.keyboard.press('Tab');
    await until(
      () => marked(editor.field('maxInFlight')),
      (yes) => yes,
    );
    await editor.field('maxInFlight').fill('${WINDOW}');
    await editor.page.keyboard.press('Tab');
    await until(
      () => marked(editor.field('maxInFlight')),
      (yes) => !yes,
    );
    await editor.closeForm();
    await editor.node(ingest.id).locator('.red-ui-flow-node-error:not(.hide)').waitFor();
  });

  it('publishes by a broker that it makes: a row is red while its value is dangerous, and a key is in no flow', async function () {
    this.timeout(60_000);
    const publish = await editor.add('mqtt-publish', 150, 330);
    await editor.openForm(publish);
    await editor.field('topic').fill('alert/#');
    await editor.page.keyboard.press('Tab');
    await editor.page.locator('#node-input-topic.input-error').waitFor();
    await editor.field('topic').fill('alert/{payload.uuid}');
    const red = editor.page.locator('[data-sluice-field="verify"].sluice-danger');
    await editor.addConfig('broker', async () => {
      await editor.configField('url').fill('mqtts://broker.example');
      assert.equal(await red.count(), 0);
      await editor.page.locator('[data-sluice-field="verify"] .red-ui-typedInput-option-trigger').click();
      await editor.page.locator('.red-ui-typedInput-options:visible >> text=no').click();
      assert.equal(await red.count(), 1);
      assert.equal(await editor.configField('cleanStart').inputValue(), 'false');
      assert.equal(await editor.page.locator('#node-config-dialog .input-error:visible').count(), 0);
      await editor.page.locator('[data-sluice-field="will"] input[type=text]').first().fill('status/gateway');
      await editor.configField('key').fill('/etc/ssl/gateway.key');
    });
    await editor.closeForm();
    await editor.openForm(publish);
    assert.equal(await editor.field('topic').inputValue(), 'alert/{payload.uuid}');
    await editor.closeForm();
    const { broker } = await editor.exported(publish);
    const { verify, will, ...others } = await editor.exported({ id: String(broker) } as CanvasNode);
    assert.deepEqual(
      [String(verify), will, 'key' in others],
      ['false', { topic: 'status/gateway', qos: 1, retain: false, delay: 0 }, false],
    );
  });

  it('keeps the wires with their rules when rows of a router move, go and come', async function () {
    this.timeout(60_000);
    const router = await editor.add('fan-out-router', 150, 400);
    const ends: CanvasNode[] = [];
    await editor.openForm(router);
    const rules = editor.row('rules');
    const names = rules.locator('.sluice-cell:has(> label:text-is("Rule")) > input');
    const addRule = rules.locator('.red-ui-editableList-addButton').last();
    for (const name of ['second', 'third']) {
      await addRule.click();
      await names.last().fill(name);
    }
    await editor.closeForm();
    for (const [output, y] of [340, 400, 460].entries()) {
      const end = await editor.add('debug', 450, y);
      await editor.wire(router, output, end);
      ends.push(end);
    }
    const wires = async (): Promise<unknown> => (await editor.exported(router))['wires'];
    const [first, second, third] = ends.map(({ id }) => [id]);
    assert.deepEqual(await wires(), [first, second, third, [], []]);

    await editor.openForm(router);
    await rules.locator('.red-ui-editableList-item-remove').nth(0).click();
    await addRule.click();
    await names.last().fill('fourth');
    await editor.closeForm();
    assert.deepEqual(await wires(), [second, third, [], [], []]);
    const { outputs, rules: kept } = await editor.exported(router);
    assert.equal(outputs, 5);
    assert.deepEqual(
      (kept as { name: string }[]).map(({ name }) => name),
      ['second', 'third', 'fourth'],
    );
    assert.deepEqual(editor.errors, []);
  });

  it('shows in the form of a router which rules match the sample, as they change; a copy and a rule that is off', async function () {
    this.timeout(60_000);
    const router = await editor.add('fan-out-router', 150, 520);
    await editor.openForm(router);
    const rules = editor.row('rules');
    const cell = (label: string): Locator => rules.locator(`.sluice-cell:has(> label:text-is("${label}"))`);
    const verdicts = editor.page.locator('.sluice-verdicts');
    const shown = (text: string): Promise<void> => verdicts.filter({ hasText: text }).waitFor();
    await shown('→ all: matches');

    await rules.locator('.sluice-copy').first().click();
    const names = cell('Rule').locator('> input');
    assert.equal(await names.count(), 2);
    await shown('→ all 2: matches');
    await names.nth(1).fill('hot');
    await cell('If').nth(1).locator('.red-ui-editableList-addButton').click();
    await editor.choose(cell('Comparison').last(), '>');
    await cell('Value').last().locator('input').first().fill('28');
    await shown('hot: does not match');
    await cell('Value').last().locator('input').first().fill('true');
    await shown('expected a number or a text to compare with, got boolean true');

    await editor.choose(cell('Conditions').nth(1), 'JSONata');
    const expression = cell('JSONata').nth(1).locator('input:visible');
    await expression.fill('payload.value >');
    await shown('expression: expected a JSONata expression, got "payload.value >": Unexpected end of expression');
    await expression.fill('payload.value');
    await shown('rule "hot": expected true, false or nothing, got number 22');
    await expression.fill('payload.value = 22');
    await shown('→ hot: matches');

    await editor.choose(cell('On').first(), 'no');
    await shown('all: matches, but is off');
    await editor.closeForm();
    const { rules: kept, sample } = await editor.exported(router);
    assert.deepEqual(kept, [
      { name: 'all', enabled: false, match: 'all', conditions: [] },
      {
        name: 'hot',
        enabled: true,
        match: 'jsonata',
        conditions: [{ property: 'payload.value', comparison: 'gt', value: 'true' }],
        expression: 'payload.value = 22',
      },
    ]);
    assert.match(sample as string, /"value": 22/);
    assert.deepEqual(editor.errors, []);
  });

  it('keeps the config nodes of rows: with their users, in an export, and with new ids in an import', async function () {
    this.timeout(60_000);
    const filter = await editor.add('schema-filter', 350, 520);
    await editor.openForm(filter);
    const rows = editor.row('schemas');
    for (const [index, name] of ['first', 'second'].entries()) {
      await rows.locator('.red-ui-editableList-addButton').click();
      await rows.locator('.sluice-cell-short > input').nth(index).fill(`${name}/#`);
      await editor.addConfig(`schema${index + 1}`, async () => {
        await editor.configField('name').fill(name);
      });
    }
    await editor.choose(editor.row('unmatched'), 'are rejected');
    await editor.closeForm();
    const saved = await editor.exported(filter);
    assert.deepEqual(saved['schemas'], [
      { topic: 'first/#', schema: 'schema1' },
      { topic: 'second/#', schema: 'schema2' },
    ]);
    assert.deepEqual(await editor.users(filter), ['first', 'second']);
    assert.deepEqual(
      (await editor.invalid()).filter(([type]) => type === 'schema-filter'),
      [],
    );

    // A copy of the second row, the first taken away: the second schema twice, and still one user; the first has none.
    await editor.openForm(filter);
    await rows.locator('.sluice-copy').nth(1).click();
    await rows.locator('.red-ui-editableList-item-remove').nth(0).click();
    await rows.locator('li.red-ui-editableList-item-deleting').waitFor({ state: 'detached' });
    await editor.closeForm();
    const changed = await editor.exported(filter);
    assert.deepEqual(changed['schemas'], [
      { topic: 'second/#', schema: 'schema2' },
      { topic: 'second/#', schema: 'schema3' },
    ]);
    assert.equal(changed['schema1'], '');
    assert.equal(changed['schema3'], changed['schema2']);
    assert.deepEqual(await editor.users(filter), ['second']);

    const copies = await editor.importCopy(filter);
    const copy = copies.find(({ type }) => type === 'schema-filter');
    const schema = copies.find(({ type }) => type === 'message-schema');
    assert.equal(schema?.['name'], 'second');
    assert.notEqual(schema['id'], changed['schema2']);
    assert.equal(copy?.['schema2'], schema['id']);
    assert.deepEqual(editor.errors, []);
  });

  it('marks nothing in the flows and examples', async () => {
    const page = await EditorPage.open(server().browser, sluice.ready.editor);
    for (const file of FLOW_FILES) {
      const flow = JSON.parse(readFileSync(file, 'utf8')) as object[];
      assert.ok((await page.show(flow)) > 0);
      assert.deepEqual(await page.invalid(), [], file);
    }
    assert.deepEqual(page.errors, []);
  });
});
