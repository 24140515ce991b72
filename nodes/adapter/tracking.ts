import { AsyncLocalStorage } from 'node:async_hooks';
import type { Origin } from '../lib/dead-letter.js';
import type { Branches, Failure, NextTurn } from '../lib/delivery/branches.js';
import { branchesOf, carry } from '../lib/delivery/carried.js';
import type { DeliveryTag } from '../lib/delivery/outcome.js';
import { messageOf, NodeError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { Handovers } from './handovers.js';
import { completesOnReturn, listens } from './node-internals.js';
import { OpenTrials } from './open-trials.js';
import { isOurs } from './part.js';
import type { CompleteEvent, LogEntry, ReceiveEvent, Red, RedNode, SendEvent } from './red.js';
import { SwitchQueues } from './switch-queues.js';
import { isOpen, type Token, Tokens } from './tokens.js';
import { Trial } from './trial.js';

export interface TrackingPorts {
  readonly red: Pick<Red, 'events' | 'hooks' | 'log' | 'nodes' | 'util'>;
  readonly turn: NextTurn;
  /** The types of our nodes. */
  readonly ourTypes: ReadonlySet<string>;
  /** What a dead letter says of a node. */
  readonly origin: (node: RedNode) => Origin;
  /** For how long a node that is not ours may keep a message of a source, in milliseconds. */
  limitMs(source: string): number;
  /** A node has sent a message of a delivery that is settled. */
  late(tag: DeliveryTag, node: RedNode): void;
}

/** Why a node is believed to have failed with a message, until it is known whether a Catch node has it. */
interface Erring {
  readonly id: string;
  handled: boolean;
}

const LABEL = 'sluice-tracking';
const DURING_DEPLOY = 'preRoute.sluice-deploy';
const ATTEMPTS = 3;
/** Between the attempts: three of them within 2 s. */
const PAUSE_MS = [200, 1_000];
/** A node that reported an error may still complete. */
const ERROR_GRACE_MS = 200;
/** What a closed node still has under way. */
const CLOSED_GRACE_MS = 1_000;
const SCAN_MS = 1_000;
/** Of Node-RED's log. */
const ERROR = 20;
const WARN = 30;
const BEFORE = Symbol('sluice.before');

/**
 * Follows deliveries through nodes that are not ours, by Node-RED's hooks. A message is tied to its delivery by what it
 * carries; where a node has lost that, by its `_msgid`; else by the asynchronous context that it is sent in.
 */
export class Tracking {
  readonly #ports: TrackingPorts;
  readonly #context = new AsyncLocalStorage<Token | undefined>();
  readonly #tokens = new Tokens();
  readonly #trials = new OpenTrials();
  readonly #handovers = new Handovers();
  readonly #switches = new SwitchQueues((token) => this.#complete(token, undefined));
  readonly #onLog = { emit: (_event: string, entry: LogEntry) => this.#logged(entry) };
  #erring: Erring | undefined;
  #active = false;
  #stopping = false;
  #waiting: (() => void)[] = [];
  #scan: NodeJS.Timeout | undefined;

  constructor(ports: TrackingPorts) {
    this.#ports = ports;
    const { events } = ports.red;
    events.on('flows:starting', ({ config }: { config?: { flows?: unknown } }) => this.#watch(config?.flows));
    events.on('flows:stopping', () => this.#stop());
    events.on('flows:started', () => this.#started());
  }

  /** The message that has been open longest at a node that is not ours, of those that belong to this source. */
  holderOf(tag: DeliveryTag): RedNode | undefined {
    for (const trial of this.#trials) {
      if (trial.tag !== tag) continue;
      for (const { node } of trial.tokens) return node;
    }
    return undefined;
  }

  /** Of a message that is about to be delivered: what it is a branch of. */
  branchesOf(event: SendEvent): Branches | undefined {
    const { msg, source } = event;
    const carried = branchesOf(msg);
    if (carried?.ended === false) {
      if (this.#active) this.#handovers.sent(source.node, carried);
      return carried;
    }
    if (!this.#active && carried === undefined) return undefined;
    const context = this.#context.getStore()?.trial;
    const found = openOf(carried) ?? this.#trials.byMessageId(msg, context) ?? openOf(context);
    carry(msg, found);
    if (found !== undefined) this.#handovers.sent(source.node, found);
    else this.#late(carried ?? context, source.node);
    return found;
  }

  #late(branches: Branches | undefined, node: RedNode): void {
    if (branches !== undefined) this.#ports.late(branches.tag, node);
  }

  /** A message is about to be delivered to a node that is not ours. */
  beforeDelivery({ msg, destination }: SendEvent, branches: Branches): void {
    if (!this.#active) this.#activate();
    const trial = branches instanceof Trial ? branches : this.#enter(branches, msg, destination.id);
    this.#issue(trial, msg, destination.node);
  }

  /** Reports an error of one of our nodes. @returns whether a Catch node has taken it */
  reporting(id: string, report: () => void): boolean {
    const erring: Erring = { id, handled: false };
    this.#erring = erring;
    report();
    this.#erring = undefined;
    return erring.handled;
  }

  /** Tracking costs: it is there only where flows have nodes that are not ours. */
  #watch(flows: unknown): void {
    const isForeign = (node: unknown): boolean => {
      const { type, wires } = node as { type?: unknown; wires?: unknown };
      return Array.isArray(wires) && typeof type === 'string' && !this.#ports.ourTypes.has(type);
    };
    const wanted = Array.isArray(flows) && flows.some(isForeign);
    if (wanted && !this.#active) this.#activate();
    // What is on its way is followed to its end.
    if (!wanted && this.#active && this.#trials.size === 0) this.#deactivate();
  }

  #activate(): void {
    const { hooks, log } = this.#ports.red;
    this.#active = true;
    hooks.add(`onReceive.${LABEL}`, (event: ReceiveEvent) => this.#onReceive(event));
    hooks.add(`postReceive.${LABEL}`, (event: ReceiveEvent) => this.#afterReceive(event));
    hooks.add(`onComplete.${LABEL}`, (event: CompleteEvent) => this.#onComplete(event));
    log.addHandler(this.#onLog);
  }

  #deactivate(): void {
    this.#active = false;
    this.#ports.red.hooks.remove(`*.${LABEL}`);
    this.#ports.red.log.removeHandler(this.#onLog);
  }

  /** A message leaves our nodes. */
  #enter(parent: Branches, message: Message, destination: string): Trial {
    parent.add();
    return this.#begin(parent, message, destination, 1);
  }

  /** An attempt at a branch, which is open already. */
  #begin(parent: Branches, message: Message, destination: string, attempt: number): Trial {
    // Nodes change the message that they are given: another attempt needs it as it came.
    const entered = this.#copyOf(message);
    const trial = new Trial(
      this.#ports.turn,
      parent,
      { entered, destination, attempt, at: performance.now() },
      { ended: (ended) => this.#ended(ended) },
    );
    this.#trials.add(trial);
    carry(message, trial);
    this.#scan ??= setInterval(() => this.#giveUpLate(), SCAN_MS).unref();
    return trial;
  }

  #copyOf(message: Message): Message {
    try {
      return this.#ports.red.util.cloneMessage(message);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return message; // too deep for the stack, so for whoever else would copy it
    }
  }

  #issue(trial: Trial, message: Message, node: RedNode): Token {
    const token: Token = { trial, node, taken: false };
    trial.add();
    trial.tokens.add(token);
    trial.lastMove = performance.now();
    this.#tokens.add(message, token);
    return token;
  }

  #onReceive(event: ReceiveEvent): void {
    const { node } = event.destination;
    const before = this.#context.getStore();
    (event as { [BEFORE]?: Token | undefined })[BEFORE] = before;
    if (isOurs(node)) {
      // What our nodes send carries what it belongs to; what they begin later is not of this message.
      this.#context.enterWith(undefined);
      return;
    }
    if (node.type === 'catch') this.#caught(event.msg);
    const token = this.#tokens.find(event.msg, node, false) ?? this.#unannounced(event);
    if (token !== undefined) {
      token.taken = true;
      if (SwitchQueues.has(node)) this.#switches.add(event.msg, token);
    }
    this.#context.enterWith(token);
  }

  #afterReceive(event: ReceiveEvent): void {
    const { node } = event.destination;
    this.#context.enterWith((event as { [BEFORE]?: Token | undefined })[BEFORE]);
    if (isOurs(node)) return;
    const listening = listens(node);
    if (listening && !completesOnReturn(node)) return;
    const token = this.#tokens.find(event.msg, node, true);
    if (token === undefined) return;
    if (!listening) this.#notTaken(token);
    else if (!SwitchQueues.has(node)) this.#complete(token, undefined);
  }

  #onComplete({ msg, error, node: { node } }: CompleteEvent): void {
    if (isOurs(node)) return;
    const token = this.#tokens.find(msg, node, true);
    if (token === undefined) return; // not one of ours, or `done` a second time
    if (!this.#isActive(node)) {
      // A close handler lets go of what it has not done, and what a closed node sends goes nowhere.
      this.#interrupt(token);
      return;
    }
    if (error === undefined || error === null) {
      this.#complete(token, undefined);
      return;
    }
    const erring: Erring = { id: node.id, handled: false };
    this.#erring = erring;
    // Catch nodes receive within the call that this is part of.
    queueMicrotask(() => {
      if (this.#erring === erring) this.#erring = undefined;
      this.#complete(token, erring.handled ? undefined : error);
    });
  }

  /** A message that came by no wire: of a Catch, Complete, Status, Link node, or handed over by `receive`. */
  #unannounced({ msg, destination }: ReceiveEvent): Token | undefined {
    const context = this.#context.getStore()?.trial;
    const branches = openOf(branchesOf(msg)) ?? this.#trials.byMessageId(msg, context) ?? openOf(context);
    if (branches === undefined) return undefined;
    const trial = branches instanceof Trial ? branches : this.#enter(branches, msg, destination.id);
    carry(msg, trial);
    return this.#issue(trial, msg, destination.node);
  }

  /** A Catch node receives the error of a node. */
  #caught(message: Message): void {
    const { source } = (message['error'] ?? {}) as { source?: { id?: unknown } };
    if (this.#erring !== undefined && this.#erring.id === source?.id) {
      this.#erring.handled = true;
      return;
    }
    if (typeof source?.id !== 'string') return;
    if (this.#switches.knows(source.id)) {
      const token = this.#switches.take(source.id, message);
      if (token !== undefined) this.#complete(token, undefined);
      return;
    }
    const token = this.#tokenAt(source.id);
    // `node.error` with a message: it may complete all the same, and may not.
    if (token !== undefined) this.#completeSoon(token, undefined);
  }

  /** A node has logged an error that no Catch node took, and has perhaps thrown. */
  #logged({ level, id, msg }: LogEntry): void {
    if ((level !== ERROR && level !== WARN) || id === undefined) return;
    if (this.#switches.knows(id)) {
      // Where it cannot get at the property, it gives the message up with a warning.
      const token = this.#switches.take(id);
      if (token !== undefined) this.#complete(token, msg);
      return;
    }
    const token = level === ERROR ? this.#tokenAt(id) : undefined;
    if (token === undefined) return;
    token.trial.blame(this.#failureOf(token, msg), 'erred');
    this.#completeSoon(token, msg);
  }

  /** What a node is working at, as far as it can be known. */
  #tokenAt(id: string): Token | undefined {
    const token = this.#context.getStore();
    return token?.node.id === id && isOpen(token) ? token : undefined;
  }

  #completeSoon(token: Token, error: unknown): void {
    setTimeout(() => {
      if (isOpen(token)) this.#complete(token, error);
    }, ERROR_GRACE_MS).unref();
  }

  #complete(token: Token, error: unknown): void {
    const { trial, node } = token;
    if (!trial.tokens.delete(token)) return;
    trial.lastMove = performance.now();
    this.#handovers.completed(node, trial);
    if (error === undefined) trial.close(node.type);
    else this.#fail(token, error, 'erred');
  }

  #fail(token: Token, error: unknown, verdict: 'erred' | 'interrupted'): void {
    const failure = this.#failureOf(token, error);
    token.trial.blame(failure, verdict);
    token.trial.fail(failure);
  }

  /** It has come to a node without an input handler. */
  #notTaken(token: Token): void {
    if (!this.#isActive(token.node)) this.#interrupt(token);
    else this.#complete(token, 'the node takes no messages: perhaps its settings are not complete');
  }

  /** A deploy has closed the node that had it. */
  #interrupt(token: Token): void {
    if (!token.trial.tokens.delete(token)) return;
    this.#fail(token, 'the node was closed by a deploy before it had done with the message', 'interrupted');
  }

  #failureOf({ trial, node }: Token, error: unknown): Failure {
    return {
      message: trial.entered,
      error: new NodeError(messageOf(error), { code: 'node-error', cause: error }),
      origin: this.#ports.origin(node),
    };
  }

  #ended(trial: Trial): void {
    this.#trials.delete(trial);
    const { parent, failure, verdict, attempt, followers, fate } = trial;
    for (const follower of followers) {
      if (failure === undefined) {
        follower.close(fate.reason, fate.bucket === 'filtered' ? undefined : fate.bucket, fate.reason);
      } else {
        const own = { ...failure, message: follower.entered };
        follower.blame(own, verdict);
        follower.fail(own);
      }
    }
    if (failure === undefined) parent.release();
    else if (verdict === 'interrupted') setImmediate(() => this.#again(trial, attempt));
    else if (verdict === 'erred' && attempt < ATTEMPTS) {
      setTimeout(() => this.#again(trial, attempt + 1), PAUSE_MS[attempt - 1]);
    } else parent.fail(failure);
  }

  /** Another attempt, with an id of its own: what is left of the one before must not be taken for it. */
  #again(before: Trial, attempt: number): void {
    if (this.#stopping) {
      this.#waiting.push(() => this.#again(before, attempt));
      return;
    }
    const { parent, entered, destination, failure } = before;
    const { red, origin } = this.#ports;
    const node = red.nodes.getNode(destination);
    if (node === null || node === undefined) {
      const error = new NodeError('expected the node that the message was sent to, got a flow without it', {
        code: 'node-gone',
      });
      parent.fail({ message: entered, error, origin: failure?.origin ?? origin({ id: destination } as RedNode) });
      return;
    }
    const message = this.#copyOf(entered);
    message._msgid = red.util.generateId();
    const trial = this.#begin(parent, message, destination, attempt);
    this.#issue(trial, message, node);
    node.receive(message);
  }

  #isActive(node: RedNode): boolean {
    return this.#ports.red.nodes.getNode(node.id) === node;
  }

  #stop(): void {
    this.#stopping = true;
    const { hooks } = this.#ports.red;
    if (!hooks.has(DURING_DEPLOY)) hooks.add(DURING_DEPLOY, (event: SendEvent) => this.#duringDeploy(event));
  }

  /** A node that a deploy leaves as it is may send to one that it makes anew: Node-RED drops that, and says nothing. */
  #duringDeploy(event: SendEvent): void {
    const { source, destination } = event;
    if (!this.#active || isOurs(source.node) || this.#ports.red.nodes.getNode(destination.id)) return;
    const trial = this.branchesOf(event);
    if (trial instanceof Trial) this.#interrupt(this.#issue(trial, event.msg, source.node));
  }

  #started(): void {
    this.#stopping = false;
    this.#ports.red.hooks.remove(DURING_DEPLOY);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
    this.#switches.deployed((node) => this.#isActive(node));
    setTimeout(() => {
      for (const trial of this.#trials) {
        for (const token of trial.tokens) if (!this.#isActive(token.node)) this.#interrupt(token);
      }
    }, CLOSED_GRACE_MS).unref();
  }

  /** Some nodes never say that they have done: nothing may wait for them without end. */
  #giveUpLate(): void {
    const now = performance.now();
    for (const trial of this.#trials) {
      const limitMs = this.#ports.limitMs(trial.tag.source);
      // What one of our nodes has is not late: it waits for a server.
      const [token] = trial.tokens;
      if (token === undefined || trial.open > trial.tokens.size || now - trial.lastMove < limitMs) continue;
      const { name, type, id } = this.#ports.origin(token.node).node;
      const sentence = `expected ${type} "${name}" (${id}) to complete within ${limitMs / 1_000} s, got nothing`;
      trial.giveUp({ ...this.#failureOf(token, sentence), error: new NodeError(sentence, { code: 'not-completed' }) });
      token.node.warn(sentence);
    }
    if (this.#trials.size > 0) return;
    clearInterval(this.#scan);
    this.#scan = undefined;
  }
}

/** These, or the nearest around them that have not ended. */
function openOf(branches: Branches | undefined): Branches | undefined {
  let open = branches;
  while (open?.ended === true && open instanceof Trial) open = open.parent;
  return open?.ended === false ? open : undefined;
}
