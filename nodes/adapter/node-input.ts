import type { Counters } from '../lib/counters.js';
import type { Branches } from '../lib/delivery/branches.js';
import { carry } from '../lib/delivery/carried.js';
import type { Ending, Outcome } from '../lib/delivery/outcome.js';
import { ConfigError, messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { Behaviour, Log, Send } from './define-node.js';
import type { Deliveries, Sender } from './deliveries.js';
import type { InputHandler } from './red.js';
import type { RefusalEnd, Refusals } from './refusals.js';
import { pause } from './waiting.js';

type Slots = (Message | null)[];

export interface InputPorts extends Sender {
  readonly counters: Counters;
  readonly log: Log;
  readonly deliveries: Deliveries;
  readonly refusals: Refusals;
  readonly behaviour: Behaviour | undefined;
  /** Why the node cannot work, when its settings are wrong. */
  readonly problem: ConfigError | undefined;
}

/** One message in the node. */
interface Job {
  readonly message: Message;
  /** What it is a branch of; nothing waits for it where there are none. */
  readonly branches: Branches | undefined;
  readonly send: Send;
  readonly done: (error?: Error) => void;
  attempts: number;
  outages: number;
}

/** Of an error that says neither that the server is away nor that the message is wrong: attempts, within 2 s. */
const ATTEMPTS = 3;
const ERROR_PACE = { initialMs: 400, maximumMs: 1_200 };
const OUTAGE_PACE = { initialMs: 100, maximumMs: 5_000 };

/**
 * The input of a node: each message is given to the behaviour, again where that may help, and completed once. One that
 * nothing waits for (of an inject node) is given once.
 */
export class NodeInput {
  readonly #ports: InputPorts;
  readonly #held = new Set<Job>();
  #open = 0;

  constructor(ports: InputPorts) {
    this.#ports = ports;
  }

  /** How many messages it has been given and has not completed. */
  get open(): number {
    return this.#open;
  }

  /** Whether a message of this delivery is in the node. */
  holds(number: number): boolean {
    for (const { branches } of this.#held) if (branches?.tag.number === number) return true;
    return false;
  }

  readonly receive: InputHandler = (message, emit, done) => {
    this.#open++;
    const { counters, deliveries } = this.#ports;
    counters.add('received');
    const branches = deliveries.arrived(message);
    this.#attempt({ message, branches, send: this.#outlet(branches, emit), done, attempts: 1, outages: 0 });
  };

  #outlet(branches: Branches | undefined, emit: (slots: Slots) => void): Send {
    return (message, ...outputs) => {
      carry(message, branches);
      const slots = slotsOf(message, outputs);
      if (branches === undefined) emit(slots);
      else this.#ports.deliveries.send(this.#ports, branches, slots, emit);
    };
  }

  #attempt(job: Job): void {
    const { behaviour, problem } = this.#ports;
    let pending: Outcome | Ending | void | Promise<Outcome | Ending | void>;
    try {
      if (problem !== undefined) throw problem;
      pending = behaviour?.input?.(job.message, job.send);
    } catch (error) {
      this.#failed(job, error);
      return;
    }
    if (!(pending instanceof Promise)) {
      this.#complete(job, pending ?? undefined);
      return;
    }
    this.#held.add(job);
    pending.then(
      (outcome) => this.#complete(job, outcome ?? undefined),
      (error: unknown) => this.#failed(job, error),
    );
  }

  #failed(job: Job, error: unknown): void {
    if (job.branches === undefined || error instanceof RejectedError || error instanceof ConfigError) {
      this.#giveUp(job, error);
    } else if (error instanceof UnavailableError) {
      this.#again(job, job.outages++, OUTAGE_PACE);
    } else if (job.attempts < ATTEMPTS) {
      this.#again(job, job.attempts++ - 1, ERROR_PACE);
    } else {
      this.#giveUp(job, error);
    }
  }

  #again(job: Job, attempt: number, pace: { readonly initialMs: number; readonly maximumMs: number }): void {
    const { closing, counters } = this.#ports;
    this.#held.add(job);
    counters.add('reattempted');
    void pause(attempt, pace, closing).then(() => {
      if (closing.aborted) this.#handOver(job);
      else this.#attempt(job);
    });
  }

  /** The node closes: whoever takes its place gets the message. It has not been completed here. */
  #handOver(job: Job): void {
    this.#leave(job);
    if (job.branches !== undefined) this.#ports.deliveries.handOver(this.#ports, job.message, job.branches);
  }

  #giveUp(job: Job, error: unknown): void {
    this.#held.add(job);
    this.#ports.refusals.giveUp(job.message, error, job.send, (end) => this.#refused(job, end));
  }

  #refused(job: Job, { buried, failure }: RefusalEnd): void {
    if (failure !== undefined) this.#fail(job, failure);
    else this.#complete(job, buried === undefined ? undefined : { outcome: 'dead-lettered', reason: buried });
  }

  #complete(job: Job, end: Outcome | Ending | undefined): void {
    this.#leave(job);
    this.#report(job);
    if (typeof end === 'object') job.branches?.close(this.#ports.type, end.outcome, end.reason);
    else job.branches?.close(this.#ports.type, end);
  }

  #fail(job: Job, error: Error): void {
    const { branches, message } = job;
    const report = (): void => this.#report(job, error);
    this.#leave(job);
    if (branches === undefined) report();
    else this.#ports.deliveries.fail(this.#ports, branches, message, error, report);
  }

  #leave(job: Job): void {
    this.#open--;
    this.#held.delete(job);
  }

  #report({ done }: Job, error?: Error): void {
    try {
      done(error);
    } catch (cause) {
      // Node-RED copies what has failed for each Catch node, and thrown on from here this would end the process.
      const fields = { error: error?.message ?? 'none', reason: messageOf(cause) };
      this.#ports.log('error', 'could not report what became of a message', fields);
    }
  }
}

const FIRST: readonly number[] = [0];

/** For Node-RED's `send`: one message for one output or several. */
export function slotsOf(message: Message, outputs: readonly number[]): Slots {
  const slots: Slots = [];
  for (const output of outputs.length === 0 ? FIRST : outputs) {
    while (slots.length < output) slots.push(null);
    slots[output] = message;
  }
  return slots;
}
