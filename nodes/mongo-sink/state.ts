import type { StatusLevel } from '../adapter/status.js';

/** What the status is made of. */
export interface SinkState {
  readonly address: string;
  readonly stored: number;
  /** Messages that nothing durable has yet. */
  readonly waiting: number;
  readonly spooled: number;
  readonly alwaysSpools: boolean;
  /** Why the spool does not work. */
  readonly problem: string | undefined;
  /** Why the server takes nothing. */
  readonly outage: string | undefined;
  readonly connecting: boolean;
  /** What somebody should look at, and nothing waits for. */
  readonly warning: string | undefined;
}

const counted = new Intl.NumberFormat('en');

export function showState(state: SinkState): { readonly level: StatusLevel; readonly text: string } {
  const { stored, waiting, spooled, problem, outage } = state;
  const total = `${counted.format(stored)} stored`;
  const onDisk = spooled > 0 ? `${counted.format(spooled)} spooled; ` : '';
  const inMemory = waiting > 0 && spooled === 0 ? `${counted.format(waiting)} waiting; ` : '';
  if (problem !== undefined) return { level: 'error', text: `${onDisk}${inMemory}${problem}` };
  if (outage !== undefined) return { level: 'error', text: `${onDisk}${inMemory}${outage}` };
  if (state.connecting && stored === 0) return { level: 'busy', text: `${onDisk}connecting to ${state.address}…` };
  if (state.warning !== undefined) return { level: 'warning', text: `${onDisk}${total}; ${state.warning}` };
  return { level: spooled > 0 && !state.alwaysSpools ? 'busy' : 'ok', text: `${onDisk}${total}` };
}
