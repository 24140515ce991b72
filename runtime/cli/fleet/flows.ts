import { Argument, Command } from 'commander';
import type { FlowRevision } from '../../fleet/flows/member.js';
import { wholeFrom } from '../options.js';
import { RunningFleet } from '../running-fleet.js';
import { table } from '../table.js';
import { withUserDir, type UserDir } from './user-dir.js';

export function historyCommand(): Command {
  return withUserDir(new Command('history'))
    .description('List the revisions of the flows that were deployed to the fleet, the newest first.')
    .option('--json', 'print them as one line of JSON', false)
    .action(async ({ userDir, json }: UserDir & { json: boolean }) => {
      const fleet = await RunningFleet.on(userDir);
      const { revisions } = (await fleet.get('history')) as { revisions: readonly FlowRevision[] };
      process.stdout.write(json ? `${JSON.stringify(revisions)}\n` : textOf(revisions));
    });
}

export function rollbackCommand(): Command {
  return withUserDir(new Command('rollback'))
    .description('Bring the flows of an earlier revision back, as a new one: in the editor, and on all workers.')
    .addArgument(new Argument('<revision>', 'as history lists it').argParser(wholeFrom(1)))
    .action(async (revision: number, { userDir }: UserDir) => {
      const fleet = await RunningFleet.on(userDir);
      process.stdout.write(`${await fleet.operate('rollback', { revision })}\n`);
    });
}

function textOf(revisions: readonly FlowRevision[]): string {
  return table([
    ['revision', 'deployed', 'by', 'nodes', 'bytes', ''],
    ...revisions.map(({ revision, time, author, nodes, bytes, rollbackOf }) => [
      revision,
      time,
      author,
      nodes,
      bytes,
      rollbackOf === undefined ? '' : `brings back ${rollbackOf}`,
    ]),
  ]);
}
