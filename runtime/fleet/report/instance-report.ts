import type { LedgerReport } from '@sluice/node-red/instance';
import type { NodeReport } from './node-report.js';

/**
 * - `running`: takes messages, or will
 * - `draining`, `stopped`: ends; its session stays at the broker, for the one that comes back in its slot
 * - `leaving`, `left`: ends, and its sessions with it
 * - `stranded`: was to leave, and could not end its sessions
 * - `gone`: the broker has lost it, and says so for it
 */
export type ReportedState = 'running' | 'draining' | 'stopped' | 'leaving' | 'left' | 'stranded' | 'gone';

const CONSERVATION = [
  'received',
  'spooledAtStart',
  'inFlight',
  'spooled',
  'stored',
  'filtered',
  'deadLettered',
  'dropped',
  'abandoned',
  'gap',
] as const satisfies readonly (keyof LedgerReport)[];

/** The sums of a ledger. */
export type LedgerSums = Readonly<Record<(typeof CONSERVATION)[number], number>>;

/** What an instance of a fleet says of itself, every second. */
export interface InstanceReport {
  readonly slot: number;
  readonly name: string;
  readonly role: 'editor' | 'worker';
  readonly host: string;
  readonly pid: number;
  /** New at each start of the process. */
  readonly runId: string;
  /** Milliseconds since 1970-01-01T00:00Z, by the clock of its machine. */
  readonly startedAt: number;
  readonly at: number;
  readonly state: ReportedState;
  /** Whether every ingest has its subscriptions. */
  readonly subscribed: boolean;
  readonly flow: { readonly revision: number; readonly wanted: number; readonly problem?: string };
  /** Deliveries a second: begun, and ended. */
  readonly rate: { readonly in: number; readonly out: number };
  readonly inFlight: number;
  /** The share of the time that a window was full, from 0 to 1; undefined where nothing has a window. */
  readonly window?: number;
  /** How old messages are at receipt; undefined where they carry no time. */
  readonly ageSeconds?: number;
  /** What is on its disk, and since when the oldest of it. */
  readonly spool: { readonly records: number; readonly bytes: number; readonly lagSeconds: number };
  /** CPU: of one core. The delay: the longest of the last second. */
  readonly load: { readonly cpu: number; readonly memoryBytes: number; readonly loopDelayMs: number };
  /** What does not work: nodes that say so, and an event loop that is held up. */
  readonly problems: readonly string[];
  readonly lastError?: string;
  readonly ledger: LedgerSums;
  /** Of a worker: its nodes, for the editor. */
  readonly nodes?: readonly NodeReport[];
}

export function sumsOf(ledger: LedgerSums): LedgerSums {
  return totalOf([ledger]);
}

export function totalOf(ledgers: readonly LedgerSums[]): LedgerSums {
  const entries = CONSERVATION.map((name) => [name, ledgers.reduce((sum, one) => sum + one[name], 0)]);
  return Object.fromEntries(entries) as LedgerSums;
}

export function encodeReport(report: InstanceReport): Buffer {
  return Buffer.from(JSON.stringify(report));
}

/** @returns undefined for what is none of ours, or of a version that says other things */
export function decodeReport(body: Buffer): InstanceReport | undefined {
  let report: Partial<InstanceReport> | null;
  try {
    report = JSON.parse(body.toString()) as Partial<InstanceReport> | null;
  } catch {
    return undefined;
  }
  if (report === null || typeof report !== 'object') return undefined;
  const { slot, at, runId, state, flow, rate, spool, load, ledger, problems } = report;
  const whole =
    Number.isSafeInteger(slot) &&
    Number.isFinite(at) &&
    [runId, state].every((text) => typeof text === 'string') &&
    [flow, rate, spool, load, ledger].every((part) => typeof part === 'object') &&
    Array.isArray(problems) &&
    (report.nodes === undefined || Array.isArray(report.nodes)) &&
    CONSERVATION.every((name) => Number.isFinite(ledger?.[name]));
  return whole ? (report as InstanceReport) : undefined;
}
