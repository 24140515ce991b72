import { isDeepStrictEqual } from 'node:util';
import type { Credentials, FlowDocument, FlowEntry } from './document.js';
import type { Refusal } from './member.js';
import { forWorkers } from './placement.js';
import { unreachable } from './reach.js';
import { deploy, faultsIn } from './running-flows.js';
import { variablesOf, type DistributedVariables } from './variables.js';

export interface Failure {
  readonly reason: Extract<Refusal, 'not-started' | 'unreachable'>;
  readonly sentence: string;
}

/** What a worker's Node-RED runs of the fleet's flows. */
export class WorkerFlows {
  readonly #variables: DistributedVariables;
  /** Whether this machine is another than the editor's. */
  readonly #isRemote: boolean;
  /** The credentials of what runs; undefined before the first. */
  #credentials: Credentials | undefined;

  constructor(variables: DistributedVariables, isRemote: boolean) {
    this.#variables = variables;
    this.#isRemote = isRemote;
  }

  get isRunning(): boolean {
    return this.#credentials !== undefined;
  }

  /** @returns why they do not run, and then they may do so in part; undefined when all is well */
  async start(document: FlowDocument): Promise<Failure | undefined> {
    const flows = forWorkers(document.flows);
    const away = this.#isRemote ? this.#unreachable(flows, document) : undefined;
    if (away !== undefined) return { reason: 'unreachable', sentence: away };
    const kept = flows.filter(
      ({ id }) => document.credentials[id] !== undefined || this.#credentials?.[id] !== undefined,
    );
    const credentials = Object.fromEntries(kept.map(({ id }) => [id, document.credentials[id] ?? {}]));
    const isAllChanged = this.#variables.apply(document.variables);
    const sentence = (await this.#deploy(flows, credentials, isAllChanged)) ?? faultsIn(flows);
    return sentence === undefined ? undefined : { reason: 'not-started', sentence };
  }

  #unreachable(flows: readonly FlowEntry[], { credentials, variables }: FlowDocument): string | undefined {
    const kept = Object.fromEntries(flows.map(({ id }) => [id, credentials[id] ?? {}]));
    const used = variablesOf({ flows, credentials: kept }, variables);
    return unreachable(flows, this.#variables.effective(used));
  }

  async startNothing(): Promise<void> {
    await deploy([], {}, 'full');
    this.#credentials = undefined;
  }

  /** Only what has changed is started anew; all of it where what they all may depend on has. */
  #deploy(flows: readonly FlowEntry[], credentials: Credentials, isAllChanged: boolean): Promise<string | undefined> {
    const before = this.#credentials;
    this.#credentials = credentials;
    const changed = flows.filter(
      ({ id }) => before !== undefined && !isDeepStrictEqual(before[id] ?? {}, credentials[id] ?? {}),
    );
    const isAll = before === undefined || isAllChanged || changed.some(({ type }) => type === 'tab');
    // A node that brings credentials is a changed one, as when the editor deploys them.
    const marked = flows.map((entry) =>
      changed.includes(entry) ? { ...entry, credentials: credentials[entry.id] } : entry,
    );
    return deploy(marked, credentials, isAll ? 'full' : 'nodes');
  }
}
