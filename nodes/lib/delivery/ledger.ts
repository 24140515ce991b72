import { reasonCode } from '../errors.js';
import type { Failure, NextTurn } from './branches.js';
import { Delivery } from './delivery.js';
import { type Fate, strongest } from './fate.js';
import type { LateOutcome } from './outcome.js';

export interface LedgerPorts {
  readonly turn: NextTurn;
  /** A safe integer that was not given before, also not to an earlier run of the instance. */
  nextNumber(): number;
  /**
   * Keeps a branch that failed as a dead letter. Resolves when that is durable: its delivery is not settled before.
   * Never rejects.
   */
  bury(failure: Failure): Promise<'dead-lettered' | 'dropped'>;
}

/** Deliveries, each counted in one place. `received + spooledAtStart` is the sum of all that follow. */
export interface Conservation {
  readonly received: number;
  readonly spooledAtStart: number;
  readonly inFlight: number;
  readonly spooled: number;
  readonly deadLettered: number;
  readonly dropped: number;
  readonly stored: number;
  /** Ended without a sink. */
  readonly filtered: number;
  /** The connection was lost before the answer: the broker gives them again. */
  readonly abandoned: number;
}

/** What is spooled of a delivery that has ended, where a count is not enough to know what it will become. */
interface Rest {
  records: number;
  fate: Fate;
  /** Whether it stands under `spooled`; an abandoned one does not. */
  readonly counted: boolean;
}

/**
 * What came in by one source, and what became of it: counted from the start of the process, over the deploys of the
 * source.
 */
export class Ledger {
  readonly source: string;
  readonly #ports: LedgerPorts;
  /** By number, the oldest first. */
  readonly #inFlight = new Map<number, Delivery>();
  /** Abandoned, with branches still open. */
  readonly #forgotten = new Map<number, Delivery>();
  readonly #rests = new Map<number, Rest>();
  readonly #reasons = new Map<string, number>();
  readonly #late = new Map<string, number>();
  readonly #totals = { 'dead-lettered': 0, dropped: 0, stored: 0, filtered: 0 };
  #received = 0;
  #spooledAtStart = 0;
  #spooled = 0;
  #abandoned = 0;
  #settled: (() => void)[] = [];

  constructor(source: string, ports: LedgerPorts) {
    this.source = source;
    this.#ports = ports;
  }

  /** Deliveries that are not settled. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** The delivery that has been open longest. */
  get oldest(): Delivery | undefined {
    return this.#inFlight.values().next().value;
  }

