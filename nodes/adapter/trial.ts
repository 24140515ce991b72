import { Branches, type Failure, type NextTurn } from '../lib/delivery/branches.js';
import { type Fate, strongest } from '../lib/delivery/fate.js';
import type { DeliveryTag, Outcome } from '../lib/delivery/outcome.js';
import type { Message } from '../lib/message.js';
import type { Token } from './tokens.js';

export interface TrialEvents {
  /** Every branch of the attempt has ended. */
  ended(trial: Trial): void;
}

/**
 * What a failed attempt says. `interrupted`: nothing against the message, a deploy has closed a node under it; it is
 * attempted when the flows have started. `erred`: a node that is not ours failed; it is attempted again, a few times.
 * `final`: one of our nodes has made its own attempts, or a node has kept it for longer than its source allows.
 */
export type Verdict = 'final' | 'erred' | 'interrupted';
const VERDICTS: readonly Verdict[] = ['final', 'erred', 'interrupted'];

/** How a trial began. */
export interface Entry {
  /**
   * The message: as it entered the first of the nodes that are not ours, or, where a node has made it of several, as it
   * was sent.
   */
  readonly message: Message;
  /** Where it can be attempted again: to which node, by its id, and the how manieth attempt this is. */
  readonly attempt?: { readonly destination: string; readonly number: number };
  /** In milliseconds of the monotonic clock. */
  readonly at: number;
}

/**
 * One branch of a delivery where it leaves our nodes, with all that becomes of it: what a node that is not ours sends is
 * known by this only. It is attempted as a whole, and again as a whole. What a node has made of several messages is a
 * branch of each of theirs.
 */
export class Trial extends Branches {
  /** What it is a branch of: of the first, and of all others alike. */
  readonly parents: readonly [Branches, ...Trial[]];
  readonly entry: Entry;
  /** At nodes that are not ours. */
  readonly tokens = new Set<Token>();
  /** Of the last thing that happened in it, in milliseconds of the monotonic clock. */
  lastMove: number;
  readonly #events: TrialEvents;
  #failure: Failure | undefined;
  #verdict: Verdict = 'final';
  #fate: Fate = { bucket: 'filtered', reason: 'none' };

  /** @param parents - each with a branch open for this */
  constructor(turn: NextTurn, parents: readonly [Branches, ...Trial[]], entry: Entry, events: TrialEvents) {
    super(turn);
    this.parents = parents;
    this.entry = entry;
    this.lastMove = entry.at;
    this.#events = events;
  }

  /** What became of the message. */
  get fate(): Fate {
    return this.#fate;
  }

  get tag(): DeliveryTag {
    return this.parents[0].tag;
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** It will have failed, whatever still becomes of its branches. Of several verdicts the one that gives it most holds. */
  blame(failure: Failure, verdict: Verdict): void {
    this.#failure ??= failure;
    if (VERDICTS.indexOf(verdict) > VERDICTS.indexOf(this.#verdict)) this.#verdict = verdict;
  }

  /** Gives it up: what is still open of it is not waited for. */
  giveUp(failure: Failure): void {
    if (this.ended) return;
    this.#failure = failure;
    this.#verdict = 'final';
    this.endNow();
    this.end();
  }

  note(by: string, outcome?: Outcome, reason?: string): void {
    this.parents[0].note(by, outcome, reason);
    if (outcome === undefined) {
      if (this.#fate.bucket === 'filtered') this.#fate = { bucket: 'filtered', reason: by };
      return;
    }
    // For the others: what is spooled is durable, and only the delivery that it carries hears of it again.
    const bucket = outcome === 'spooled' ? 'stored' : outcome;
    this.#fate = strongest(this.#fate, { bucket, reason: reason ?? by });
  }

  protected noteFailure(failure: Failure): void {
    this.blame(failure, 'final');
  }

  protected end(): void {
    this.#events.ended(this);
  }
}
