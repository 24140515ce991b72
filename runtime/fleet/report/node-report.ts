import type { NodeReport as InstanceNode } from '@sluice/node-red/instance';

/** Counts that say what becomes of messages in a node, in the order in which they are shown. */
const SHOWN = ['received', 'stored', 'published', 'rejected', 'dropped'] as const;
/** The worst first. */
const LEVELS = ['error', 'warning', 'busy', 'ok', 'off'] as const;

type Level = (typeof LEVELS)[number];

/** What a worker says of one of its nodes. */
export interface NodeReport {
  readonly id: string;
  readonly level: Level;
  readonly counts: Readonly<Partial<Record<(typeof SHOWN)[number], number>>>;
}

/** What the workers say of a node together. */
export interface WorkersNode {
  readonly id: string;
  readonly level: Level;
  readonly text: string;
}

const counted = new Intl.NumberFormat('en');

export function nodeReports(nodes: readonly InstanceNode[]): NodeReport[] {
  return nodes.map(({ id, level, counters }) => ({
    id,
    level: LEVELS.find((one) => one === level) ?? 'off',
    counts: Object.fromEntries(SHOWN.flatMap((name) => ((counters[name] ?? 0) > 0 ? [[name, counters[name]]] : []))),
  }));
}

/** Sums up what workers say: the worst level, and the counts of all since each has started. */
export function togetherOf(workers: readonly (readonly NodeReport[])[]): WorkersNode[] {
  const byId = new Map<string, NodeReport[]>();
  for (const report of workers.flat()) byId.set(report.id, [...(byId.get(report.id) ?? []), report]);
  return [...byId].map(([id, reports]) => {
    const level = LEVELS.find((one) => reports.some((report) => report.level === one)) ?? 'off';
    const not = reports.filter((report) => report.level === level).length;
    const sums = SHOWN.flatMap((name) => {
      const sum = reports.reduce((total, { counts }) => total + (counts[name] ?? 0), 0);
      return sum > 0 ? [`${counted.format(sum)} ${name}`] : [];
    });
    const who = level === 'ok' ? workersText(reports.length) : `${level} on ${not} of ${workersText(reports.length)}`;
    return { id, level, text: [who, ...sums].join(', ') };
  });
}

export function workersText(count: number): string {
  return `${count} worker${count === 1 ? '' : 's'}`;
}
