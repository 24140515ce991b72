import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import type { DeadLetter, ReplayReport } from '@sluice/node-red/instance';
import { messageOf, UserError } from '../launcher/user-error.js';
import { wholeFrom } from './options.js';
import { RunningInstance } from './running-instance.js';
import { table } from './table.js';

interface Selection {
  readonly userDir: string;
  readonly reason?: string;
  readonly node?: string;
  readonly schema?: string;
  readonly since?: string;
  readonly until?: string;
  readonly count: number;
  readonly replayed?: boolean;
  readonly json: boolean;
}

const LISTED = 20;
const SHOWN_CHARACTERS = 60;
/** How many go in one request. */
const AT_ONCE = 100;

export function deadLetterCommand(): Command {
  const command = new Command('dead-letter').description(
    'Show the messages of a running instance that no node would take, and give them to the node that failed again.',
  );
  command.addCommand(
    select(new Command('list').description('List the last ones, the newest first.'))
      .option('--replayed', 'also those that have been replayed')
      .action(list),
  );
  command.addCommand(
    new Command('show')
      .description('Show one whole, with its payload.')
      .argument('<id>')
      .option('--user-dir <dir>', 'the user folder of the instance', './.sluice')
      .option('--json', 'print it as one line of JSON', false)
      .action(show),
  );
  command.addCommand(
    select(
      new Command('replay').description(
        'Give the messages to the nodes that failed, as they entered them: those with these ids, or all that the options ' +
          'select. Exit code 0: all are settled; 1: not all.',
      ),
    )
      .argument('[ids...]')
      .option('--payload <file>', 'for one message: the payload that it has now, of a file or of - (stdin)')
      .action(replay),
  );
  return command;
}

function select(command: Command): Command {
  return command
    .option('--user-dir <dir>', 'the user folder of the instance', './.sluice')
    .option('--reason <code>', 'the code of the reason, such as schema-maximum')
    .option('--node <node>', 'the id, the name or the type of the node that failed')
    .option('--schema <name>', 'the schema that refused it')
    .option('--since <time>', 'not before this time: 2026-01-31T12:00:00Z')
    .option('--until <time>', 'before this time')
    .option('--count <n>', 'how many at most', wholeFrom(1), LISTED)
    .option('--json', 'print the answer as JSON', false);
}

async function list(selection: Selection): Promise<void> {
  const letters = await find(await RunningInstance.on(selection.userDir), selection);
  if (selection.json) {
    process.stdout.write(letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''));
    return;
  }
  if (letters.length === 0) {
    process.stdout.write('no dead letters\n');
    return;
  }
  process.stdout.write(
    table([
      ['id', 'at', 'reason', 'node', 'topic', 'payload'],
      ...letters.map(({ id, at, reason, node, message }) => [
        id,
        at,
        reason.code,
        node.name,
        message.topic ?? '',
        short(message.payload?.data ?? ''),
      ]),
    ]),
  );
}

async function show(id: string, { userDir, json }: { userDir: string; json: boolean }): Promise<void> {
  const instance = await RunningInstance.on(userDir);
  const { letters } = (await instance.get(`sluice/dead-letters?replayed=true&id=${encodeURIComponent(id)}`)) as {
    letters: DeadLetter[];
  };
  const [letter] = letters;
  if (letter === undefined) throw new UserError(`expected a dead letter, got none with the id ${id}`);
  if (json) {
    process.stdout.write(`${JSON.stringify(letter)}\n`);
    return;
  }
  const { at, reason, node, message, instance: name } = letter;
  const lines = [
    ['id', id],
    ['at', at],
    ['reason', `${reason.code}: ${reason.message}`],
    ['node', `${node.type} "${node.name}" (${node.id})`],
    ['instance', name],
    ['topic', message.topic ?? ''],
    ['identity', message.identity ?? ''],
    ...message.properties.map((property) => [property.name, `${property.data} (${property.encoding})`]),
    ['payload', message.payload === undefined ? '' : `(${message.payload.encoding})`],
  ];
  process.stdout.write(`${table(lines)}${message.payload?.data ?? ''}\n`);
}

async function replay(ids: readonly string[], selection: Selection & { readonly payload?: string }): Promise<void> {
  const { userDir, payload, json } = selection;
  if (payload !== undefined && ids.length !== 1) {
    throw new UserError(`--payload: expected one id, got ${ids.length}`);
  }
  const instance = await RunningInstance.on(userDir);
  const chosen = ids.length > 0 ? ids : (await find(instance, selection)).map(({ id }) => id).reverse();
  const payloads = payload === undefined ? {} : Object.fromEntries(ids.map((id) => [id, payloadOf(payload)]));
  const total = { replayed: [] as string[], pending: [] as string[], refused: {} as Record<string, string> };
  for (let start = 0; start < chosen.length; start += AT_ONCE) {
    const part = chosen.slice(start, start + AT_ONCE);
    const report = (await instance.post('sluice/dead-letters/replay', { ids: part, payloads })) as ReplayReport;
    total.replayed.push(...report.replayed);
    total.pending.push(...report.pending);
    Object.assign(total.refused, report.refused);
  }
  if (json) process.stdout.write(`${JSON.stringify(total)}\n`);
  else {
    for (const [id, why] of Object.entries(total.refused)) process.stdout.write(`${id} not replayed: ${why}\n`);
    for (const id of total.pending) process.stdout.write(`${id} is under way\n`);
    process.stdout.write(`${total.replayed.length} of ${chosen.length} replayed\n`);
  }
  if (total.replayed.length < chosen.length) process.exitCode = 1;
}

async function find(instance: RunningInstance, selection: Selection): Promise<DeadLetter[]> {
  const { reason, node, schema, since, until, count, replayed } = selection;
  const given = Object.entries({ reason, node, schema, since, until, count, replayed }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as [string, string]],
  );
  const query = new URLSearchParams(given).toString();
  return ((await instance.get(`sluice/dead-letters?${query}`)) as { letters: DeadLetter[] }).letters;
}

/** What a file holds as the payload of a letter: JSON, else text, else bytes. @throws UserError */
function payloadOf(file: string): { encoding: 'json' | 'text' | 'base64'; data: string } {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new UserError(`--payload: expected a file, got ${messageOf(error)}`, { cause: error });
  }
  const data = bytes.toString('utf8');
  if (!Buffer.from(data).equals(bytes)) return { encoding: 'base64', data: bytes.toString('base64') };
  try {
    JSON.parse(data);
    return { encoding: 'json', data };
  } catch {
    return { encoding: 'text', data };
  }
}

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= SHOWN_CHARACTERS ? line : `${line.slice(0, SHOWN_CHARACTERS - 1)}…`;
}
