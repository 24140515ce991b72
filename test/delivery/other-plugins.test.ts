import assert from 'node:assert/strict';
import { Runtime } from './runtime.js';

describe('hooks of another plugin', () => {
  for (const [when, early] of [
    ['that is loaded before the palette', '1'],
    ['that is not there', '0'],
  ] as const) {
    it(`${when}: ${early === '1' ? 'a warning at the start' : 'no word'}`, async () => {
      const runtime = await Runtime.start({ EARLY_HOOK: early });
      await runtime.quiet();
      const warnings = runtime.logged.filter((text) =>
        text.includes('another plugin has registered hooks before Sluice'),
      );
      await runtime.stop();
      assert.equal(warnings.length, Number(early));
      if (early === '1') assert.match(warnings[0]!, /hooks=preDeliver/);
    });
  }
});
