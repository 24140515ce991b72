import { runsOnEditor } from '@sluice/node-red/check';
import { textIn, textsIn, type FlowEntry } from './document.js';

/**
 * What of the flows a worker runs: without the tabs of the editor instance, the subflows that only those use, and the
 * config nodes that only they refer to. So a worker needs none of their types and connects to none of their servers.
 */
export function forWorkers(flows: readonly FlowEntry[]): FlowEntry[] {
  const away = new Set(flows.filter((entry) => entry.type === 'tab' && runsOnEditor(entry)).map(({ id }) => id));
  if (away.size === 0) return [...flows];
  const refersTo = new Map(flows.map((entry) => [entry.id, referencesOf(entry)]));
  for (const { id, z } of flows) if (typeof z === 'string' && away.has(z)) away.add(id);
  // One that goes may take others with it.
  for (let before = -1; before !== away.size;) {
    before = away.size;
    for (const entry of flows) {
      if (away.has(entry.id)) continue;
      const isInside = away.has(textIn(entry, 'z'));
      if (isInside || (isShared(entry) && isOnlyUsedBy(entry, away, refersTo))) away.add(entry.id);
    }
  }
  return flows.filter(({ id }) => !away.has(id));
}

/** A subflow, or a config node on no tab: there for who uses it. */
function isShared(entry: FlowEntry): boolean {
  if (entry.type === 'subflow') return true;
  return textIn(entry, 'z') === '' && entry.type !== 'tab' && !Object.hasOwn(entry, 'x');
}

function isOnlyUsedBy(
  { id }: FlowEntry,
  away: ReadonlySet<string>,
  refersTo: ReadonlyMap<string, Set<string>>,
): boolean {
  const users = [...refersTo].filter(([user, ids]) => user !== id && ids.has(id)).map(([user]) => user);
  return users.length > 0 && users.every((user) => away.has(user));
}

function referencesOf({ id: _own, z: _place, type, ...fields }: FlowEntry): Set<string> {
  const ids = new Set([...textsIn(fields)].map(({ text }) => text));
  const [, subflow] = /^subflow:(.+)$/.exec(type) ?? [];
  if (subflow !== undefined) ids.add(subflow);
  return ids;
}

/** Links from a tab of the workers to one of the editor instance, or back: nothing passes by them. */
export function linksAcross(
  flows: readonly FlowEntry[],
): readonly { readonly from: FlowEntry; readonly to: FlowEntry }[] {
  const byId = new Map(flows.map((entry) => [entry.id, entry]));
  const tabOf = ({ z }: FlowEntry): FlowEntry | undefined => (typeof z === 'string' ? byId.get(z) : undefined);
  return flows
    .filter(({ type }) => type === 'link out' || type === 'link call')
    .flatMap((from) =>
      (Array.isArray(from['links']) ? (from['links'] as unknown[]) : []).flatMap((id) => {
        const to = typeof id === 'string' ? byId.get(id) : undefined;
        const [here, there] = [tabOf(from), to === undefined ? undefined : tabOf(to)];
        if (to === undefined || here?.type !== 'tab' || there?.type !== 'tab') return [];
        return runsOnEditor(here) === runsOnEditor(there) ? [] : [{ from, to }];
      }),
    );
}
