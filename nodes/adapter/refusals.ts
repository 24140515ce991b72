import type { Counters } from '../lib/counters.js';
import { deadLetter, type DeadLetters, type Origin, reasonOf } from '../lib/dead-letter.js';
import { messageOf, reasonCode, RejectedError, UnavailableError } from '../lib/errors.js';
import type { Message, Rejection } from '../lib/message.js';
import { copyMessage } from './copy-message.js';
import type { Log, Send } from './define-node.js';
import type { Red, RedNode } from './red.js';

export interface RefusalPorts {
  readonly red: Red;
  readonly node: RedNode;
  readonly counters: Counters;
  readonly log: Log;
  /** What a dead letter says of where it comes from. */
  readonly origin: () => Origin;
}

/** Where a node's settings send what it does not take. */
export interface RefusalPlaces {
  readonly rejectedOutput?: number | undefined;
  readonly deadLetters?: DeadLetters | undefined;
}

/** What has become of a message that a node does not take. Neither: the rejected output has it. */
export interface RefusalEnd {
  /** The reason, where it is a dead letter. */
  readonly buried?: string;
  /** Nobody has it. */
  readonly failure?: Error;
}

/** What becomes of a message that a node does not take: the rejected output, else the dead letters, else nobody has it. */
export class Refusals {
  readonly #ports: RefusalPorts;
  readonly #places: RefusalPlaces;

  constructor(ports: RefusalPorts, places: RefusalPlaces) {
    this.#ports = ports;
    this.#places = places;
  }

  /** @param settled - called once */
  giveUp(message: Message, error: unknown, send: Send, settled: (end: RefusalEnd) => void): void {
    const { counters, log } = this.#ports;
    const cause = error instanceof Error ? error : new Error(String(error));
    if (cause instanceof RejectedError) {
      counters.add('rejected', 1, cause.code);
      if (this.#sendOn(message, cause, send)) {
        settled({});
        return;
      }
    } else {
      counters.add('failed', 1, reasonCode(cause));
    }
    const { deadLetters } = this.#places;
    // A server that is away says nothing against the message.
    if (deadLetters === undefined || cause instanceof UnavailableError) {
      settled({ failure: cause });
      return;
    }
    this.#bury(deadLetters, message, cause).then(
      () => settled({ buried: reasonCode(cause) }),
      (problem: unknown) => {
        log('error', 'a dead letter could not be kept', { reason: messageOf(problem) });
        settled({ failure: cause });
      },
    );
  }

  /** @returns whether anything is wired to take it */
  #sendOn(message: Message, error: RejectedError, send: Send): boolean {
    const { node } = this.#ports;
    const { rejectedOutput } = this.#places;
    if (rejectedOutput === undefined || (node.wires[rejectedOutput]?.length ?? 0) === 0) return false;
    // A copy: the message may be on its way by other outputs, and Node-RED copies within one send only.
    send(
      { ...copyMessage(this.#ports.red, message), rejection: rejectionOf(error, this.#ports.origin().node) },
      rejectedOutput,
    );
    return true;
  }

  async #bury(deadLetters: DeadLetters, message: Message, cause: Error): Promise<void> {
    await deadLetters.keep(deadLetter(message, reasonOf(cause), this.#ports.origin(), Date.now()));
    this.#ports.counters.add('dead-lettered', 1, reasonCode(cause));
  }
}

/** What leaves a rejected output as `msg.rejection`. */
function rejectionOf(error: RejectedError, node: Rejection['node']): Rejection {
  return { ...error.details, code: error.code, message: error.message, node };
}
