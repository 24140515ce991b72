import { Command } from 'commander';
import { RunningInstance } from './running-instance.js';
import { table } from './table.js';

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

export function statusCommand(): Command {
  return new Command('status')
    .description('Show what each node of a running instance does. Exit code 0: it answers; 1: it does not.')
    .option('--user-dir <dir>', 'the user folder of the instance', './.sluice')
    .option('--json', 'print the answer as one line of JSON', false)
    .action(status);
}

async function status({ userDir, json }: StatusOptions): Promise<void> {
  const instance = await RunningInstance.on(userDir);
  const report = (await instance.get('sluice/status')) as Report;
  if (json) process.stdout.write(`${JSON.stringify(report)}\n`);
  else process.stdout.write(`${report.instance} at ${instance.url}, since ${report.startedAt}\n\n${rowsOf(report)}`);
}

function rowsOf({ nodes }: Report): string {
  return table(nodes.map(({ level, type, name, status }) => [level, type, name === type ? '' : name, status]));
}
