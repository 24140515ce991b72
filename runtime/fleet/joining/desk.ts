import type { JoinAnswer, JoinRequest } from './request.js';
import type { Roster } from '../launcher/roster.js';
import type { SlotTable } from '../slots/table.js';

/** Requests that were answered are known, so that one that is sent again is nothing. */
const MOST_NONCES = 1_000;

/** Gives slots to workers that join: the one that a worker had, else the lowest that nobody holds. */
export class JoinDesk {
  readonly #table: SlotTable;
  readonly #roster: Roster;
  readonly #answered = new Set<string>();

  constructor(table: SlotTable, roster: Roster) {
    this.#table = table;
    this.#roster = roster;
  }

  /** @returns undefined for one that was answered before */
  answer(request: JoinRequest): JoinAnswer | undefined {
    if (this.#answered.has(request.nonce)) return undefined;
    this.#answered.add(request.nonce);
    for (const oldest of this.#answered) {
      if (this.#answered.size <= MOST_NONCES) break;
      this.#answered.delete(oldest);
    }
    const { member, host, rather } = request;
    const slot = request.slot ?? this.#slotBefore(member) ?? this.#ifFree(rather) ?? this.#table.free();
    const problem = this.#problem(slot, request);
    if (problem !== undefined) return { refused: problem };
    this.#table.hold(slot, { kind: 'joined', member, host });
    return { slot };
  }

  /** What this worker had, unless it has been given to another since. */
  #slotBefore(member: string): number | undefined {
    const slot = this.#table.slotOf(member);
    return slot === undefined || this.#problem(slot, { member }) !== undefined ? undefined : slot;
  }

  #ifFree(slot: number | undefined): number | undefined {
    return slot !== undefined && this.#table.holder(slot) === undefined ? slot : undefined;
  }

  #problem(slot: number, { member, host }: Pick<JoinRequest, 'member'> & { host?: string }): string | undefined {
    const holder = this.#table.holder(slot);
    if (holder === undefined) return undefined;
    if (holder.kind === 'here') return `expected a slot that is free, got ${slot}, which is the launcher's own`;
    if (holder.member !== member) {
      return (
        `expected a slot that is free, got ${slot}, which is kept for ${holder.host}: ` +
        `when that is gone for good, sluice fleet drain ${slot} --take-over`
      );
    }
    // A folder that was copied would give two workers one client id.
    const running = this.#roster.isLive(slot) ? this.#roster.last(slot)?.host : undefined;
    if (host === undefined || running === undefined || running === host) return undefined;
    return `expected a worker that does not run, got slot ${slot}, which runs on ${running}: was its folder copied?`;
  }
}
