import type { FieldSchema } from '../node-folder.js';
import { defaultOf } from './fields.js';

/** Gives nodes of a flow from an older palette the fields that came since, as the deploy does. */
export function completeNodes(type: string, fields: Readonly<Record<string, FieldSchema>>): void {
  RED.events.on('nodes:add', (node) => {
    if (node.type !== type) return;
    for (const [name, field] of Object.entries(fields)) {
      if (node[name] === undefined && field.default !== undefined) node[name] = defaultOf(field);
    }
  });
}
