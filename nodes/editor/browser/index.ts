import { addRunsOn } from './runs-on.js';

/** What the HTML of each node calls: `sluice.definition`. Bundled into one script by the build. */
export { definition } from './definition.js';

addRunsOn();
