import type { NodeContext } from '../adapter/define-node.js';
import type { ObjectContents } from './spooled-object.js';

/** S3 takes 2 KB of metadata in all; a character may take nine. */
const MAX_NAME = 50;

/** What an object says of itself, beside what it holds. */
export function objectMetadata(
  { id, name, flow, instance }: Pick<NodeContext<unknown, unknown>, 'id' | 'name' | 'flow' | 'instance'>,
  { records, firstTime, lastTime }: Pick<ObjectContents, 'records' | 'firstTime' | 'lastTime'>,
): Record<string, string> {
  return {
    'flow-id': flow.id,
    'flow-name': flow.name.slice(0, MAX_NAME),
    'node-id': id,
    'node-name': name.slice(0, MAX_NAME),
    instance: instance.slice(0, MAX_NAME),
    records: String(records),
    'first-event': new Date(firstTime).toISOString(),
    'last-event': new Date(lastTime).toISOString(),
  };
}
