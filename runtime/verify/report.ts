import type { Findings, Named, Row } from './tally.js';

/** Whether the sink has all that it should, and nothing that it should not. */
export function isRight({ missing, refusedStored }: Findings): boolean {
  return missing.count === 0 && refusedStored.count === 0;
}

const NAMED = 5;
const NO_IDS =
  'expected the id of a message in each record (as _id, identity, id or payload.id), got none of this simulation: let the ' +
  'sink keep the identity; over MQTT 3.1.1 it travels in the payload only: --id here, {payload.id} as the identity of mqtt-ingest';
const COLUMNS: readonly [heading: string, read: (row: Row) => string | number][] = [
  ['fault', ({ fault }) => fault],
  ['messages', ({ messages }) => messages],
  ['ids', ({ ids }) => ids],
  ['stored', ({ stored }) => stored],
  ['missing', ({ missing }) => missing],
  ['twice', ({ twice }) => twice],
  ['refused, but stored', ({ refusedStored }) => refusedStored],
];

/** A table, what is wrong by name, and last a line that says it all. */
export function reportText(findings: Findings, place: string): string {
  const { rows, expected, stored, missing, twice, refusedStored, unanswered, records, others, unidentified } = findings;
  const cells = [
    COLUMNS.map(([heading]) => heading),
    ...rows.map((row) => COLUMNS.map(([, read]) => String(read(row)))),
  ];
  const widths = COLUMNS.map((_column, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const table = cells.map((line) =>
    line
      .map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  '),
  );
  const notes = [
    named('missing', missing),
    named('stored, though it should have been refused', refusedStored),
    unanswered.ids > 0 && `unanswered by the broker: ${unanswered.ids}, of which ${unanswered.stored} are stored`,
    others > 0 && `of other messages: ${others} records`,
    unidentified > 0 && `without an id: ${unidentified} records`,
    records === 0 && others + unidentified > 0 && NO_IDS,
  ].filter((note) => note !== false);
  const verdict = isRight(findings) ? 'verified' : 'NOT verified';
  const last = `${verdict}: ${stored} of ${expected} stored, ${missing.count} missing, ${twice.count} twice, ${refusedStored.count} stored that should not be (${place})`;
  return `${[...table, ...notes, last].join('\n')}\n`;
}

function named(what: string, { count, ids }: Named): string | false {
  if (count === 0) return false;
  return `${what}: ${ids.slice(0, NAMED).join(', ')}${count > NAMED ? ` and ${count - NAMED} more` : ''}`;
}
