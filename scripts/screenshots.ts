/** Makes the pictures of the README from a running instance, so that they stay true: `npm run screenshots`. */
import { join } from 'node:path';
import { EditorPage } from '../test/editor-page.js';
import { startChromium } from '../test/servers/chromium.js';
import { RunningSluice, temporaryFolder } from '../test/sluice.js';

const IMAGES = join(import.meta.dirname, '../docs/images');
const PIPELINE_TAB = '7c1d000000000002';
const ROUTER = { id: '7c1d000000000022', type: 'fan-out-router' };

const folder = temporaryFolder();
const chromium = await startChromium();
const sluice = await RunningSluice.start(folder.path);
try {
  const editor = await EditorPage.open(chromium.browser, sluice.ready.editor);
  await editor.showTab(PIPELINE_TAB);
  await editor.page
    .getByText(/^[1-9]\d* objects?,/)
    .first()
    .waitFor(); // every branch has stored
  await editor.page.screenshot({ path: join(IMAGES, 'pipeline.png') });
  await editor.openForm(ROUTER);
  await editor.page.screenshot({ path: join(IMAGES, 'router-form.png') });
} finally {
  await sluice.stop();
  await chromium.stop();
  folder.remove();
}
