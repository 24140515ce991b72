import { type Conservation, gapOf, type Ledger } from '../lib/delivery/ledger.js';

/** Deliveries, and whether all that came in can be accounted for. */
export interface Account extends Conservation {
  /** How many more came in than can be accounted for (fewer, where it is negative). */
  readonly gap: number;
  /** By bucket and reason: `{ 'filtered{schema-filter}': 3 }` */
  readonly reasons: Readonly<Record<string, number>>;
  /** Messages that nodes sent after their delivery was settled, by the type of the node. */
  readonly late: Readonly<Record<string, number>>;
}

export interface FlowAccount extends Account {
  /** Of the tab, subflow instance or group that the sources are on. */
  readonly id: string;
  readonly name: string;
  readonly sources: readonly string[];
}

/** What `GET /sluice/ledger` says. All counts are of deliveries, from the start of the process. */
export interface LedgerReport extends Account {
  readonly instance: string;
  readonly runId: string;
  readonly startedAt: string;
  readonly balanced: boolean;
  readonly flows: readonly FlowAccount[];
  /** Of each source the delivery that has been open longest, and the node that has it. */
  readonly oldest: readonly { readonly source: string; readonly seconds: number; readonly holder: string }[];
}

export function accountOf(ledgers: readonly Ledger[]): Account {
  const counts = ledgers.map((ledger) => ledger.report());
  const sum = (name: keyof Conservation): number => counts.reduce((total, one) => total + one[name], 0);
  const conservation: Conservation = {
    received: sum('received'),
    spooledAtStart: sum('spooledAtStart'),
    inFlight: sum('inFlight'),
    spooled: sum('spooled'),
    deadLettered: sum('deadLettered'),
    dropped: sum('dropped'),
    stored: sum('stored'),
    filtered: sum('filtered'),
    abandoned: sum('abandoned'),
  };
  return {
    ...conservation,
    gap: gapOf(conservation),
    reasons: merged(ledgers.map((ledger) => Object.entries(ledger.reasons()))),
    late: merged(ledgers.map((ledger) => [...ledger.late])),
  };
}

function merged(parts: readonly (readonly (readonly [string, number])[])[]): Record<string, number> {
  const totals: Record<string, number> = {};
  for (const [name, count] of parts.flat()) totals[name] = (totals[name] ?? 0) + count;
  return totals;
}
