import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Counters } from '../lib/counters.js';
import type { Origin } from '../lib/dead-letter.js';
import type { Behaviour, IsFailed, Log } from './define-node.js';
import type { LoadReport } from '../lib/load.js';
import type { Counts } from '../lib/spool/record.js';
import type { LedgerReport } from './ledger-report.js';
import { logLine } from './log-line.js';
import { Deliveries } from './deliveries.js';
import { LastResort } from './last-resort.js';
import { type Leave, leaveForGood } from './leave.js';
import { LeftSpools } from './left-spools.js';
import { Replay } from './replay.js';
import type { NodeInput } from './node-input.js';
import type { Red, RedNode } from './red.js';
import type { StatusLine } from './status.js';

export type { Leave } from './leave.js';
export type { DeadLetter } from '../lib/dead-letter.js';
export { statusLook } from './status.js';
export type { LedgerReport } from './ledger-report.js';
export type { ReplayReport } from './replay.js';

/** What an instance needs of Node-RED. */
type InstancePorts = Pick<Red, 'events' | 'hooks' | 'log' | 'nodes' | 'settings' | 'util'>;

/** A node of ours that is part of the running flows. */
export interface RunningNode {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly behaviour: Behaviour;
  /** Whether its settings are wrong, so that it does nothing. */
  readonly failed: boolean;
  readonly counters: Counters;
  readonly status: StatusLine;
  /** Aborted when the node closes. */
  readonly closing: AbortSignal;
  /** How many messages it has been given and has not completed. */
  open(): number;
  readonly input: NodeInput;
}

/** What `GET /sluice/status` says of one node. */
export interface NodeReport {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly level: string;
  readonly status: string;
  readonly open: number;
  readonly counters: Readonly<Record<string, number>>;
  /** Of an ingest, from the start of the process. */
  readonly load?: LoadReport;
}

/** What a node has counted since the start of the process. */
export type NodeTotals = Pick<NodeReport, 'id' | 'type' | 'name' | 'open' | 'counters' | 'load'>;

const KEY = Symbol.for('sluice.instance');
const QUIET_MS = 300;
/** Nothing is waited for: it only takes nothing in any more. */
const STOP_LIMIT_MS = 1_000;

/**
 * One runtime process: its name, our nodes in its flows, and what concerns all of them together: the order in which
 * they start and drain.
 */
export class Instance {
  /** `SLUICE_NAME`, else the host's name; the article's gatewayID. */
  readonly name: string;
  /** New at each start of the process. */
  readonly runId = randomUUID();
  readonly startedAt = new Date();
  readonly nodes = new Map<string, RunningNode>();
  /** The types of our nodes. */
  readonly types = new Set<string>();
  readonly deliveries: Deliveries;
  readonly replay: Replay;
  readonly leftSpools: LeftSpools;
  /** Node-RED's user folder. */
  userDir: string | undefined;
  /** What nodes had counted that have been closed, by their ids. */
  readonly #past = new Map<string, NodeTotals>();
  readonly #started = new WeakSet<RunningNode>();
  #flowRevision = '';
  /** Resolves when those on other instances who are to take what devices send can do so. */
  #takers: Promise<unknown> = Promise.resolve();
  #draining = false;

