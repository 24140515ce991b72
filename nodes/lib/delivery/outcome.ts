/**
 * What became of a message where a branch ends. `stored`: it is durable where it should be; `spooled`: it is durable on
 * this machine's disk, on its way there; `dead-lettered`: it is kept with the reason why nothing took it; `dropped`: it
 * was given up on purpose, with a counter and a reason.
 */
export type Outcome = 'stored' | 'spooled' | 'dead-lettered' | 'dropped';

/** An outcome with what it is put down to; without a reason it is the node. */
export interface Ending {
  readonly outcome: Outcome;
  readonly reason: string;
}

/** What becomes of what was spooled, when it leaves the spool. */
export type LateOutcome = Exclude<Outcome, 'spooled'>;

/** Which delivery a message belongs to, for what outlives the process: a record in a spool carries it. */
export interface DeliveryTag {
  /** A safe integer, unique in this instance, also over its restarts. */
  readonly number: number;
  /** The id of the node that the delivery came in by. */
  readonly source: string;
}
