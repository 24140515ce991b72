import { AsyncLocalStorage } from 'node:async_hooks';
import type { Branches } from '../lib/delivery/branches.js';
import { branchesOf, carry } from '../lib/delivery/carried.js';
import type { DeliveryTag } from '../lib/delivery/outcome.js';
import type { Message } from '../lib/message.js';
import { completesOnReturn, listens } from './node-internals.js';
import { isOurs } from './part.js';
import type { CompleteEvent, LogEntry, ReceiveEvent, Red, RedNode, SendEvent } from './red.js';
import { SwitchQueues } from './switch-queues.js';
import { isOpen, type Token } from './tokens.js';
import { Trial } from './trial.js';
import { type TrialPorts, Trials } from './trials.js';

export interface TrackingPorts extends TrialPorts {
  readonly red: Pick<Red, 'events' | 'hooks' | 'log' | 'nodes' | 'util'>;
  /** The types of our nodes. */
  readonly ourTypes: ReadonlySet<string>;
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
/** A node that reported an error may still complete. */
const ERROR_GRACE_MS = 200;
/** What a closed node still has under way. */
const CLOSED_GRACE_MS = 1_000;
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
  readonly #trials: Trials;
  readonly #switches = new SwitchQueues((token) => this.#trials.complete(token));
  readonly #onLog = { emit: (_event: string, entry: LogEntry) => this.#logged(entry) };
  #erring: Erring | undefined;
  /** Sent in a deploy, and not delivered as yet. */
  readonly #undelivered = new Set<SendEvent>();
  #active = false;
  #stopping = false;

  constructor(ports: TrackingPorts) {
    this.#ports = ports;
    this.#trials = new Trials(ports);
    const { events } = ports.red;
    events.on('flows:starting', ({ config }: { config?: { flows?: unknown } }) => this.#watch(config?.flows));
    events.on('flows:stopping', () => this.#stop());
    events.on('flows:started', () => this.#started());
  }

  /** The message that has been open longest at a node that is not ours, of those that belong to this source. */
  holderOf(tag: DeliveryTag): RedNode | undefined {
    for (const trial of this.#trials.open) {
      if (trial.tag !== tag) continue;
      for (const { node } of trial.tokens) return node;
    }
    return undefined;
  }

  /** Of a message that is about to be delivered: what it is a branch of. */
  branchesOf(event: SendEvent): Branches | undefined {
    const { msg, source } = event;
    const carried = branchesOf(msg);
    if (!this.#active && (carried === undefined || !carried.ended)) return carried;
    this.#undelivered.delete(event);
    const branches = this.#openOf(msg);
    if (branches !== carried) carry(msg, branches);
    if (branches instanceof Trial) this.#trials.sent(event, branches);
    else if (branches === undefined) this.#late(carried ?? this.#context.getStore()?.trial, source.node);
    return branches;
  }

  /** Of what is open, what a message belongs to. */
  #openOf(message: Message): Branches | undefined {
    const carried = branchesOf(message);
    if (carried?.ended === false) return carried;
    const context = this.#context.getStore()?.trial;
    return openOf(carried) ?? this.#trials.open.byMessageId(message, context) ?? openOf(context);
  }

  #late(branches: Branches | undefined, node: RedNode): void {
    if (branches !== undefined) this.#ports.late(branches.tag, node);
  }

  /** A message is about to be delivered to a node that is not ours. */
  beforeDelivery({ msg, destination }: SendEvent, branches: Branches): void {
    if (!this.#active) this.#activate();
    const trial = branches instanceof Trial ? branches : this.#trials.enter(branches, msg, destination.id);
    this.#trials.issue(trial, msg, destination.node);
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
    if (!wanted && this.#active && this.#trials.open.size === 0) this.#deactivate();
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
    const token = this.#trials.tokens.find(event.msg, node, false) ?? this.#unannounced(event);
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
    const token = this.#trials.tokens.find(event.msg, node, true);
    if (token === undefined) return;
    if (!listening) this.#notTaken(token);
    else if (!SwitchQueues.has(node)) this.#trials.complete(token);
  }

  #onComplete({ msg, error, node: { node } }: CompleteEvent): void {
    if (isOurs(node)) return;
    const token = this.#trials.tokens.find(msg, node, true);
    if (token === undefined) return; // not one of ours, or `done` a second time
    if (this.#stopping && !this.#isActive(node)) {
      this.#trials.interrupt(token); // a close handler lets go of what it has not done
      return;
    }
    if (error === undefined || error === null) {
      this.#trials.complete(token);
      return;
    }
    const erring: Erring = { id: node.id, handled: false };
    this.#erring = erring;
    // Catch nodes receive within the call that this is part of.
    queueMicrotask(() => {
      if (this.#erring === erring) this.#erring = undefined;
      this.#trials.complete(token, erring.handled ? undefined : error);
    });
  }

  /** A message that came by no wire: of a Catch, Complete, Status, Link node, or handed over by `receive`. */
  #unannounced({ msg, destination }: ReceiveEvent): Token | undefined {
    const branches = this.#openOf(msg);
    if (branches === undefined) return undefined;
    const trial = branches instanceof Trial ? branches : this.#trials.enter(branches, msg, destination.id);
    carry(msg, trial);
    return this.#trials.issue(trial, msg, destination.node);
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
      if (token !== undefined) this.#trials.complete(token);
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
      if (token !== undefined) this.#trials.complete(token, msg);
      return;
    }
    const token = level === ERROR ? this.#tokenAt(id) : undefined;
    if (token === undefined) return;
    this.#trials.blame(token, msg);
    this.#completeSoon(token, msg);
  }

  /** What a node is working at, as far as it can be known. */
  #tokenAt(id: string): Token | undefined {
    const token = this.#context.getStore();
    return token?.node.id === id && isOpen(token) ? token : undefined;
  }

  #completeSoon(token: Token, error: unknown): void {
    setTimeout(() => {
      if (isOpen(token)) this.#trials.complete(token, error);
    }, ERROR_GRACE_MS).unref();
  }

