import { setTimeout as delay } from 'node:timers/promises';
import type { InstanceReport } from '../report/instance-report.js';

interface Heard {
  readonly report: InstanceReport;
  /** When it was said, by our clock as far as that is known. Milliseconds since 1970-01-01T00:00Z. */
  readonly at: number;
}

/** A report comes every second: after so long nobody is there who makes them. */
const DEAD_MS = 5_000;
const LOOK_EVERY_MS = 100;

/** What is known of each instance of a fleet: what it said last, and when. */
export class Roster {
  readonly #heard = new Map<number, Heard>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Takes a report, unless it is older than what is known of a slot that lives: one that somebody sends again. (Of one that
   * is dead it may be: its successor may be on a machine whose clock is behind.)
   *
   * @param retained - whether it comes from the broker's memory: then it was said when it says so
   */
  hear(report: InstanceReport, retained = false): void {
    const last = this.#heard.get(report.slot)?.report;
    if (report.state === 'gone') {
      this.#lose(report);
      return;
    }
    if (last !== undefined && report.at < last.at && (retained || this.isLive(report.slot))) return;
    const now = this.#now();
    this.#heard.set(report.slot, { report, at: retained ? Math.min(now, report.at) : now });
  }

  /** The broker has lost its connection, and says so with what it was given when that was made. */
  #lose({ slot, runId }: InstanceReport): void {
    const heard = this.#heard.get(slot);
    if (heard?.report.runId !== runId) return;
    this.#heard.set(slot, { ...heard, report: { ...heard.report, state: 'gone' } });
  }

  /** The slots that anything is known of. */
  get slots(): number[] {
    return [...this.#heard.keys()];
  }

  last(slot: number): InstanceReport | undefined {
    return this.#heard.get(slot)?.report;
  }

  /** Since when nothing was heard of it. Milliseconds since 1970-01-01T00:00Z; undefined where nothing ever was. */
  heardAt(slot: number): number | undefined {
    return this.#heard.get(slot)?.at;
  }

  /** Whether a process holds the slot: it speaks, and has not said that it ends. */
  isLive(slot: number): boolean {
    const heard = this.#heard.get(slot);
    if (heard === undefined || this.#now() - heard.at > DEAD_MS) return false;
    return !['stopped', 'left', 'stranded', 'gone'].includes(heard.report.state);
  }

  /** Whether messages go to it, in flows of the fleet. */
  takesMessages(slot: number): boolean {
    const { state, subscribed, role, flow } = this.last(slot) ?? {};
    return (
      this.isLive(slot) && state === 'running' && subscribed === true && (role === 'editor' || flow?.revision !== 0)
    );
  }

  forget(slot: number): void {
    this.#heard.delete(slot);
  }

  /** Resolves when something holds. @returns whether it did, in time */
  async until(holds: () => boolean, withinMs: number): Promise<boolean> {
    const deadline = this.#now() + withinMs;
    while (!holds()) {
      if (this.#now() > deadline) return false;
      await delay(LOOK_EVERY_MS);
    }
    return true;
  }
}
