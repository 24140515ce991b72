import type { Row } from './account.js';
import type { DoneFault } from './faults.js';
import { faultText } from './plan.js';
import type { ChaosResult } from './run.js';

const NAMED = 10;
const COLUMNS: readonly [heading: string, read: (row: Row) => string | number][] = [
  ['sink', ({ sink }) => sink],
  ['sent', ({ sent }) => sent],
  ['stored', ({ stored }) => stored],
  ['rejected', ({ rejected }) => rejected],
  ['dead-lettered', ({ deadLettered }) => deadLettered],
  ['duplicates', ({ duplicates }) => duplicates],
  ['lost', ({ lost }) => lost],
];

/** Whether all that is promised was kept. */
export function isKept({ account, ledger }: Pick<ChaosResult, 'account' | 'ledger'>): boolean {
  return account.lost.size === 0 && ledger?.balanced !== false && promisedDuplicates(account.rows) === 0;
}

/** A table, what is lost by name, and last how much that is. */
export function chaosText(result: ChaosResult): string {
  const { account, sent, faults, notes, leftOut, seed, seconds, broker, store, qos, folder } = result;
  const lines = [
    `seed ${seed}, ${sent.acknowledged.size.toLocaleString('en')} messages acknowledged at QoS ${qos}, ${broker}, ${store}, ${Math.round(seconds)} s`,
    ...leftOut.map((sentence) => `left out: ${sentence}`),
    ...notes,
    'faults, in seconds since the first message:',
    ...faults.map((fault) => `  ${span(fault)}  ${faultText(fault.kind)}`),
    '',
    ...tableOf(account.rows),
    '',
    ...remarks(result),
    ...lostIds(result),
    folder !== undefined && `kept in ${folder}`,
    `lost: ${account.lost.size}`,
  ].filter((line) => line !== false);
  return `${lines.join('\n')}\n`;
}

/** All of it, but for the ids of what was sent. */
export function chaosJson(result: ChaosResult): object {
  const { account, sent, ledger, ...rest } = result;
  return {
    kept: isKept(result),
    ...rest,
    acknowledged: sent.acknowledged.size,
    unanswered: account.unanswered,
    nowhere: account.nowhere,
    ledger: ledger ?? null,
    sinks: account.rows,
    lost: account.lost.size,
    lostIds: [...account.lost].map((id) => ({ id, sentAt: sent.acknowledged.get(id) })),
  };
}

function remarks({ account, ledger, drained, stoppedCleanly }: ChaosResult): (string | false)[] {
  const { unanswered, nowhere, rows } = account;
  const duplicates = promisedDuplicates(rows);
  const unexpected = rows.reduce((sum, row) => sum + row.unexpected, 0);
  const others = rows.reduce((sum, row) => sum + row.others, 0);
  return [
    unanswered.messages > 0 &&
      `published without an answer: ${unanswered.messages}, of which ${unanswered.stored} have arrived`,
    nowhere > 0 && `stored nowhere, without faults as well: ${nowhere}`,
    unexpected > 0 && `stored, though not without faults: ${unexpected} records`,
    others > 0 && `of other messages, or without an id: ${others} records`,
    !drained && 'NOT quiet at the end of the time: more may still come',
    !stoppedCleanly && 'the runtime did NOT end as it should',
    duplicates > 0 && `NOT as promised: ${duplicates} documents twice under one identity`,
    ledger === undefined
      ? 'ledger: this runtime serves none'
      : `ledger: ${ledger.balanced ? 'balanced' : `NOT balanced, a gap of ${ledger.gap}`}`,
  ];
}

/** The first of what is lost, with when it was sent and what happened then. */
function lostIds({ account, sent, faults }: ChaosResult): string[] {
  const times = [...account.lost].map((id) => [id, sent.acknowledged.get(id) ?? 0] as const);
  times.sort(([, a], [, b]) => a - b);
  const named = times.slice(0, NAMED).map(([id, seconds]) => {
    return `lost: ${id}, acknowledged at ${seconds.toFixed(1)} s, ${around(faults, seconds)}`;
  });
  return times.length > NAMED ? [...named, `and ${times.length - NAMED} more`] : named;
}

/** What was under way then, or what was nearest. */
function around(faults: readonly DoneFault[], seconds: number): string {
  const during = faults.filter(({ from, to }) => from <= seconds && seconds <= to);
  if (during.length > 0) return `during: ${during.map(({ kind }) => faultText(kind)).join(', ')}`;
  const distance = ({ from, to }: DoneFault): number => Math.max(from - seconds, seconds - to);
  const [closest] = faults.toSorted((a, b) => distance(a) - distance(b));
  if (closest === undefined) return 'with no fault';
  return `${distance(closest).toFixed(1)} s ${seconds < closest.from ? 'before' : 'after'}: ${faultText(closest.kind)}`;
}

function promisedDuplicates(rows: readonly Row[]): number {
  return rows.reduce((sum, { once, duplicates }) => sum + (once ? duplicates : 0), 0);
}

function tableOf(rows: readonly Row[]): string[] {
  const cells = [
    COLUMNS.map(([heading]) => heading),
    ...rows.map((row) => COLUMNS.map(([, read]) => read(row).toLocaleString('en'))),
  ];
  const widths = COLUMNS.map((_column, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const pad = (cell: string, index: number): string =>
    index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0);
  return cells.map((line) => line.map(pad).join('  '));
}

function span({ from, to }: DoneFault): string {
  return `${from.toFixed(1).padStart(6)} – ${to.toFixed(1).padStart(6)}`;
}
