import { Branches, type Failure, type NextTurn } from './branches.js';
import { type Fate, strongest } from './fate.js';
import type { DeliveryTag, LateOutcome, Outcome } from './outcome.js';

/** What a delivery tells the ledger that it stands in. */
export interface DeliveryEvents {
  /** Every branch has ended. `failures`: of those that failed. */
  ended(delivery: Delivery, failures: readonly Failure[]): void;
}

const NONE: readonly Failure[] = [];
const STORED: Fate = { bucket: 'stored', reason: 'sink' };

/** One message that arrived at the edge of a flow and must be answered. */
export class Delivery extends Branches {
  readonly tag: DeliveryTag;
  /** In milliseconds, by the clock of whoever began it. */
  readonly openedAt: number;
  /** Called once, when it is settled. Not for one that was abandoned. */
  readonly answer: () => void;
  readonly #events: DeliveryEvents;
  #failures: Failure[] | undefined;
  /** None while no branch has ended at a sink. */
  #fate: Fate | undefined;
  /** The type of the node that the last branch has ended at. */
  #last = 'none';
  #spooled = 0;
  #abandoned = false;

  constructor(turn: NextTurn, tag: DeliveryTag, openedAt: number, answer: () => void, events: DeliveryEvents) {
    super(turn);
    this.tag = tag;
    this.openedAt = openedAt;
    this.answer = answer;
    this.#events = events;
  }

  /** What became of it, as far as it is known. A record in a spool may still change it. */
  get fate(): Fate {
    return this.#fate ?? { bucket: 'filtered', reason: this.#last };
  }

  /** Of its branches, how many are in a spool. */
  get spooled(): number {
    return this.#spooled;
  }

  /** Nobody waits for the answer any more: the broker gives it again. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  abandon(): void {
    this.#abandoned = true;
  }

  /** One of its records has left a spool. */
  drained(outcome: LateOutcome, reason: string): void {
    this.#spooled--;
    this.decide({ bucket: outcome, reason });
  }

  decide(fate: Fate): void {
    this.#fate = this.#fate === undefined ? fate : strongest(this.#fate, fate);
  }

  note(by: string, outcome?: Outcome, reason?: string): void {
    if (outcome === undefined) this.#last = by;
    else if (outcome === 'spooled') this.#spooled++;
    else this.decide(outcome === 'stored' ? STORED : { bucket: outcome, reason: reason ?? by });
  }

  protected noteFailure(failure: Failure): void {
    (this.#failures ??= []).push(failure);
  }

  protected end(): void {
    this.#events.ended(this, this.#failures ?? NONE);
  }
}
