/**
 * What Sluice changes of Node-RED (5.0) that its documentation does not name, all of it here and pinned by
 * test/fleet/placement.test.ts: no setting and no hook says which tabs of the deployed flows run.
 */
import { createRequire } from 'node:module';
import { runsOnEditor } from '@sluice/node-red/check';

interface Tab {
  disabled?: boolean;
  readonly [field: string]: unknown;
}

interface FlowUtil {
  /** Takes the flows apart. Of a tab that is `disabled` in the result nothing is started. */
  parseConfig: (config: unknown) => { readonly flows: Readonly<Record<string, Tab>> };
}

const required = createRequire(createRequire(import.meta.url).resolve('node-red'));

/**
 * Lets the runtime of this process run no tab but those of the editor instance. The editor shows and deploys all of them
 * as they are: what is stored and sent is not touched.
 */
export function runEditorTabsOnly(): void {
  const util = required('@node-red/runtime/lib/flows/util') as FlowUtil;
  const { parseConfig } = util;
  util.parseConfig = (config) => {
    const parsed = parseConfig(config);
    for (const tab of Object.values(parsed.flows)) {
      if (runsOnEditor(tab)) continue;
      // Inherited: the admin API copies a tab's own `disabled`, and what is deployed through it would keep that.
      delete tab.disabled;
      Object.setPrototypeOf(tab, { disabled: true });
    }
    return parsed;
  };
}
