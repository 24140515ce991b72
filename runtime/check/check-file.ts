import { dirname } from 'node:path';
import { describeValue, messageOf, type Reference } from '@sluice/node-red/check';
import type { Finding, NodeName, Report } from './finding.js';
import { entriesOf, readJson, STDIN, type Entry } from './flow-file.js';
import { flowOf, isDisabled, nameOf, reportOn, type Flow } from './flow.js';
import { jsonata } from './jsonata.js';
import { isContainer, typeOf, type KnownTypes } from './known-types.js';
import { withoutSecrets } from './secrets.js';
import { checkStructure } from './structure.js';
import { variableOf, variablesOfOthers } from './variables.js';

export interface CheckOptions {
  readonly types: KnownTypes;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Whether a variable that is not set is a finding. */
  readonly needsEnvironment: boolean;
  /** Where files are that a flow names; the file's own folder where there is none. */
  readonly project: string | undefined;
}

/** A variable of the process's environment, as one node asks for it. */
export interface VariableUse {
  readonly name: string;
  readonly isSet: boolean;
  readonly file: string;
  readonly node: NodeName;
  readonly path: string;
}

export interface FileReport {
  readonly nodes: number;
  readonly findings: readonly Finding[];
  readonly variables: readonly VariableUse[];
}

const NO_NAMES: ReadonlySet<string> = new Set();

export async function checkFile(file: string, options: CheckOptions): Promise<FileReport> {
  const findings: Finding[] = [];
  const variables: VariableUse[] = [];
  const add = (finding: Finding): number => findings.push(finding);
  const read = entriesOf(await readJson(file, ofFile), ofFile);
  // Nothing below sees a secret, so nothing below can tell one.
  const cleaned = read.map((entry) =>
    withoutSecrets(entry, typeOf(options.types, entry.type)?.credentials ?? NO_NAMES),
  );
  const entries = cleaned.map(({ entry }) => entry);
  const flow = flowOf(file, entries);
  const used = new Set<string>();
  for (const { entry, secrets } of cleaned) {
    const report = reportOn(file, entry, add);
    for (const { path, message } of secrets) report(path, message);
    checkStructure(flow, entry, options.types, report);
    const isOurs = options.types.ours.has(entry.type);
    if (isOurs) checkOurs(entry, new Set(secrets.map(({ path }) => path)), report);
    else {
      for (const id of textsIn(entry)) used.add(id);
      for (const { path, name } of variablesOfOthers(entry)) askFor(entry, path, name, report);
    }
  }
  for (const entry of entries) reportUnused(entry);
  return { nodes: entries.filter(({ type }) => !isContainer(type)).length, findings, variables };

  function ofFile(path: string, message: string): void {
    add({ file, path, message, level: 'error' });
  }

  /** @param hidden - places that have no value any more to be judged */
  function checkOurs(entry: Entry, hidden: ReadonlySet<string>, report: Report): void {
    const check = options.types.ours.get(entry.type)?.check;
    if (check === undefined) return;
    try {
      const result = check(entry, (name) => variableOf(flow, entry, name, options.environment).value, {
        jsonata,
        projectFolder: options.project ?? (file === STDIN ? process.cwd() : dirname(file)),
      });
      for (const { id } of result.references) used.add(id);
      if (isDisabled(flow, entry)) return; // it need not be complete
      for (const { path, message } of result.problems) if (!hidden.has(path)) report(path, message);
      for (const reference of result.references) checkReference(flow, reference, report);
      for (const { path, name } of result.variables) askFor(entry, path, name, report);
    } catch (error) {
      report('/', `expected settings that can be read, got ${messageOf(error)}`);
    }
  }

  function askFor(entry: Entry, path: string, name: string, report: Report): void {
    const { isSet, isOwn } = variableOf(flow, entry, name, options.environment);
    if (isOwn) return;
    variables.push({ name, isSet, file, node: nameOf(entry), path });
    if (!isSet && options.needsEnvironment) {
      report(path, `expected the environment variable ${name} to be set, got nothing`);
    }
  }

  function reportUnused(entry: Entry): void {
    if (!options.types.ours.has(entry.type) || typeOf(options.types, entry.type)?.isConfig !== true) return;
    if (used.has(entry.id)) return;
    reportOn(file, entry, add)('/id', 'expected a node that uses this one, got none', 'warning');
  }
}

function checkReference(flow: Flow, { id, type, path }: Reference, report: Report): void {
  const target = flow.byId.get(id);
  const got =
    target === undefined
      ? `none with the id ${describeValue(id)}`
      : target.type !== type
        ? `${describeValue(id)}, which is a ${target.type}`
        : isDisabled(flow, target)
          ? `${describeValue(id)}, which is switched off`
          : undefined;
  if (got !== undefined) report(path, `expected a node of type ${type}, got ${got}`);
}

/** Every text in an entry: among them the ids of what it uses. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
