import type { Origin } from '../dead-letter.js';
import type { Message } from '../message.js';
import type { DeliveryTag, Outcome } from './outcome.js';

/** Why a branch has failed, with what a dead letter of it needs. */
export interface Failure {
  /** As it entered the node that failed. */
  readonly message: Message;
  readonly error: Error;
  readonly origin: Origin;
}

/** Runs something in a later turn of the event loop: `setImmediate`. */
export type Defer = (run: () => void) => void;

/** The checks that are due in the next turn of the event loop: one timer for all of them. */
export class NextTurn {
  readonly #defer: Defer;
  readonly #runAll = (): void => {
    const due = this.#due;
    this.#due = [];
    for (const branches of due) branches.check();
  };
  #due: Branches[] = [];

  constructor(defer: Defer) {
    this.#defer = defer;
  }

  check(branches: Branches): void {
    this.#due.push(branches);
    if (this.#due.length === 1) this.#defer(this.#runAll);
  }
}

/**
 * Branches of a flow that are counted together: a delivery, or an attempt at a part of one. They end when none is open
 * and none has been opened a turn of the event loop later: Catch and Complete nodes receive after the node before them
 * has completed, and trigger nodes send after it.
 */
export abstract class Branches {
  abstract readonly tag: DeliveryTag;
  /** What messages carry of it. */
  readonly carried = (): this => this;
  readonly #turn: NextTurn;
  #open = 0;
  #checking = false;
  #ended = false;

  constructor(turn: NextTurn) {
    this.#turn = turn;
  }

  /** How many are open. */
  get open(): number {
    return this.#open;
  }

  /** Nothing can be added any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** @returns false when they have ended: what is sent now is sent too late to be waited for */
  add(): boolean {
    if (this.#ended) return false;
    this.#open++;
    return true;
  }

  /** A branch is done: as `note`. */
  close(by: string, outcome?: Outcome, reason?: string): void {
    this.note(by, outcome, reason);
    this.release();
  }

  /** A branch is done, and what became of it has been noted. */
  release(): void {
    if (this.#ended || this.#open === 0) return; // given up before, or closed twice
    this.#open--;
    if (this.#open > 0 || this.#checking) return;
    this.#checking = true;
    this.#turn.check(this);
  }

  /** Ends them when still none is open. For `NextTurn`. */
  check(): void {
    this.#checking = false;
    if (this.#open > 0 || this.#ended) return;
    this.#ended = true;
    this.end();
  }

  /** A branch has failed, for good. */
  fail(failure: Failure): void {
    this.noteFailure(failure);
    this.release();
  }

  /**
   * What became of a message where a branch ends.
   *
   * @param by - the type of the node that it ends at
   * @param reason - for what is not stored; without one it is the node
   */
  abstract note(by: string, outcome?: Outcome, reason?: string): void;
  protected abstract noteFailure(failure: Failure): void;
  /** All have ended. Called once. */
  protected abstract end(): void;

  /** Ends them now, whatever is open: what is still closed of it is not waited for. */
  protected endNow(): void {
    this.#ended = true;
  }
}
