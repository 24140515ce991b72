import { Command } from 'commander';
import { UserError, messageOf } from '../launcher/user-error.js';
import { UserFolder } from '../launcher/user-folder.js';

interface StatusOptions {
  readonly userDir: string;
  readonly json: boolean;
}

/** What `GET /sluice/status` answers. */
interface Report {
  readonly instance: string;
  readonly startedAt: string;
  readonly nodes: readonly {
    readonly type: string;
    readonly name: string;
    readonly level: string;
    readonly status: string;
  }[];
}

const ANSWER_MS = 5_000;

export function statusCommand(): Command {
  return new Command('status')
    .description('Show what each node of a running instance does. Exit code 0: it answers; 1: it does not.')
    .option('--user-dir <dir>', 'the user folder of the instance', './.sluice')
    .option('--json', 'print the answer as one line of JSON', false)
    .action(status);
}

async function status({ userDir, json }: StatusOptions): Promise<void> {
  const folder = new UserFolder(userDir);
  const running = await folder.running();
  if (running?.url === undefined) {
    const got = running === undefined ? 'none' : 'one that is still starting';
    throw new UserError(`expected a running instance on ${folder.path}, got ${got}: start it with sluice start`);
  }
  const report = await ask(running.url, running.token);
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(`${report.instance} at ${running.url}, since ${report.startedAt}\n\n${table(report)}`);
}

async function ask(url: string, token: string): Promise<Report> {
  try {
    const response = await fetch(`${url}sluice/status`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (response.ok) return (await response.json()) as Report;
    throw new Error(`HTTP ${response.status}`);
  } catch (error) {
    throw new UserError(`expected an answer from ${url}, got ${messageOf(error)}`, { cause: error });
  }
}

function table({ nodes }: Report): string {
  const rows = nodes.map(({ level, type, name, status }) => [level, type, name === type ? '' : name, status]);
  const widths = [0, 1, 2].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]): string => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}
