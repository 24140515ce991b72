import type { LedgerReport, NodeTotals } from '@sluice/node-red/instance';
import { Command } from 'commander';
import { showLive } from './live-text.js';
import { positive } from './options.js';
import { RunningInstance } from './running-instance.js';
import { table } from './table.js';

interface LedgerOptions {
  readonly userDir: string;
  readonly json: boolean;
  readonly once: boolean;
  readonly every: number;
}

/** What `GET /sluice/ledger` answers. */
type Answer = LedgerReport & { readonly nodes: readonly NodeTotals[] };

const COLUMNS = [
  ['received', 'received'],
  ['spooledAtStart', 'spooled before'],
  ['inFlight', 'in flight'],
  ['spooled', 'spooled'],
  ['stored', 'stored'],
  ['filtered', 'filtered'],
  ['deadLettered', 'dead letters'],
  ['dropped', 'dropped'],
  ['abandoned', 'abandoned'],
  ['gap', 'gap'],
] as const satisfies readonly (readonly [keyof LedgerReport, string])[];

export function ledgerCommand(): Command {
  return new Command('ledger')
    .description(
      'Show what came in at a running instance and what became of it, and whether that adds up. ' +
        'Exit code 0: it balances; 1: it does not, or no instance answers.',
    )
    .option('--user-dir <dir>', 'the user folder of the instance', './.sluice')
    .option('--every <seconds>', 'on a terminal, how often the table is made anew', positive, 1)
    .option('--once', 'show it once, also on a terminal', false)
    .option('--json', 'print the answer as one line of JSON', false)
    .action(ledger);
}

async function ledger({ userDir, json, once: single, every }: LedgerOptions): Promise<void> {
  const instance = await RunningInstance.on(userDir);
  const ask = async (): Promise<Answer> => (await instance.get('sluice/ledger')) as Answer;
  const last = await showLive({ ask, textOf, json, single, everySeconds: every });
  if (!last.balanced) process.exitCode = 1;
}

function textOf(ledger: Answer): string {
  const { instance, runId, startedAt, flows, balanced, gap, reasons, late, oldest, nodes } = ledger;
  const rows = [...flows.map((flow) => ({ ...flow, name: flow.name === '' ? flow.id : flow.name }))];
  const deliveries = table([
    ['deliveries of', ...COLUMNS.map(([, title]) => title)],
    ...rows.map((row) => [row.name, ...COLUMNS.map(([field]) => row[field])]),
    ...(rows.length === 1 ? [] : [['all', ...COLUMNS.map(([field]) => ledger[field])]]),
  ]);
  return [
    `${instance}, run ${runId.slice(0, 8)} since ${startedAt}\n`,
    deliveries,
    balanced ? 'BALANCED\n' : `NOT BALANCED: ${gapSentence(gap)}\n`,
    listed('Not stored', reasons),
    listed('Sent too late to be waited for', late),
    ...oldest.map(
      ({ source, seconds, holder }) => `Open longest at ${source}: ${seconds.toFixed(1)} s, in ${holder}\n`,
    ),
    table([
      ['node', 'type', 'open', 'counted'],
      ...nodes.map(({ name, type, open, counters }) => [name, type, open, countersText(counters)]),
    ]),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

export function gapSentence(gap: number): string {
  const count = Math.abs(gap).toLocaleString('en');
  if (gap === 0) return 'a flow has a gap that another makes up for';
  return gap > 0 ? `${count} came in and cannot be accounted for` : `${count} more are accounted for than came in`;
}

function listed(title: string, counts: Readonly<Record<string, number>>): string {
  const text = countersText(counts);
  return text === '' ? '' : `${title}: ${text}\n`;
}

function countersText(counters: Readonly<Record<string, number>>): string {
  return Object.entries(counters)
    .map(([name, count]) => `${name} ${count.toLocaleString('en')}`)
    .join(', ');
}
