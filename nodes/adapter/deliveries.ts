import { type Branches, type Failure, NextTurn } from '../lib/delivery/branches.js';
import { branchesOf, carry } from '../lib/delivery/carried.js';
import type { Delivery } from '../lib/delivery/delivery.js';
import { Ledger } from '../lib/delivery/ledger.js';
import type { DeliveryTag } from '../lib/delivery/outcome.js';
import { Load } from '../lib/load.js';
import type { DeadLetters, Origin } from '../lib/dead-letter.js';
import { NodeError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { bury } from './burial.js';
import type { Log } from './define-node.js';
import { type Account, accountOf, type LedgerReport } from './ledger-report.js';
import type { NodeInput } from './node-input.js';
import { isOurs } from './part.js';
import type { Red, RedNode, SendEvent } from './red.js';
import { Tracking } from './tracking.js';

const NOWHERE = { type: 'no node', name: '' };
/** Without a limit of its source's own. */
const LIMIT_MS = 120_000;
/** How often a message that was delivered to one of our nodes has still to arrive. A number: copies take it with them. */
const ARRIVING = Symbol('sluice.arriving');
type Arriving = Message & { [ARRIVING]?: number };

type Slots = (Message | null)[];

/** One of our nodes, as far as its messages need it. */
export interface Sender {
  readonly node: RedNode;
  readonly type: string;
  /** Aborted when the node begins to close. */
  readonly closing: AbortSignal;
  /** What a dead letter says of it. */
  readonly origin: () => Origin;
}

/** What a source needs of the deliveries that come in by it. */
export interface SourceDeliveries {
  /** How many are not settled. */
  inFlight(): number;
  /** Counts a message that was given up at the door. */
  drop(reason: string): void;
  /** Says that these are not waited for any more: they will come again. */
  abandon(deliveries: Iterable<Delivery>): void;
  /** By the type of the node, how many messages were sent too late to be waited for. */
  late(): ReadonlyMap<string, number>;
  /**
   * Begins a delivery with this message, with one branch open: who sends the message closes it then.
   *
   * @param answer - called once, when it is settled; not where it is abandoned
   */
  begin(message: Message, answer: () => void): Delivery;
  /** What it has to bear, from the start of the process, over its deploys. */
  readonly load: Load;
  /** The delivery that has been open longest, and which node has it. */
  oldest(): { readonly seconds: number; readonly holder: string } | undefined;
}

export interface SourceSettings {
  /** The flow that it is part of. */
  readonly flow: { readonly id: string; readonly name: string };
  /** Where what failed is kept; without one it is the user folder. */
  readonly letters?: DeadLetters | undefined;
  /** For how long a node that is not ours may keep a message, in milliseconds. */
  readonly limitMs?: number | undefined;
}

export interface DeliveryPorts {
  readonly red: Pick<Red, 'events' | 'hooks' | 'log' | 'nodes' | 'util'>;
  readonly log: Log;
  readonly lastResort: DeadLetters;
  /** The types of our nodes. */
  readonly ourTypes: ReadonlySet<string>;
  /** Our nodes that are part of the running flows. */
  nodes(): Iterable<{ readonly type: string; readonly name: string; readonly input: Pick<NodeInput, 'holds'> }>;
  /** What a dead letter says of a node. */
  readonly origin: (node: RedNode) => Origin;
}

/**
 * The deliveries of this instance on their way through its flows.
 *
 * Between our nodes a message carries its delivery. One branch is added when Node-RED is about to deliver such a message
 * (the hook `preDeliver`: by then it has been copied), and closed when the node has done with it. What leaves our nodes
 * is tracked (`Tracking`).
 */
export class Deliveries {
  readonly turn = new NextTurn((run) => void setImmediate(run));
  readonly tracking: Tracking;
  /** By the id of the source. They outlive it: counts run from the start of the process. */
  readonly ledgers = new Map<string, Ledger>();
  readonly #loads = new Map<string, Load>();
  readonly #ports: DeliveryPorts;
  readonly #sources = new Map<string, SourceSettings>();
  readonly #lateSenders = new Set<string>();
  #deploying = false;
  /** What is to be done when the flows have started again. */
  #later: (() => void)[] = [];
  /** Above all numbers of earlier processes, unless they began 4,194,304 deliveries a second. */
  readonly #first = Math.floor(Date.now() / 1_000) * 2 ** 22;
  #number = this.#first;
  /** By node and source, the last delivery of an earlier run that was found in the node's spool. */
  readonly #found = new Map<string, number>();

  constructor(ports: DeliveryPorts) {
    this.#ports = ports;
    const { red } = ports;
    this.tracking = new Tracking({
      ...ports,
      turn: this.turn,
      limitMs: (source) => this.#sources.get(source)?.limitMs ?? LIMIT_MS,
      late: (tag, node) => this.#late(tag, node),
    });
    this.#warnOfOthers();
    red.hooks.add('preDeliver.sluice', (event: SendEvent) => this.#beforeDelivery(event));
    red.events.on('flows:stopping', () => (this.#deploying = true));
    red.events.on('flows:started', () => {
      this.#deploying = false;
      const later = this.#later;
      this.#later = [];
      for (const run of later) run();
    });
  }

  /** The ledger of a source, which it keeps over its deploys. */
  ledger(source: string): Ledger {
    let ledger = this.ledgers.get(source);
    if (ledger === undefined) {
      ledger = new Ledger(source, {
        turn: this.turn,
        nextNumber: () => ++this.#number,
        bury: (failure) => this.bury(source, failure),
      });
      this.ledgers.set(source, ledger);
    }
    return ledger;
  }

  /** What holds for what comes in by a source, from now on. */
  configure(source: string, settings: SourceSettings): void {
    this.#sources.set(source, settings);
  }

  /**
   * Hands a message to a node as a delivery of its own. Resolves when it is settled: all that became of it is stored, or is
   * a dead letter.
   */
  replay(source: string, message: Message, node: RedNode): Promise<void> {
    return new Promise((resolve) => {
      const delivery = this.ledger(source).begin(performance.now(), resolve);
      carry(message, delivery);
      node.receive(message);
      delivery.close(source);
    });
  }

  /** Makes a dead letter: where the source keeps them, else in the user folder. */
  bury(source: string, failure: Failure): Promise<'dead-lettered' | 'dropped'> {
    return bury(() => this.#sources.get(source)?.letters ?? this.#ports.lastResort, failure, this.#ports.log);
  }

  /**
   * Counts what an earlier run has left in the spool of a node; once, however often the node is deployed.
   *
   * @param delivery - those of one source come in the order of their numbers
   */
  foundSpooled(node: string, { number, source, records }: DeliveryTag & { readonly records: number }): void {
    if (number >= this.#first) return; // of this run: they have been counted
    const key = `${node} ${source}`;
    if (number <= (this.#found.get(key) ?? 0)) return;
    this.#found.set(key, number);
    this.ledger(source).restore(number, records);
  }

  /**
   * A message has failed in a node. Where a Catch node takes the error, its branch goes on there.
   *
   * @param report - tells Node-RED of the error
   */
  fail({ node, type, origin }: Sender, branches: Branches, message: Message, error: Error, report: () => void): void {
    if (this.tracking.reporting(node.id, report)) branches.close(type);
    else branches.fail({ message, error, origin: origin() });
  }

  /** Sends a message as a delivery of its own, which nobody waits for the answer of. */
  sendOwn(sender: Sender, message: Message, slots: Slots): void {
    const delivery = this.ledger(sender.node.id).begin(performance.now(), () => undefined);
    carry(message, delivery);
    this.send(sender, delivery, slots, (messages) => sender.node.send(messages));
    delivery.close(sender.type);
  }

  /**
   * A message has arrived at one of our nodes.
   *
   * @returns what it is an open branch of: whoever takes it closes it
   */
  arrived(message: Message): Branches | undefined {
    const branches = branchesOf(message);
    if (branches === undefined) return undefined;
    const arriving = (message as Arriving)[ARRIVING] ?? 0;
    if (arriving > 0) (message as Arriving)[ARRIVING] = arriving - 1;
    else if (!branches.add()) {
      carry(message, undefined); // handed to it by another way than a wire, and too late
      return undefined;
    }
    return branches;
  }

  /**
   * Sends what belongs to these branches. While flows are being deployed Node-RED drops what has no node to go to, and
   * says nothing: so it is sent when they have started, by the node that has taken the sender's place.
   */
  send({ node, type, closing, origin }: Sender, branches: Branches, slots: Slots, emit: (slots: Slots) => void): void {
    if (!this.#deploying && !closing.aborted) {
      emit(slots);
      return;
    }
    branches.add();
    this.#whenStarted(() => {
      const successor = this.#ports.red.nodes.getNode(node.id);
      if (successor !== null && successor !== undefined) {
        successor.send(slots);
        branches.close(type);
        return;
      }
      const message = slots.find((slot) => slot !== null) ?? {};
      branches.fail({ message, error: goneError(), origin: origin() });
    });
  }

  /**
   * Gives a message that a node could not finish before it was closed to the node that has taken its place. The branch
   * stays open.
   */
  handOver({ node, origin }: Sender, message: Message, branches: Branches): void {
    this.#whenStarted(() => {
      const successor = this.#ports.red.nodes.getNode(node.id);
      if (successor === null || successor === undefined || !isOurs(successor)) {
        branches.fail({ message, error: goneError(), origin: origin() });
        return;
      }
      (message as Arriving)[ARRIVING] = 1;
      successor.receive(message);
    });
  }

  /** One that is asynchronous, and comes first, takes messages out of the order and the context that they are told by. */
  #warnOfOthers(): void {
    const hooks = ['onSend', 'preRoute', 'preDeliver'].filter((hook) => this.#ports.red.hooks.has(hook));
    if (hooks.length === 0) return;
    const sentence =
      'another plugin has registered hooks before Sluice: if they are asynchronous, deliveries are not followed';
    this.#ports.log('warn', sentence, { hooks: hooks.join(', ') });
  }

  #whenStarted(run: () => void): void {
    if (this.#deploying) this.#later.push(run);
    else setImmediate(run);
  }

  #beforeDelivery(event: SendEvent): void {
    const branches = this.tracking.branchesOf(event);
    if (branches === undefined) return;
    const destination = event.destination.node;
    if (!isOurs(destination)) {
      this.tracking.beforeDelivery(event, branches);
      return;
    }
    branches.add();
    const message = event.msg as Arriving;
    // A copy has taken the number of the message that it was made of.
    message[ARRIVING] = event.cloneMessage ? 1 : (message[ARRIVING] ?? 0) + 1;
  }

  /** What a source has to bear, where it is one that counts that. */
  loadOf(source: string): Load | undefined {
    return this.#loads.get(source);
  }

  #load(source: string): Load {
    let load = this.#loads.get(source);
    if (load === undefined) this.#loads.set(source, (load = new Load(() => performance.now())));
    return load;
  }

  /** The deliveries of one source, as its node uses them. */
  of(source: string): SourceDeliveries {
    const load = (): Load => this.#load(source);
    return {
      get load() {
        return load();
      },
      inFlight: () => this.ledger(source).inFlight,
      drop: (reason) => this.ledger(source).drop(reason),
      abandon: (deliveries) => this.ledger(source).abandon(deliveries),
      late: () => this.ledger(source).late,
      begin: (message, answer) => {
        const delivery = this.ledger(source).begin(performance.now(), answer);
        carry(message, delivery);
        return delivery;
      },
      oldest: () => this.#oldest(this.ledger(source)),
    };
  }

  /** What of this instance adds up. */
  report(): Account & Pick<LedgerReport, 'flows' | 'oldest'> {
    const flows = new Map<string, { readonly name: string; readonly ledgers: Ledger[] }>();
    for (const ledger of this.ledgers.values()) {
      const { id, name } = this.#sources.get(ledger.source)?.flow ?? { id: '', name: '' };
      const flow = flows.get(id);
      if (flow === undefined) flows.set(id, { name, ledgers: [ledger] });
      else flow.ledgers.push(ledger);
    }
    return {
      ...accountOf([...this.ledgers.values()]),
      oldest: [...this.ledgers.values()].flatMap((ledger) => {
        const oldest = this.#oldest(ledger);
        return oldest === undefined ? [] : [{ source: ledger.source, ...oldest }];
      }),
      flows: [...flows].map(([id, { name, ledgers }]) => ({
        id,
        name,
        sources: ledgers.map(({ source }) => source),
        ...accountOf(ledgers),
      })),
    };
  }

  #oldest({ oldest }: Ledger): { seconds: number; holder: string } | undefined {
    if (oldest === undefined) return undefined;
    const { number } = oldest.tag;
    const ours = [...this.#ports.nodes()].find(({ input }) => input.holds(number));
    const other = this.tracking.holderOf(oldest.tag);
    const { type, name } = ours ?? (other === undefined ? NOWHERE : this.#ports.origin(other).node);
    return { seconds: (performance.now() - oldest.openedAt) / 1_000, holder: `${type} "${name}"` };
  }

  /** A node has sent a message of a delivery that was settled: it is outside the guarantee, and somebody should know. */
  #late({ source }: DeliveryTag, node: RedNode): void {
    this.ledger(source).countLate(node.type);
    if (this.#lateSenders.has(node.id)) return;
    this.#lateSenders.add(node.id);
    const { name } = this.#ports.origin(node).node;
    this.#ports.log('warn', 'a node sends messages after it has done with them: they are not waited for', {
      node: name,
      type: node.type,
      id: node.id,
    });
  }
}

function goneError(): NodeError {
  return new NodeError('expected the node that the message was in, got a flow without it', { code: 'node-gone' });
}
