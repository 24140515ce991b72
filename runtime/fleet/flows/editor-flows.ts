import { AsyncLocalStorage } from 'node:async_hooks';
import { userInfo } from 'node:os';
import RED from 'node-red';
import type { Credentials, FlowDocument, FlowEntry } from './document.js';
import type { Deployment } from './publisher.js';
import { deploy } from './running-flows.js';
import { variablesOf } from './variables.js';

/** Who has asked Node-RED for what it does now. */
interface Asker {
  /** As Node-RED's admin API sets it on a request once it knows. */
  readonly user?: { readonly username?: string };
  readonly rollbackOf?: number;
}

/** What Node-RED says as it deploys: the flows that are to run, or run. */
interface FlowsEvent {
  readonly config: { readonly flows: readonly FlowEntry[] };
}

/** What the editor instance's Node-RED deploys, and by whom. */
export class EditorFlows {
  readonly #asking = new AsyncLocalStorage<Asker>();

  /** For Node-RED's `httpAdminMiddleware`: a deploy runs within the request that has asked for it. */
  readonly middleware = (request: Asker, _response: unknown, next: () => void): void => {
    this.#asking.run(request, next);
  };

  /** @param onDeployed - called after each deploy whose flows have started, and after the start of the process */
  constructor(onDeployed: (deployment: Deployment) => void) {
    const { events } = RED.runtime;
    const deployments = new WeakMap<object, Deployment>();
    const take = ({ config }: FlowsEvent): Deployment => {
      const deployment = deployments.get(config.flows) ?? this.#deployment(config.flows);
      deployments.set(config.flows, deployment);
      return deployment;
    };
    // As it is when it takes the place of the one before: until it has started, the next deploy may have begun.
    events.on('flows:stopping', take);
    events.on('flows:started', (event: FlowsEvent) => onDeployed(take(event)));
  }

  #deployment(flows: readonly FlowEntry[]): Deployment {
    const asker = this.#asking.getStore();
    const { rollbackOf } = asker ?? {};
    return {
      document: documentOf(flows),
      author: asker?.user?.username ?? userInfo().username,
      isStart: asker === undefined,
      ...(rollbackOf !== undefined && { rollbackOf }),
    };
  }

  /** @returns why they do not run */
  deploy({ flows, credentials }: FlowDocument, author: string, rollbackOf: number): Promise<string | undefined> {
    // One that has credentials now, and had none then, has none again.
    const all = Object.fromEntries(flows.map(({ id }) => [id, credentials[id] ?? {}]));
    return this.#asking.run({ user: { username: author }, rollbackOf }, () => deploy(flows, all, 'full'));
  }
}

function documentOf(flows: readonly FlowEntry[]): FlowDocument {
  const credentials: Credentials = Object.fromEntries(
    flows.flatMap(({ id }) => {
      const own = RED.nodes.getCredentials(id);
      return own === undefined || Object.keys(own).length === 0 ? [] : [[id, own]];
    }),
  );
  // As it is when it comes back from its JSON.
  return JSON.parse(
    JSON.stringify({ flows, credentials, variables: variablesOf({ flows, credentials }, process.env) }),
  ) as FlowDocument;
}
