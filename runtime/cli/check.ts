import { Command } from 'commander';
import { checkFile, type CheckOptions, type FileReport, type VariableUse } from '../check/check-file.js';
import { oneLine, sentenceOf, type Finding } from '../check/finding.js';
import { filesOf, systemError } from '../check/flow-file.js';
import { knownTypes, type KnownTypes } from '../check/known-types.js';
import { UserError } from '../launcher/user-error.js';

interface Options {
  readonly types: readonly string[];
  readonly userDir?: string;
  readonly project?: string;
  readonly env: boolean;
  readonly json: boolean;
}

export function checkCommand(): Command {
  return new Command('check')
    .description('Check flows without starting them: types, settings, wires, variables, secrets.')
    .argument('<flow...>', 'flow files, folders of *.json, or - for standard input')
    .option('--types <names>', 'types of other nodes that the flows use, with commas between', listOf, [])
    .option('--user-dir <folder>', "a Node-RED user folder, whose installed nodes' types are known then")
    .option('--project <folder>', "where the flows' schema files are (default: where the flow is)")
    .option('--env', 'a variable that is not set in this environment is a finding', false)
    .option('--json', 'print one line of JSON with all of it, and nothing else', false)
    .addHelpText(
      'after',
      '\nA variable that is set in this environment is used for the check; what stands for one that is not, is not judged.' +
        '\nExit codes: 0 nothing found, or warnings only; 1 findings; 2 a wrong option.',
    )
    .action(check);
}

async function check(paths: readonly string[], options: Options): Promise<void> {
  const settings: CheckOptions = {
    types: await typesFor(options),
    environment: process.env,
    needsEnvironment: options.env,
    project: options.project,
  };
  const reports: FileReport[] = [];
  for (const path of paths) reports.push(...(await checkPath(path, settings)));
  const findings = reports.flatMap((report) => report.findings);
  const variables = reports.flatMap((report) => report.variables);
  const nodes = reports.reduce((sum, report) => sum + report.nodes, 0);
  if (options.json) {
    process.stdout.write(`${JSON.stringify({ flows: reports.length, nodes, findings, variables })}\n`);
  } else {
    for (const finding of findings) process.stdout.write(`${sentenceOf(finding)}\n`);
    process.stdout.write(oneLine(needs(variables)) + (variables.length === 0 ? '' : '\n'));
    process.stdout.write(`${plural(reports.length, 'flow')}, ${plural(nodes, 'node')}: ${summary(findings)}\n`);
  }
  if (findings.some(({ level }) => level === 'error')) process.exitCode = 1;
}

async function typesFor({ types, userDir }: Options): Promise<KnownTypes> {
  try {
    return await knownTypes(types, userDir);
  } catch (error) {
    if (userDir === undefined || (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new UserError(`--user-dir: expected a folder with node_modules, got ${systemError(error)}`);
  }
}

async function checkPath(path: string, options: CheckOptions): Promise<FileReport[]> {
  let files: string[];
  try {
    files = filesOf(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const sentence =
      code === undefined ? message : `expected a file or a folder that can be read, got ${systemError(error)}`;
    return [{ nodes: 0, variables: [], findings: [{ file: path, path: '', message: sentence, level: 'error' }] }];
  }
  const reports: FileReport[] = [];
  for (const file of files) reports.push(await checkFile(file, options));
  return reports;
}

function needs(variables: readonly VariableUse[]): string {
  if (variables.length === 0) return '';
  const byName = new Map(variables.map(({ name, isSet }) => [name, isSet]));
  const names = [...byName].sort(([a], [b]) => (a < b ? -1 : 1));
  return `needs ${names.map(([name, isSet]) => (isSet ? name : `${name} (not set)`)).join(', ')}`;
}

function summary(findings: readonly Finding[]): string {
  const warnings = findings.filter(({ level }) => level === 'warning').length;
  const errors = findings.length - warnings;
  const said = errors === 0 ? 'no findings' : plural(errors, 'finding');
  return warnings === 0 ? said : `${said}, ${plural(warnings, 'warning')}`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function listOf(text: string, before: readonly string[]): readonly string[] {
  return [...before, ...text.split(',').map((name) => name.trim())].filter((name) => name !== '');
}
