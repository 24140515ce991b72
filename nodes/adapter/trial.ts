import { Branches, type Failure, type NextTurn } from '../lib/delivery/branches.js';
import { type Fate, strongest } from '../lib/delivery/fate.js';
import type { DeliveryTag, Outcome } from '../lib/delivery/outcome.js';
import type { Message } from '../lib/message.js';
import type { RedNode } from './red.js';

/** A message at a node that is not ours: on its way to it, or taken and not completed. */
export interface Token {
  readonly trial: Trial;
  readonly node: RedNode;
  taken: boolean;
}

export interface TrialEvents {
  /** Every branch of the attempt has ended. */
  ended(trial: Trial): void;
}

/**
 * One branch of a delivery where it leaves our nodes, with all that becomes of it: what a node that is not ours sends is
 * known by this only. It is attempted as a whole, and again as a whole.
 */
export class Trial extends Branches {
  readonly parent: Branches;
  /** The message as it entered the first of the nodes that are not ours. */
  readonly entered: Message;
  readonly destination: string;
  readonly attempt: number;
  /** At nodes that are not ours. */
  readonly tokens = new Set<Token>();
  /** Branches of others that wait for this one: what a join node has made of several messages. */
  readonly followers: Branches[] = [];
  failure: Failure | undefined;
  /** Whether it failed because a deploy has closed a node under it: that says nothing against the message. */
  interrupted = false;
  /** Whether a node has kept it for longer than its source allows: it is not attempted again. */
  expired = false;
  /** Of the last thing that happened in it, in milliseconds of the monotonic clock. */
  lastMove: number;
  readonly #events: TrialEvents;
  #fate: Fate = { bucket: 'filtered', reason: 'none' };

  constructor(
    turn: NextTurn,
    parent: Branches,
    first: { readonly entered: Message; readonly destination: string; readonly attempt: number; readonly at: number },
    events: TrialEvents,
  ) {
    super(turn);
    this.parent = parent;
    this.entered = first.entered;
    this.destination = first.destination;
    this.attempt = first.attempt;
    this.lastMove = first.at;
    this.#events = events;
  }

  /** What became of the message. */
  get fate(): Fate {
    return this.#fate;
  }

  get tag(): DeliveryTag {
    return this.parent.tag;
  }

  /** Gives it up: what is still open of it is not waited for. */
  giveUp(failure: Failure): void {
    if (this.ended) return;
    this.failure = failure;
    this.endNow();
    this.end();
  }

  note(by: string, outcome?: Outcome, reason?: string): void {
    this.parent.note(by, outcome, reason);
    // For those that wait for it: what is spooled is durable, and only the delivery that it carries hears of it again.
    const bucket = outcome === 'spooled' ? 'stored' : (outcome ?? 'filtered');
    this.#fate = strongest(this.#fate, { bucket, reason: reason ?? by });
  }

  protected noteFailure(failure: Failure): void {
    this.failure ??= failure;
  }

  protected end(): void {
    this.#events.ended(this);
  }
}