  /** The instance that this Node-RED runtime is. It hangs on the runtime's own event bus: one, however the palette was loaded. */
  static of(red: Red): Instance {
    const bus = red.events as typeof red.events & { [KEY]?: Instance };
    if (bus[KEY] === undefined) {
      const instance = new Instance(red);
      bus[KEY] = instance;
      // Before nodes are made; what a storage without revisions gives is none.
      red.events.on('flows:starting', ({ config }: { config?: { rev?: string } }) => {
        instance.#flowRevision = config?.rev ?? '';
        instance.#draining = false;
      });
      red.events.on('flows:started', () => instance.#start());
    }
    // Node-RED gives each module of a package an API object of its own.
    bus[KEY].userDir = red.settings.userDir;
    return bus[KEY];
  }

  /** The instance of a runtime that has loaded the palette, by its event bus. */
  static running(events: Red['events']): Instance {
    const instance = (events as typeof events & { [KEY]?: Instance })[KEY];
    if (instance === undefined) throw new Error('expected a runtime with the palette of Sluice, got one without');
    return instance;
  }

  constructor(red: InstancePorts, name = process.env['SLUICE_NAME'] ?? '') {
    this.name = name === '' ? hostname() : name;
    const log: Log = (_level, sentence, fields = {}) => red.log.warn(logLine(sentence, fields));
    const writer = `${this.name}.${this.runId.slice(0, 8)}`;
    const lastResort = new LastResort(() => this.userDir, writer, log);
    this.deliveries = new Deliveries({
      red,
      log,
      ourTypes: this.types,
      nodes: () => this.nodes.values(),
      lastResort,
      origin: (node) => this.originOf(node),
    });
    this.leftSpools = new LeftSpools(red);
    this.replay = new Replay({ red, deliveries: this.deliveries, lastResort, nodes: () => this.nodes.values() });
  }

  /** What a dead letter says of a node. */
  originOf({ id, type, name, z }: RedNode): Origin {
    return {
      node: { id, type, name: name === undefined || name === '' ? type : name },
      tab: z ?? '',
      revision: this.#flowRevision,
      instance: this.name,
      runId: this.runId,
    };
  }

  /** Node-RED's revision of the flows that run. */
  get flowRevision(): string {
    return this.#flowRevision;
  }

  report(): { instance: string; runId: string; startedAt: string; nodes: NodeReport[] } {
    const nodes = [...this.nodes.values()].map((node) => ({
      id: node.id,
      type: node.type,
      name: node.name,
      level: node.status.level ?? 'off',
      status: node.status.text,
      open: node.open(),
      counters: node.counters.snapshot(),
      ...this.#load(node.id),
    }));
    return { instance: this.name, runId: this.runId, startedAt: this.startedAt.toISOString(), nodes };
  }

  /** What each node has counted since the start of the process, over its deploys. */
  totals(): NodeTotals[] {
    const totals = new Map(this.#past);
    for (const node of this.nodes.values()) totals.set(node.id, this.#total(node));
    return [...totals.values()];
  }

  /** A node is no more part of the flows: what it has counted stays. */
  remove(node: RunningNode): void {
    this.#past.set(node.id, this.#total(node));
    if (this.nodes.get(node.id) === node) this.nodes.delete(node.id);
  }

  #total(node: RunningNode): NodeTotals {
    const { id, type, name, counters } = node;
    const past = this.#past.get(id)?.counters ?? {};
    return { id, type, name, open: node.open(), counters: sum(past, counters.snapshot()), ...this.#load(id) };
  }

  #load(id: string): Pick<NodeReport, 'load'> {
    const load = this.deliveries.loadOf(id);
    return load === undefined ? {} : { load: load.report() };
  }

  /** What is on this machine's disk, of the nodes in the flows. */
  onDisk(): Counts {
    const counts = [...this.nodes.values()].flatMap(({ behaviour }) => behaviour.onDisk?.() ?? []);
    const times = counts.flatMap(({ oldestAt }) => oldestAt ?? []);
    return {
      records: counts.reduce((total, { records }) => total + records, 0),
      bytes: counts.reduce((total, { bytes }) => total + bytes, 0),
      oldestAt: times.length === 0 ? undefined : Math.min(...times),
    };
  }

  ledger(): LedgerReport {
    const report = this.deliveries.report();
    const { name: instance, runId, startedAt } = this;
    return {
      instance,
      runId,
      startedAt: startedAt.toISOString(),
      balanced: report.flows.every(({ gap }) => gap === 0),
      ...report,
    };
  }

  /** Devices begin only then, too: what they send is for ingests of other instances. */
  beginDevicesAfter(takers: Promise<unknown>): void {
    this.#takers = takers;
  }

  /** Resolves when every ingest has its subscriptions: what is published from then on has a taker. */
  async ready(): Promise<void> {
    await Promise.all([...this.nodes.values()].map(readyOrClosed));
  }

  /**
   * Stops in the order that leaves nothing behind: devices, then until nothing has moved for a moment, then the
   * ingests, and again until nothing moves and every delivery is settled. What a sink then still holds it stores or
   * spools when the flows are stopped, which is the caller's next step.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    const deadline = Date.now() + timeoutMs;
    // Without devices of its own, what still comes in is of others, who do not stop.
    if (await this.#stop('device', deadline)) await this.#untilQuiet(deadline);
    await this.#stop('ingest', deadline);
    await this.#untilQuiet(deadline);
    const settled = Promise.all([...this.deliveries.ledgers.values()].map((ledger) => ledger.empty()));
    await Promise.race([settled, delay(Math.max(0, deadline - Date.now()), undefined, { ref: false })]);
  }

  /**
   * For good, as an instance of a fleet does that is not to come back: what brokers have for it is taken and settled, what is
   * on this machine's disk is stored, and then its sessions end. Where that cannot be in time, they stay, and the instance
   * has to come back for them. It takes nothing in any more, in either case: the caller's next step is to stop it.
   */
  async leave(timeoutMs: number): Promise<Leave> {
    this.#draining = true;
    const deadline = Date.now() + timeoutMs;
    await this.#stop('device', deadline);
    const left = await leaveForGood(
      {
        nodes: [...this.nodes.values()],
        inFlight: () => [...this.deliveries.ledgers.values()].reduce((sum, { inFlight }) => sum + inFlight, 0),
        leftSpools: () => this.leftSpools.find(),
      },
      deadline,
    );
    await this.#stop('ingest', Date.now() + STOP_LIMIT_MS);
    return left;
  }

  /**
   * After every deploy: begins what has not begun. Devices begin when every ingest of this instance has its
   * subscription, so that the first message has a taker.
   */
  #start(): void {
    const fresh = [...this.nodes.values()].filter(
      (node) => node.behaviour.start !== undefined && !this.#started.has(node),
    );
    const begin = (node: RunningNode): void => {
      if (!this.#draining && !node.closing.aborted) node.behaviour.start?.();
    };
    for (const node of fresh) this.#started.add(node);
    for (const node of fresh.filter(({ behaviour }) => behaviour.stage !== 'device')) begin(node);
    const isFailed: IsFailed = (id) => this.nodes.get(id)?.failed === true;
    if (!this.#draining) for (const { behaviour } of this.nodes.values()) behaviour.deployed?.(isFailed);
    void Promise.all([this.ready(), this.#takers]).then(() => {
      for (const node of fresh.filter(({ behaviour }) => behaviour.stage === 'device')) begin(node);
    });
  }

  /** @returns whether there was something to stop */
  async #stop(stage: 'device' | 'ingest', deadline: number): Promise<boolean> {
    const stopping = [...this.nodes.values()].filter(({ behaviour }) => behaviour.stage === stage);
    // One that cannot stop keeps no other from it; its own close says so.
    const all = Promise.allSettled(stopping.map(async ({ behaviour }) => behaviour.stop?.()));
    await Promise.race([all, delay(Math.max(0, deadline - Date.now()), undefined, { ref: false })]);
    return stopping.length > 0;
  }

  async #untilQuiet(deadline: number): Promise<void> {
    const seen = (): number => [...this.nodes.values()].reduce((sum, node) => sum + node.counters.total('received'), 0);
    let before = -1;
    while (Date.now() < deadline && seen() !== before) {
      before = seen();
      await delay(Math.min(QUIET_MS, Math.max(0, deadline - Date.now())));
    }
  }
}

function sum(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): Record<string, number> {
  const total = { ...one };
  for (const [name, count] of Object.entries(other)) total[name] = (total[name] ?? 0) + count;
  return total;
}

/** Resolves when an ingest has its subscriptions, or will never have them. */
async function readyOrClosed({ behaviour, closing }: RunningNode): Promise<void> {
  if (behaviour.ready === undefined || closing.aborted) return;
  const closed = once(closing, 'abort');
  await Promise.race([behaviour.ready(), closed]);
}
