import type { Origin } from '../lib/dead-letter.js';
import type { Branches, Failure, NextTurn } from '../lib/delivery/branches.js';
import { carry } from '../lib/delivery/carried.js';
import { messageOf, NodeError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { copyMessage } from './copy-message.js';
import { type Handover, Handovers } from './handovers.js';
import { OpenTrials } from './open-trials.js';
import type { Red, RedNode, SendEvent } from './red.js';
import { type Token, Tokens } from './tokens.js';
import { type Entry, Trial, type Verdict } from './trial.js';

export interface TrialPorts {
  readonly red: Pick<Red, 'nodes' | 'util'>;
  readonly turn: NextTurn;
  /** What a dead letter says of a node. */
  readonly origin: (node: RedNode) => Origin;
  /** For how long a node that is not ours may keep a message of a source, in milliseconds. */
  limitMs(source: string): number;
}

const ATTEMPTS = 3;
/** Between the attempts: three of them within 2 s. */
const PAUSE_MS = [200, 1_000];
const SCAN_MS = 1_000;

/** What is attempted at nodes that are not ours: begun, followed by its tokens, ended, attempted again. */
export class Trials {
  readonly open = new OpenTrials();
  readonly tokens = new Tokens();
  readonly #ports: TrialPorts;
  readonly #handovers = new Handovers((handover) => this.#join(handover));
  #paused = false;
  #waiting: (() => void)[] = [];
  #scan: NodeJS.Timeout | undefined;

  constructor(ports: TrialPorts) {
    this.#ports = ports;
  }

  /** A message leaves our nodes. */
  enter(parent: Branches, message: Message, destination: string): Trial {
    parent.add();
    return this.#attempt(parent, message, destination, 1);
  }

  /** A message is on its way to a node that is not ours. */
  issue(trial: Trial, message: Message, node: RedNode): Token {
    const token: Token = { trial, node, taken: false };
    trial.add();
    trial.tokens.add(token);
    trial.lastMove = performance.now();
    this.tokens.add(message, token);
    return token;
  }

  /** A node has sent what belongs to a trial. */
  sent(event: SendEvent, trial: Trial): void {
    this.#handovers.sent(event, trial);
  }

  /** A node has done with a message. @param error - why it has failed */
  complete(token: Token, error?: unknown): void {
    const { trial, node } = token;
    if (!trial.tokens.delete(token)) return;
    trial.lastMove = performance.now();
    this.#handovers.completed(node, trial);
    if (error === undefined) trial.close(node.type);
    else this.#fail(token, error, 'erred');
  }

  /** A deploy has closed the node that had it. */
  interrupt(token: Token): void {
    if (!token.trial.tokens.delete(token)) return;
    this.#fail(token, 'the node was closed by a deploy before it had done with the message', 'interrupted');
  }

  /** It will have failed when it completes. */
  blame(token: Token, error: unknown): void {
    token.trial.blame(this.#failureOf(token, error), 'erred');
  }

  /** Nothing is attempted while flows are deployed. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }

  #fail(token: Token, error: unknown, verdict: Verdict): void {
    const failure = this.#failureOf(token, error);
    token.trial.blame(failure, verdict);
    token.trial.fail(failure);
  }

  #failureOf({ trial, node }: Token, error: unknown, code = 'node-error'): Failure {
    return { ...this.#place(trial, node), error: this.#errorAt(trial, node, error, code) };
  }

  /** A letter is given back to the node that its message entered: where several follow each other, the first of them. */
  #place({ entry }: Trial, node: RedNode): Pick<Failure, 'message' | 'origin'> {
    const entered = entry.attempt === undefined ? node : this.#ports.red.nodes.getNode(entry.attempt.destination);
    return { message: entry.message, origin: this.#ports.origin(entered ?? node) };
  }

  #errorAt({ entry }: Trial, node: RedNode, cause: unknown, code: string): NodeError {
    const { type, name, id } = this.#ports.origin(node).node;
    const where = entry.attempt?.destination === id ? '' : `in ${type} "${name}" (${id}): `;
    return new NodeError(`${where}${messageOf(cause)}`, { code, cause });
  }

  /** An attempt at a branch, which is open already. */
  #attempt(parent: Branches, message: Message, destination: string, number: number): Trial {
    // Nodes change the message that they are given: another attempt needs it as it came.
    const entry = {
      message: copyMessage(this.#ports.red, message),
      attempt: { destination, number },
      at: performance.now(),
    };
    const trial = this.#begin([parent], entry);
    carry(message, trial);
    return trial;
  }

  #begin(parents: readonly [Branches, ...Trial[]], entry: Entry): Trial {
    const trial = new Trial(this.#ports.turn, parents, entry, { ended: (ended) => this.#ended(ended) });
    this.open.add(trial);
    this.#scan ??= setInterval(() => this.#giveUpLate(), SCAN_MS).unref();
    return trial;
  }

  /** What a node has sent for several messages becomes a branch of each. */
  #join({ carrier, sent, others }: Handover): void {
    const [first] = sent;
    if (first === undefined || !carrier.add()) return;
    const parents = [carrier, ...others.filter((other) => other.add())] as const;
    const joint = this.#begin(parents, { message: first.msg, at: performance.now() });
    for (const { msg, destination } of sent) {
      joint.add();
      const token = this.tokens.find(msg, destination.node, false);
      if (token?.trial === carrier) {
        carrier.tokens.delete(token);
        token.trial = joint;
        joint.tokens.add(token);
      }
      carrier.release();
      carry(msg, joint);
    }
  }

  #ended(trial: Trial): void {
    this.open.delete(trial);
    const { parents, entry, failure, verdict, fate } = trial;
    const [first, ...others] = parents;
    if (failure === undefined) {
      first.release();
      for (const other of others) {
        other.close(fate.reason, fate.bucket === 'filtered' ? undefined : fate.bucket, fate.reason);
      }
    } else if (entry.attempt === undefined) {
      for (const parent of parents) this.#pass(failure, verdict, parent);
    } else if (verdict === 'interrupted') {
      setImmediate(() => this.#again(trial, 0));
    } else if (verdict === 'erred' && entry.attempt.number < ATTEMPTS) {
      setTimeout(() => this.#again(trial, 1), PAUSE_MS[entry.attempt.number - 1]);
    } else {
      first.fail(failure);
    }
  }

  /** What was made of several messages has failed: so has each of them, and each may be attempted again. */
  #pass(failure: Failure, verdict: Verdict, parent: Branches): void {
    if (!(parent instanceof Trial)) return;
    const destination = parent.entry.attempt?.destination;
    const node = destination === undefined ? undefined : this.#ports.red.nodes.getNode(destination);
    const origin = node === null || node === undefined ? failure.origin : this.#ports.origin(node);
    const own = { ...failure, message: parent.entry.message, origin };
    parent.blame(own, verdict);
    parent.fail(own);
  }

  /** Another attempt, with an id of its own: what is left of the one before must not be taken for it. */
  #again(before: Trial, counted: 0 | 1): void {
    if (this.#paused) {
      this.#waiting.push(() => this.#again(before, counted));
      return;
    }
    const { parents, entry, failure } = before;
    const { destination = '', number = 1 } = entry.attempt ?? {};
    const { red, origin } = this.#ports;
    const node = red.nodes.getNode(destination);
    if (node === null || node === undefined) {
      const error = new NodeError('expected the node that the message was sent to, got a flow without it', {
        code: 'node-gone',
      });
      parents[0].fail({
        message: entry.message,
        error,
        origin: failure?.origin ?? origin({ id: destination } as RedNode),
      });
      return;
    }
    const message = copyMessage(this.#ports.red, entry.message);
    message._msgid = red.util.generateId();
    const trial = this.#attempt(parents[0], message, destination, number + counted);
    this.issue(trial, message, node);
    node.receive(message);
  }

  /** Some nodes never say that they have done: nothing may wait for them without end. */
  #giveUpLate(): void {
    const now = performance.now();
    for (const trial of this.open) {
      const limitMs = this.#ports.limitMs(trial.tag.source);
      // What one of our nodes has is not late: it waits for a server.
      const [token] = trial.tokens;
      if (token === undefined || trial.open > trial.tokens.size || now - trial.lastMove < limitMs) continue;
      const { name, type, id } = this.#ports.origin(token.node).node;
      const sentence = `expected ${type} "${name}" (${id}) to complete within ${limitMs / 1_000} s, got nothing`;
      trial.giveUp(this.#failureOf(token, sentence, 'not-completed'));
      token.node.warn(sentence);
    }
    if (this.open.size > 0) return;
    clearInterval(this.#scan);
    this.#scan = undefined;
  }
}
