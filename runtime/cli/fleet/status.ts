import { Command } from 'commander';
import { bytesText } from '../../fleet/launcher/sentences.js';
import type { FleetStatus, SlotStatus } from '../../fleet/launcher/status.js';
import { gapSentence } from '../ledger.js';
import { showLive } from '../live-text.js';
import { positive } from '../options.js';
import { RunningFleet } from '../running-fleet.js';
import { table } from '../table.js';
import { withUserDir, type UserDir } from './user-dir.js';

interface StatusOptions extends UserDir {
  readonly every: number;
  readonly once: boolean;
  readonly json: boolean;
}

export function fleetStatusCommand(): Command {
  return withUserDir(new Command('status'))
    .description('Show how each instance of the fleet does, and whether all that came in can be accounted for.')
    .option('--every <seconds>', 'on a terminal, how often the table is made anew', positive, 1)
    .option('--once', 'show it once, also on a terminal', false)
    .option('--json', 'print it as one line of JSON', false)
    .addHelpText(
      'after',
      '\nExit code 0: all is well; 1: no fleet answers, something waits until somebody acts (a danger), or the ledger does ' +
        'not balance.',
    )
    .action(status);
}

async function status({ userDir, every, once, json }: StatusOptions): Promise<void> {
  const fleet = await RunningFleet.on(userDir);
  const last = await showLive({ ask: () => fleet.status(), textOf, json, single: once, everySeconds: every });
  if (last.dangers.length > 0 || !last.balanced) process.exitCode = 1;
}

/** What an instance in another state has said of its load is from before. */
const LIVE = new Set<SlotStatus['state']>(['running', 'draining', 'leaving']);

const TITLES = [
  'slot',
  'name',
  'host',
  'state',
  'flow',
  'in/s',
  'out/s',
  'in flight',
  'window',
  'age',
  'spool',
  'lag',
  'cpu',
  'memory',
  'delay',
  'restarts',
  'last error',
];

function textOf(status: FleetStatus): string {
  const { fleet, editor, broker, slots, ledger, balanced, dangers, forged } = status;
  const account = Object.entries(ledger).map(([name, count]) => `${name} ${count.toLocaleString('en')}`);
  return [
    `fleet "${fleet}", editor at ${editor}, broker at ${broker.url}${broker.connected ? '' : ' (NOT CONNECTED)'}\n`,
    table([TITLES, ...slots.map(rowOf)]),
    `Deliveries, of the processes that run: ${account.join(', ')}\n`,
    balanced ? 'BALANCED\n' : `NOT BALANCED: ${gapSentence(ledger.gap)}\n`,
    ...problemsOf(slots),
    ...(forged > 0 ? [`${forged} messages on the fleet's topics were not signed with its secret\n`] : []),
    ...dangers.map((danger) => `DANGER: ${danger}\n`),
  ].join('');
}

function rowOf({ slot, name, host, state, takesMessages, restarts, report }: SlotStatus): (string | number)[] {
  const shown = state === 'running' && !takesMessages ? 'running, takes nothing' : state;
  const head = [slot, name, host, shown];
  if (report === undefined) return [...head, ...Array<string>(TITLES.length - head.length).fill('')];
  const { flow, rate, inFlight, window, ageSeconds, spool, load, lastError } = report;
  const isLive = LIVE.has(state);
  const now = [
    Math.round(rate.in),
    Math.round(rate.out),
    inFlight,
    window === undefined ? '' : percent(window),
    ageSeconds === undefined ? '' : `${ageSeconds.toFixed(1)} s`,
  ];
  const used = [percent(load.cpu), bytesText(load.memoryBytes), `${load.loopDelayMs} ms`];
  return [
    ...head,
    flow.revision === flow.wanted ? String(flow.revision) : `${flow.revision} (${flow.wanted} is out)`,
    ...(isLive ? now : now.map(() => '')),
    spool.records === 0 ? '0' : `${spool.records.toLocaleString('en')} (${bytesText(spool.bytes)})`,
    spool.records === 0 ? '' : `${Math.round(spool.lagSeconds)} s`,
    ...(isLive ? used : used.map(() => '')),
    restarts,
    short(lastError ?? ''),
  ];
}

function problemsOf(slots: readonly SlotStatus[]): string[] {
  return slots.flatMap(({ slot, report }) =>
    [report?.flow.problem, ...(report?.problems ?? [])]
      .filter((problem) => problem !== undefined)
      .map((problem) => `slot ${slot}: ${problem}\n`),
  );
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

const MOST_CHARACTERS = 60;

function short(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
}
