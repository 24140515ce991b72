import type { FleetOptions } from '../../launcher/instance-protocol.js';

/** Why a flow message was not taken. */
export type Refusal =
  /** Not signed for its place by a holder of the secret, or altered since. */
  | 'forged'
  /** Some of it is missing, or it is longer or shorter than its manifest says. */
  | 'truncated'
  /** Its revision is not greater than that of what runs. */
  | 'older'
  /** Another one has the same revision. */
  | 'conflict'
  /** It did not start here: the worker has gone back to the last good one. */
  | 'not-started'
  /** It names an address that cannot be reached from this machine. */
  | 'unreachable';

/** Which flows a member runs. */
export interface FlowState {
  /** Of the flows that run; 0: none of the fleet yet. */
  readonly revision: number;
  /** The greatest one that was seen, and verified. */
  readonly wanted: number;
  /** Who deployed what runs, and when (ISO 8601). */
  readonly author?: string;
  readonly time?: string;
  /** One sentence: why what is wanted does not run, or why nothing can be heard. */
  readonly problem?: string;
  /** How many flow messages were refused since the start of the process. */
  readonly refused: Readonly<Partial<Record<Refusal, number>>>;
}

/** A revision of the fleet's flows, as `sluice fleet history` lists it. */
export interface FlowRevision {
  readonly revision: number;
  readonly author: string;
  /** ISO 8601. */
  readonly time: string;
  readonly nodes: number;
  /** What it takes to publish, and in how many messages. */
  readonly bytes: number;
  readonly chunks: number;
  /** The revision that this one has brought back. */
  readonly rollbackOf?: number;
}

/** The fleet's side of an instance process: its MQTT client, and where its flows come from or go to. */
export interface FleetMember {
  /** What Node-RED must be started with, beside the settings of every instance. */
  readonly settings: Readonly<Record<string, unknown>>;
  /**
   * Once Node-RED has started: an editor publishes, a worker gets its flows and starts them.
   *
   * @returns what keeps flows from running, or from being heard of; undefined when all is well. Never rejects for a broker
   *   that is away: what was last good runs, and the rest comes later.
   */
  run(): Promise<string | undefined>;
  /** What the broker publishes, signed, when it loses this process. Before `run`. */
  will(topic: string, body: Uint8Array): void;
  /** Publishes, signed, at QoS 1. While the broker is away only the newest of each topic is kept. */
  publish(topic: string, body: Uint8Array, options?: { readonly retain?: boolean }): void;
  flowState(): FlowState;
  /** The last 50 revisions, the newest first. Only the editor instance has them. */
  history(): readonly FlowRevision[];
  /**
   * Brings the flows of a revision back, as a new one; the editor shows them.
   *
   * @param author - who asked for it
   * @returns the new revision
   * @throws UserError for a revision that is not in the history, or on a worker
   */
  rollback(revision: number, author: string): Promise<number>;
  /** Takes no flows from now on, and publishes none: before a drain. What is there goes on, the connection too. */
  pause(): void;
  /** Closes the connection, when what is on its way has been answered, bounded. */
  stop(): Promise<void>;
}

/**
 * Makes an instance process a member of a fleet. Called before Node-RED is initialised, which must have its `settings`.
 *
 * @param userDir - keeps the last good flows (a worker), or the history (the editor)
 * @throws UserError for a broker's address that is none
 */
export type StartFleetMember = (fleet: FleetOptions, userDir: string) => FleetMember;