  /** It has come to a node without an input handler. */
  #notTaken(token: Token): void {
    if (!this.#isActive(token.node)) this.#trials.interrupt(token);
    else this.#trials.complete(token, 'the node takes no messages: perhaps its settings are not complete');
  }

  #isActive(node: RedNode): boolean {
    return this.#ports.red.nodes.getNode(node.id) === node;
  }

  #stop(): void {
    this.#stopping = true;
    this.#trials.pause();
    const { hooks } = this.#ports.red;
    if (!hooks.has(DURING_DEPLOY)) hooks.add(DURING_DEPLOY, (event: SendEvent) => this.#duringDeploy(event));
  }

  /** What has no node to go to Node-RED drops, and says nothing: where a node is made anew, or for a node that is closed. */
  #duringDeploy(event: SendEvent): void {
    const { msg, source } = event;
    if (!this.#active || isOurs(source.node) || (!this.#stopping && this.#isActive(source.node))) return;
    const trial = this.#openOf(msg);
    if (!(trial instanceof Trial)) return;
    this.#undelivered.add(event);
    queueMicrotask(() => {
      if (this.#undelivered.delete(event)) this.#trials.interrupt(this.#trials.issue(trial, msg, source.node));
    });
  }

  #started(): void {
    this.#stopping = false;
    this.#trials.resume();
    this.#switches.deployed((node) => this.#isActive(node));
    setTimeout(() => {
      if (!this.#stopping) this.#ports.red.hooks.remove(DURING_DEPLOY);
      for (const trial of this.#trials.open) {
        for (const token of trial.tokens) if (!this.#isActive(token.node)) this.#trials.interrupt(token);
      }
    }, CLOSED_GRACE_MS).unref();
  }
}

/** These, or the nearest around them that have not ended. */
function openOf(branches: Branches | undefined): Branches | undefined {
  let open = branches;
  while (open?.ended === true && open instanceof Trial)
    open = open.parents.find(({ ended }) => !ended) ?? open.parents[0];
  return open?.ended === false ? open : undefined;
}
