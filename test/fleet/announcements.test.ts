import { EditorPage } from '../editor-page.js';
import { startChromium } from '../servers/chromium.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { debug, TAB } from './flows.js';
import { useFleet } from './use-fleet.js';

const LONE = { id: 's', type: 'mongo-connection', configVersion: 1, name: 'store', uri: '${NOT_SET_HERE}' };

describeWithServer('who has deployed', startChromium, (chromium) => {
  describeWithServer('to a fleet', startOwnMosquitto, (broker) => {
    const fleet = useFleet(broker);

    it('sees in the editor how many workers run it, and why one does not', async function () {
      this.timeout(60_000);
      const editor = await fleet.member(0, { flows: [TAB, debug('a')] });
      await Promise.all([fleet.member(1), fleet.member(2)]);
      const { page } = await EditorPage.open(chromium().browser, editor.url);
      await editor.deploy([TAB, debug('a'), debug('b')]);
      await page.getByText('Revision 2 runs on 2 workers.', { exact: true }).waitFor();
      await editor.deploy([TAB, debug('a'), LONE]);
      const failure = page.getByText(
        /^Revision 3 does not run on slots 1, 2: .*mongo-connection "store": .*NOT_SET_HERE to be set, got nothing: revision 2 goes on running$/,
      );
      await failure.waitFor();
      await page.getByText('Revision 2 runs on 2 workers.', { exact: true }).waitFor({ state: 'detached' });
      await editor.deploy([TAB, debug('a'), debug('c')]);
      await page.getByText('Revision 4 runs on 2 workers.', { exact: true }).waitFor();
      await failure.waitFor({ state: 'detached' });
      await page.close();
    });
  });
});
