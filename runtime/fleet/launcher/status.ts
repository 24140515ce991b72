import type { Fleet } from './fleet.js';
import { EDITOR_SLOT, instanceName } from '../identity.js';
import { totalOf, type InstanceReport, type LedgerSums } from '../report/instance-report.js';
import type { Roster } from './roster.js';
import { heldOnDisk } from './sentences.js';
import type { ProcessState } from '../slots/process.js';
import type { Holder, SlotTable } from '../slots/table.js';

/** `silent`: it should speak, and does not; `away`: it has joined from another machine, and is not there. */
export type SlotState = ProcessState | 'silent' | 'away';

export interface SlotStatus {
  readonly slot: number;
  readonly name: string;
  readonly role: 'editor' | 'worker';
  readonly host: string;
  /** Whether it is the launcher's own. */
  readonly here: boolean;
  readonly state: SlotState;
  /** Whether messages go to it. */
  readonly takesMessages: boolean;
  /** How often it was started again since it was asked to run, and how often of these because it had hung. */
  readonly restarts: number;
  readonly hangs: number;
  /** What may lose data, or keeps it from being stored, until somebody acts. */
  readonly danger?: string;
  readonly report?: InstanceReport;
}

/** What `sluice fleet status --json` prints. */
export interface FleetStatus {
  readonly fleet: string;
  readonly pid: number;
  readonly editor: string;
  readonly broker: { readonly url: string; readonly connected: boolean };
  readonly slots: readonly SlotStatus[];
  /** Summed over the instances that run. Each counts from its own start. */
  readonly ledger: LedgerSums;
  readonly balanced: boolean;
  readonly dangers: readonly string[];
  /** Messages on the fleet's topics that nobody with the secret has signed. */
  readonly forged: number;
}

export interface StatusSources {
  readonly fleet: Fleet;
  readonly table: SlotTable;
  readonly roster: Roster;
}

type SlotPart = Pick<FleetStatus, 'slots' | 'ledger' | 'balanced' | 'dangers'>;

export function slotsStatus(sources: StatusSources): SlotPart {
  const slots = [EDITOR_SLOT, ...sources.table.held].map((slot) => slotStatus(slot, sources));
  const ledgers = slots.filter(({ slot }) => sources.roster.isLive(slot)).flatMap(({ report }) => report?.ledger ?? []);
  return {
    slots,
    ledger: totalOf(ledgers),
    balanced: ledgers.every(({ gap }) => gap === 0),
    dangers: slots.flatMap(({ danger }) => danger ?? []),
  };
}

function slotStatus(slot: number, sources: StatusSources): SlotStatus {
  const { fleet, table, roster } = sources;
  const process = fleet.processes.get(slot);
  const holder = table.holder(slot);
  const report = roster.last(slot);
  const state = stateOf(slot, sources);
  const danger = dangerOf(slot, state, sources);
  return {
    slot,
    name: report?.name ?? instanceName({ fleet: table.fleet, slot }),
    role: slot === EDITOR_SLOT ? 'editor' : 'worker',
    host: report?.host ?? (holder?.kind === 'joined' ? holder.host : ''),
    here: process !== undefined || holder?.kind === 'here',
    state,
    takesMessages: state === 'running' && roster.takesMessages(slot),
    restarts: process?.restarts ?? 0,
    hangs: process?.hangs ?? 0,
    ...(danger !== undefined && { danger }),
    ...(report !== undefined && { report }),
  };
}

function stateOf(slot: number, { fleet, table, roster }: StatusSources): SlotState {
  const process = fleet.processes.get(slot);
  const live = roster.isLive(slot);
  if (process !== undefined) return process.state === 'running' && !live ? 'silent' : process.state;
  if (table.holder(slot)?.kind !== 'joined') return 'stopped';
  const { state } = roster.last(slot) ?? {};
  if (!live) return 'away';
  return state === 'draining' || state === 'leaving' ? state : 'running';
}

function dangerOf(slot: number, state: SlotState, { fleet, table, roster }: StatusSources): string | undefined {
  const report = roster.last(slot);
  const onDisk = heldOnDisk(report);
  const kept = slot === EDITOR_SLOT ? '' : 'its session is held by nobody, and what the broker gives it waits';
  switch (state) {
    case 'failed':
      return sentence(slot, [fleet.processes.get(slot)?.failure, kept], `sluice fleet restart ${slot}`);
    case 'stopped':
      return sentence(slot, ['it does not run', report?.lastError, kept], `sluice fleet drain ${slot}`);
    case 'away':
      return sentence(
        slot,
        [`nothing was heard of ${hostOf(table.holder(slot))} ${sinceOf(roster.heardAt(slot))}`, kept, onDisk],
        `start sluice join there again, or, when it is gone for good, sluice fleet drain ${slot} --take-over`,
      );
    default:
      return undefined;
  }
}

function sentence(slot: number, facts: readonly (string | undefined)[], whatToDo: string): string {
  return `slot ${slot}: ${facts.filter((fact) => fact !== undefined && fact !== '').join('; ')}: ${whatToDo}`;
}

function hostOf(holder: Holder | undefined): string {
  return holder?.kind === 'joined' ? holder.host : 'it';
}

function sinceOf(heardAt: number | undefined): string {
  return heardAt === undefined ? 'yet' : `since ${new Date(heardAt).toISOString()}`;
}
