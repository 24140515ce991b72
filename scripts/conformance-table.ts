import type { Case } from '../test/delivery/cases/case.js';
import { GROUPS } from '../test/delivery/cases/index.js';

/** Ways to use one node. */
interface Row {
  readonly node: string;
  readonly kept: string[];
  readonly ends: string[];
}

/** Nodes, and whether they keep the guarantee: of the cases of the conformance suite, which proves each. */
export function conformanceTable(): string {
  return GROUPS.map(({ title, cases }) => `### ${title}\n\n${tableOf(cases)}`).join('\n\n');
}

function tableOf(cases: readonly Case[]): string {
  const rows = new Map<string, Row>();
  for (const { name, limit } of cases) {
    const [node = '', ...rest] = name.split(': ');
    const way = rest.length === 0 ? 'as it is' : rest.join(': ');
    const row = rows.get(node) ?? { node, kept: [], ends: [] };
    rows.set(node, row);
    if (limit === undefined) row.kept.push(way);
    else row.ends.push(`**${way}**: ${limit}`);
  }
  const lines = [...rows.values()].map(
    ({ node, kept, ends }) => `| ${node} | ${kept.join('; ')} | ${ends.join('<br>')} |`,
  );
  return ['| node | kept | where the guarantee ends |', '| --- | --- | --- |', ...lines].join('\n');
}