  /**
   * Begins a delivery, with one branch open: whoever began it closes that when it has sent.
   *
   * @param answer - called once, when every branch has stored the message, or what failed of it is a dead letter
   */
  begin(openedAt: number, answer: () => void): Delivery {
    this.#received++;
    const tag = { number: this.#ports.nextNumber(), source: this.source };
    const delivery = new Delivery(this.#ports.turn, tag, openedAt, answer, this);
    delivery.add();
    this.#inFlight.set(tag.number, delivery);
    return delivery;
  }

  /** A message that was given up at the door. */
  drop(reason: string): void {
    this.#received++;
    this.#count({ bucket: 'dropped', reason });
  }

  /** The connection that these came by is gone: they are not answered, and will come again. */
  abandon(deliveries: Iterable<Delivery>): void {
    for (const delivery of deliveries) {
      const { number } = delivery.tag;
      if (!this.#inFlight.delete(number)) continue;
      delivery.abandon();
      this.#abandoned++;
      if (!delivery.ended) this.#forgotten.set(number, delivery);
    }
    this.#tellWhenEmpty();
  }

  /** Records of a delivery that an earlier run has left in a spool. */
  restore(number: number, records: number): void {
    const rest = this.#rests.get(number);
    if (rest !== undefined) {
      rest.records += records;
      return;
    }
    this.#spooledAtStart++;
    this.#spooled++;
    this.#rests.set(number, { records, fate: { bucket: 'filtered', reason: 'none' }, counted: true });
  }

  /** A record of a delivery has left a spool. */
  drained(number: number, outcome: LateOutcome, reason: string): void {
    const open = this.#inFlight.get(number) ?? this.#forgotten.get(number);
    if (open !== undefined) {
      open.drained(outcome, reason);
      return;
    }
    const fate = { bucket: outcome, reason };
    const rest = this.#rests.get(number);
    if (rest !== undefined) {
      rest.fate = strongest(rest.fate, fate);
      if (--rest.records > 0) return;
      this.#rests.delete(number);
      if (!rest.counted) return;
    }
    this.#spooled--;
    this.#count(rest?.fate ?? fate);
  }

  /** A message was sent for a delivery that had been settled. @param by - the type of the node that sent it */
  countLate(by: string): void {
    this.#late.set(by, (this.#late.get(by) ?? 0) + 1);
  }

  /** By the type of the node, how many messages were sent too late to be waited for. */
  get late(): ReadonlyMap<string, number> {
    return this.#late;
  }

  /** Resolves when no delivery is in flight. */
  async empty(): Promise<void> {
    if (this.#inFlight.size > 0) await new Promise<void>((resolve) => this.#settled.push(resolve));
  }

  /** By bucket and reason: `{ 'filtered{schema-filter}': 3 }` */
  reasons(): Record<string, number> {
    return Object.fromEntries(this.#reasons);
  }

  report(): Conservation {
    return {
      received: this.#received,
      spooledAtStart: this.#spooledAtStart,
      inFlight: this.#inFlight.size,
      spooled: this.#spooled,
      deadLettered: this.#totals['dead-lettered'],
      dropped: this.#totals.dropped,
      stored: this.#totals.stored,
      filtered: this.#totals.filtered,
      abandoned: this.#abandoned,
    };
  }

  /** Of a delivery, when its last branch has ended. */
  ended(delivery: Delivery, failures: readonly Failure[]): void {
    if (failures.length === 0 || delivery.abandoned) {
      this.#settle(delivery);
      return;
    }
    const buried = failures.map(async (failure) => {
      const bucket = await this.#ports.bury(failure);
      delivery.decide({ bucket, reason: reasonCode(failure.error) });
    });
    void Promise.all(buried).then(() => this.#settle(delivery));
  }

  #settle(delivery: Delivery): void {
    const { fate, spooled } = delivery;
    const { number } = delivery.tag;
    this.#forgotten.delete(number);
    if (!this.#inFlight.delete(number)) {
      // Its records are on their way all the same, and are counted for the one that comes again.
      if (spooled > 0) this.#rests.set(number, { records: spooled, fate, counted: false });
      return;
    }
    if (spooled > 0) {
      this.#spooled++;
      const simple = spooled === 1 && strongest(fate, { bucket: 'stored', reason: '' }).bucket === 'stored';
      if (!simple) this.#rests.set(number, { records: spooled, fate, counted: true });
    } else {
      this.#count(fate);
    }
    delivery.answer();
    this.#tellWhenEmpty();
  }

  #count({ bucket, reason }: Fate): void {
    this.#totals[bucket]++;
    if (bucket === 'stored') return;
    const name = `${bucket}{${reason}}`;
    this.#reasons.set(name, (this.#reasons.get(name) ?? 0) + 1);
  }

  #tellWhenEmpty(): void {
    if (this.#inFlight.size > 0) return;
    const waiting = this.#settled;
    this.#settled = [];
    for (const resolve of waiting) resolve();
  }
}

/** How many deliveries are missing (more came in than can be accounted for), or too many where it is negative; 0: it balances. */
export function gapOf(counts: Conservation): number {
  const { received, spooledAtStart, inFlight, spooled, deadLettered, dropped, stored, filtered, abandoned } = counts;
  return received + spooledAtStart - (inFlight + spooled + deadLettered + dropped + stored + filtered + abandoned);
}
