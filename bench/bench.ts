/**
 * `npm run bench -- NAME [--runs N] [--json FILE]`: how fast Sluice is, against a baseline in the same run. Exit code 1
 * where a goal is missed.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { table } from '../runtime/cli/table.js';
import { burst } from './burst.js';
import { fleet } from './fleet.js';
import { isMet, rounded, type Question } from './lib/question.js';
import { parts } from './parts/parts.js';
import { pipeline } from './pipeline/pipeline.js';
import { scale } from './scale.js';
import { start } from './start.js';

const questions: Readonly<Record<string, { readonly asks: string; readonly question: Question }>> = {
  pipeline: { asks: 'what a message costs from the broker to the store, beside what else does it', question: pipeline },
  burst: { asks: 'what 300,000 messages do that come while the store is away', question: burst },
  scale: { asks: 'how the cost of a message grows with devices, payloads and branches', question: scale },
  parts: { asks: 'what each part costs by itself', question: parts },
  fleet: { asks: 'what more instances behind one broker bring, and what ends it', question: fleet },
  start: { asks: 'how long a start takes, and what an idle instance holds', question: start },
};

const usage = `npm run bench -- NAME [--runs N] [--json FILE]

${table(Object.entries(questions).map(([name, { asks }]) => [`  ${name}`, asks]))}
  --runs N     paired runs, of which the medians count (default 5; 2 for a quick look)
  --json FILE  writes every run
  --only TEXT  measures only what has this in its name
`;

const { values, positionals } = parsed();
const [name = ''] = positionals;
const asked = questions[name];
const runs = Number(values.runs);
if (values.help) {
  process.stdout.write(usage);
} else if (asked === undefined || positionals.length > 1 || !Number.isInteger(runs) || runs < 1) {
  const got = asked === undefined ? JSON.stringify(name) : `--runs ${values.runs}`;
  process.stderr.write(`bench: expected the name of a question and a number of runs from 1, got ${got}\n\n${usage}`);
  process.exitCode = 2;
} else {
  process.exitCode = (await answer(name, asked.question)) ? 0 : 1;
}
// What a question has started it has ended; a client of its own may have a timer left.
process.exit();

async function answer(question: string, ask: Question): Promise<boolean> {
  const findings = await ask({ runs, only: values.only, progress: (line) => process.stderr.write(`${line}\n`) });
  const goals = findings.goals.filter(({ got }) => !Number.isNaN(got));
  const measured = findings.table.filter((row) => !row.includes(NaN));
  const shown = measured.map((row) => row.map((cell) => (typeof cell === 'number' ? rounded(cell) : cell)));
  process.stdout.write(`\n${table(shown)}\n`);
  for (const goal of goals) {
    const { name: what, got, limit, wants, unit } = goal;
    const figures = `got ${rounded(got)}${unit}, limit ${wants} ${limit}${unit}`;
    process.stdout.write(`goal ${what}: ${isMet(goal) ? 'met' : 'missed'} (${figures})\n`);
  }
  if (values.json !== undefined) {
    const model = cpus()[0]?.model;
    const machine = { cpus: cpus().length, model, node: process.version, at: new Date().toISOString() };
    writeFileSync(values.json, `${JSON.stringify({ question, machine, ...findings }, undefined, 2)}\n`);
  }
  return goals.every(isMet);
}

function parsed(): { values: { runs: string; json?: string; only: string; help: boolean }; positionals: string[] } {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        runs: { type: 'string', default: '5' },
        json: { type: 'string' },
        only: { type: 'string', default: '' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}
