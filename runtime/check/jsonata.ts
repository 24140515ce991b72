import { createRequire } from 'node:module';
import type { JsonataEngine } from '@sluice/node-red/check';

/** Node-RED's own JSONata, for its syntax: nothing is evaluated, so there need not be a node. */
export const jsonata: JsonataEngine = (text) => {
  const nodeRed = createRequire(createRequire(import.meta.url).resolve('node-red'));
  const { util } = nodeRed('@node-red/util') as {
    util: { prepareJSONataExpression(text: string, node: undefined): ReturnType<JsonataEngine> };
  };
  return util.prepareJSONataExpression(text, undefined);
};
