import type { Roster } from '../launcher/roster.js';

/** What more or fewer workers are decided by. */
export interface LoadSignal {
  /** The mean share of the time that the workers' windows were full, from 0 to 1. */
  readonly window: number;
  /** The greatest age of messages at receipt; undefined where they carry no time. */
  readonly ageSeconds?: number;
}

/** Of the workers that take messages. */
export function loadSignal(roster: Roster): LoadSignal {
  const reports = roster.slots
    .filter((slot) => roster.takesMessages(slot))
    .flatMap((slot) => roster.last(slot) ?? [])
    .filter(({ role }) => role === 'worker');
  const windows = reports.flatMap(({ window }) => window ?? []);
  const ages = reports.flatMap(({ ageSeconds }) => ageSeconds ?? []);
  return {
    window: windows.length === 0 ? 0 : windows.reduce((sum, window) => sum + window, 0) / windows.length,
    ...(ages.length > 0 && { ageSeconds: Math.max(...ages) }),
  };
}
