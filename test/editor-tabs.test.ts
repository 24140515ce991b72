import assert from 'node:assert/strict';
import type { EditorPage } from './editor-page.js';
import { useEditor } from './editor-page.js';
import { startChromium } from './servers/chromium.js';
import { describeWithServer } from './servers/server.js';
import type { RunningSluice } from './sluice.js';

const PLAIN = { id: 'plain', type: 'tab', label: 'Readings', env: [{ name: 'UNIT', value: 'K', type: 'str' }] };
const EDITORS = {
  ...{ id: 'editors', type: 'tab', label: 'Devices' },
  env: [{ name: 'SLUICE_RUNS_ON', value: 'editor', type: 'str' }],
};

interface Tab {
  readonly id: string;
  readonly env?: readonly object[];
}

describeWithServer('where a tab runs, in the editor', startChromium, (server) => {
  const opened = useEditor(() => server().browser, [PLAIN, EDITORS]);
  let editor: EditorPage;
  let sluice: RunningSluice;
  before(() => {
    ({ editor, sluice } = opened());
  });

  const badge = (tab: string) => editor.page.locator(`#red-ui-tab-${tab} .sluice-runs-on`);
  const choice = () => editor.page.locator('#sluice-runs-on');
  const deployedEnv = async (id: string): Promise<unknown> => {
    const response = await fetch(`${sluice.ready.editor}flows`);
    return ((await response.json()) as Tab[]).find((tab) => tab.id === id)?.env;
  };

  it('is shown on the tab, with what it means', async () => {
    await badge('editors').waitFor();
    assert.equal(await badge('editors').getAttribute('title'), 'In a fleet this tab runs on the editor instance only');
    assert.equal(await badge('plain').count(), 0);
  });

  it("is chosen in the tab's dialog, beside its other variables, and deployed", async function () {
    this.timeout(60_000);
    await editor.openTab('plain', 'sluice-runs-on');
    assert.equal(await choice().inputValue(), '');
    await choice().selectOption('editor instance only');
    await editor.closeForm();
    await badge('plain').waitFor();
    await editor.deploy();
    assert.deepEqual(await deployedEnv('plain'), [
      { name: 'UNIT', value: 'K', type: 'str' },
      { name: 'SLUICE_RUNS_ON', value: 'editor', type: 'str' },
    ]);

    await editor.openTab('plain', 'sluice-runs-on');
    assert.equal(await choice().inputValue(), 'editor');
    await choice().selectOption('every worker');
    await editor.closeForm();
    await badge('plain').waitFor({ state: 'detached' });
    await editor.deploy();
    assert.deepEqual(await deployedEnv('plain'), [{ name: 'UNIT', value: 'K', type: 'str' }]);
    assert.deepEqual(editor.errors, []);
  });

  it('is taken back by an undo', async function () {
    this.timeout(60_000);
    await editor.openTab('editors', 'sluice-runs-on');
    await choice().selectOption('every worker');
    await editor.closeForm();
    await badge('editors').waitFor({ state: 'detached' });
    await editor.page.keyboard.press('Control+z');
    await badge('editors').waitFor();
    assert.deepEqual(editor.errors, []);
  });
});
