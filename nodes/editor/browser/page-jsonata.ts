import type { JsonataEngine } from '../../lib/jsonata.js';

const ONLY_AT_RUN_TIME = ['flowContext', 'globalContext', 'env', 'moment', 'clone'];
/** As Node-RED tells expressions of its first years, which begin at `msg`. */
const BEGINS_AT_MSG = /(^|[^a-zA-Z0-9_'".])msg([^a-zA-Z0-9_'"]|$)/;

/** JSONata as the editor's page evaluates it: without what only the runtime knows. */
export const pageJsonata: JsonataEngine = (text) => {
  const expression = jsonata(text);
  for (const name of ONLY_AT_RUN_TIME) {
    expression.assign(name, () => {
      throw new Error(`$${name} is known only when the flow runs`);
    });
  }
  return {
    assign: (name, value) => expression.assign(name, value),
    ast: () => expression.ast(),
    evaluate: (message) => expression.evaluate(BEGINS_AT_MSG.test(text) ? { msg: message } : message),
  };
};
