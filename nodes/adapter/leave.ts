import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, UnavailableError } from '../lib/errors.js';
import type { RunningNode } from './instance.js';
import type { LeftSpool } from './left-spools.js';

/** How an instance has left its fleet. */
export interface Leave {
  /** Whether nothing of it is left: no session at a broker, and no record on its disk. Else it has to come back. */
  readonly ended: boolean;
  /** Why not. */
  readonly reason?: string;
  /** What is in spools, by node. */
  readonly spooled: readonly SpoolOfNode[];
}

/** What is on this machine's disk of one node. */
export interface SpoolOfNode {
  readonly node: string;
  /** Type and name; none for a node that is not in the flows any more. */
  readonly what?: string;
  readonly records: number | string;
}

interface LeavePorts {
  readonly nodes: readonly RunningNode[];
  /** Deliveries that are not settled. */
  readonly inFlight: () => number;
  /** Spools of nodes that are not in the flows. */
  readonly leftSpools: () => Promise<readonly LeftSpool[]>;
}

/** What a broker has queued comes as what came before it is acknowledged: after this time there is no more. */
const QUIET_MS = 1_000;
const LOOK_EVERY_MS = 100;

/**
 * Lets a broker's session run dry, then the flows, then the spools, and ends the sessions. The order is what loses nothing
 * on every broker: without the UNSUBSCRIBE mosquitto goes on giving a session its share, and drops it with the session; and
 * what it had queued before comes only after the answer. `ended` only where all of that is so at the end, too.
 */
export async function leaveForGood(ports: LeavePorts, deadline: number): Promise<Leave> {
  for (;;) {
    let reason: string;
    try {
      await untilDry(ports, deadline);
      await untilStored(ports, deadline);
      for (const { behaviour } of ports.nodes) await behaviour.endSession?.();
      return { ended: true, spooled: [] };
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      reason = messageOf(error);
    }
    // A further try takes at least this long, and without it would only say that time is short.
    if (Date.now() + QUIET_MS > deadline) return { ended: false, reason, spooled: await spoolsOf(ports) };
    await delay(LOOK_EVERY_MS);
  }
}

/** Resolves when nothing is subscribed, nothing has come for a while, and all that came is settled. */
async function untilDry({ nodes, inFlight }: LeavePorts, deadline: number): Promise<void> {
  const received = (): number => nodes.reduce((sum, { counters }) => sum + counters.total('received'), 0);
  const open = (): number => inFlight() + nodes.reduce((sum, node) => sum + node.open(), 0);
  for (let before = -1; ;) {
    for (const { behaviour } of nodes) await behaviour.withdraw?.();
    if (received() === before && open() === 0) return;
    before = received();
    if (Date.now() + QUIET_MS > deadline) {
      throw new UnavailableError(
        open() > 0
          ? `expected all messages to be settled in time, got ${open()} that are not`
          : 'expected a second without a message before the sessions end, got none in time',
        { code: 'not-settled' },
      );
    }
    await delay(QUIET_MS);
  }
}

/** Resolves when nothing is on this machine's disk. */
async function untilStored(ports: LeavePorts, deadline: number): Promise<void> {
  for (;;) {
    for (const { behaviour } of ports.nodes) behaviour.flush?.();
    const spools = await spoolsOf(ports);
    if (spools.length === 0) return;
    if (Date.now() + LOOK_EVERY_MS > deadline) {
      const list = spools.map(({ node, what, records }) => `${records} of ${what ?? `node ${node}`}`).join(', ');
      throw new UnavailableError(`expected empty spools, got records: ${list}`, { code: 'spooled' });
    }
    await delay(LOOK_EVERY_MS);
  }
}

async function spoolsOf({ nodes, leftSpools }: LeavePorts): Promise<SpoolOfNode[]> {
  const ours = nodes.flatMap(({ id, type, name, behaviour }): SpoolOfNode[] => {
    if (behaviour.spooled === undefined) return [];
    const records = behaviour.spooled() ?? 'unknown (the file is not open)';
    return records === 0 ? [] : [{ node: id, what: `${type} "${name}"`, records }];
  });
  const left = await leftSpools();
  return [...ours, ...left.filter(({ records }) => records !== 0).map(({ id, records }) => ({ node: id, records }))];
}
