import { messageOf, UserError } from '../../launcher/user-error.js';
import type { WorkerCommand } from '../joining/command.js';
import type { FlowRevision } from '../flows/member.js';
import { EDITOR_SLOT } from '../identity.js';
import type { Roster } from './roster.js';
import type { SlotProcess } from '../slots/process.js';
import { HERE, type SlotTable } from '../slots/table.js';
import { heldOnDisk } from './sentences.js';

export interface FleetPorts {
  readonly table: SlotTable;
  readonly roster: Roster;
  /** The process of a slot on this machine, not started. */
  readonly makeProcess: (slot: number) => Promise<SlotProcess>;
  /** Asks a worker on another machine. */
  readonly command: (slot: number, command: WorkerCommand) => void;
  /** Nothing of a slot is left: neither what it has said, nor that this machine has it. */
  readonly forget: (slot: number) => Promise<void>;
  readonly say: (sentence: string) => void;
}

/** A fleet with an instance that does not take messages is ready all the same: its status says which, and why. */
const READY_WITHIN_MS = 10_000;
const TAKES_MESSAGES_WITHIN_MS = 60_000;
/** More than a leave and a stop take. */
const COMMAND_WITHIN_MS = 90_000;

/** The instances of a fleet that one launcher owns, and what is asked of the whole. One operation at a time. */
export class Fleet {
  readonly #ports: FleetPorts;
  readonly #processes = new Map<number, SlotProcess>();
  #operation: Promise<unknown> = Promise.resolve();
  #busy = 0;
  #stopping = false;

  constructor(ports: FleetPorts) {
    this.#ports = ports;
  }

  get processes(): ReadonlyMap<number, SlotProcess> {
    return this.#processes;
  }

  /** Whether something is under way. */
  get busy(): boolean {
    return this.#busy > 0;
  }

  /** The slots of workers on this machine, from the lowest. */
  get workersHere(): number[] {
    const { table } = this.#ports;
    return table.held.filter((slot) => table.holder(slot)?.kind === 'here');
  }

  /** Starts the editor instance and the workers: those of every slot that was held before, and so many at least. */
  start(workers: number): Promise<void> {
    return this.#alone(async () => {
      const kept = this.workersHere;
      this.#take(workers - kept.length);
      await this.#run(EDITOR_SLOT); // workers then find the flows at the broker
      await Promise.all(this.workersHere.map((slot) => this.#run(slot)));
      await this.#ports.roster.until(() => this.#allTake(), READY_WITHIN_MS);
      if (this.workersHere.length > 0) this.#processes.get(EDITOR_SLOT)?.begin();
      else void this.#beginWithTheFirst();
      // What cannot leave now is shown as a danger; the others do their work.
      await this.#shrinkTo(workers).catch((error: unknown) => this.#ports.say(messageOf(error)));
    });
  }

  /** @throws UserError when a worker could not leave */
  scale(workers: number): Promise<string> {
    return this.#alone(async () => {
      const fresh = this.#take(workers - this.workersHere.length);
      await Promise.all(fresh.map((slot) => this.#run(slot)));
      await this.#shrinkTo(workers);
      return `${this.workersHere.length} workers run on this machine`;
    });
  }

  /**
   * Makes a worker leave: its session ends when it is empty.
   *
   * @param takeOver - the worker is on a machine that is gone for good: a successor under its client ids does it
   * @throws UserError when it cannot, and why
   */
  drain(slot: number, takeOver: boolean): Promise<string> {
    return this.#alone(async () => {
      const { table, roster } = this.#ports;
      const holder = this.#holderOf(slot);
      this.#expectOthers([slot]);
      if (holder.kind === 'here') {
        if (this.#processes.get(slot)?.state !== 'running') await this.#runUntilItTakes(slot);
        await this.#leave(slot);
        return `slot ${slot} has left the fleet`;
      }
      if (roster.isLive(slot)) {
        if (takeOver) throw runsSentence(slot, holder.host);
        await this.#ask(slot, 'leave');
        return `slot ${slot} on ${holder.host} has left the fleet`;
      }
      if (!takeOver) throw awaySentence(slot, holder.host);
      const lost = heldOnDisk(roster.last(slot));
      table.hold(slot, HERE);
      await this.#runUntilItTakes(slot);
      await this.#leave(slot);
      return `slot ${slot} was taken over, emptied and has left the fleet${lost === undefined ? '' : `: ${lost}`}`;
    });
  }

  /** @param slot - undefined: all, one at a time, the next when the one before takes messages */
  restart(slot?: number): Promise<string> {
    return this.#alone(async () => {
      const { table, roster } = this.#ports;
      const live = table.held.filter((one) => this.#processes.has(one) || roster.isLive(one));
      if (slot !== undefined && slot !== EDITOR_SLOT) this.#holderOf(slot);
      const all = slot === undefined ? [...live, EDITOR_SLOT] : [slot];
      for (const one of all) await this.#restartOne(one);
      return slot === undefined ? `all ${all.length} instances were restarted` : `slot ${slot} was restarted`;
    });
  }

  async history(): Promise<readonly FlowRevision[]> {
    return (await this.#editor().ask({ type: 'history' })) as readonly FlowRevision[];
  }

  /** @returns the new revision */
  async rollback(revision: number, author: string): Promise<number> {
    return (await this.#editor().ask({ type: 'rollback', revision, author })) as number;
  }

  /** Drains the workers, then the editor instance; sessions stay for the next start. @returns whether all ended well */
  async stop(): Promise<boolean> {
    this.#stopping = true;
    const workers = [...this.#processes].filter(([slot]) => slot !== EDITOR_SLOT);
    const ended = await Promise.all(workers.map(([, process]) => process.stop('drain')));
    return [...ended, (await this.#processes.get(EDITOR_SLOT)?.stop('drain')) ?? true].every(Boolean);
  }

  /** @returns the slots that were free and are held now */
  #take(count: number): number[] {
    const { table } = this.#ports;
    return Array.from({ length: Math.max(0, count) }, () => {
      const slot = table.free();
      table.hold(slot, HERE);
      return slot;
    });
  }

  async #run(slot: number): Promise<void> {
    this.#expectToGoOn();
    const process = await this.#ports.makeProcess(slot);
    this.#processes.set(slot, process);
    this.#ports.roster.forget(slot); // what was said in it before
    await process.start();
  }

  #allTake(): boolean {
    const { roster } = this.#ports;
    return [...this.#processes].every(([slot, { state }]) => state === 'failed' || roster.takesMessages(slot));
  }

  /** Where workers are elsewhere: devices then wait for one, as long as the editor instance has patience. */
  async #beginWithTheFirst(): Promise<void> {
    const { roster } = this.#ports;
    const somebodyTakes = (): boolean =>
      this.#stopping || roster.slots.some((slot) => slot !== EDITOR_SLOT && roster.takesMessages(slot));
    if (await roster.until(somebodyTakes, TAKES_MESSAGES_WITHIN_MS)) this.#processes.get(EDITOR_SLOT)?.begin();
  }

  async #runUntilItTakes(slot: number): Promise<void> {
    await this.#processes.get(slot)?.stop('drain');
    await this.#run(slot);
    await this.#untilItTakes(slot);
  }

  async #shrinkTo(workers: number): Promise<void> {
    const surplus = this.workersHere.slice(workers);
    if (surplus.length > 0) this.#expectOthers(surplus);
    const ended = await Promise.allSettled(surplus.map((slot) => this.#leave(slot)));
    const failed = ended.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    if (failed.length > 0) throw new UserError(failed.map(({ reason }) => messageOf(reason)).join('; '));
  }

  async #leave(slot: number): Promise<void> {
    const { table, roster, forget } = this.#ports;
    const process = this.#processes.get(slot);
    if ((await process?.stop('leave')) !== true) {
      const why = roster.last(slot)?.lastError ?? 'it did not say';
      throw new UserError(
        `expected slot ${slot} to end its sessions, which it could not (${why}): they stay, with what they hold. ` +
          `Try again with: sluice fleet drain ${slot}`,
      );
    }
    table.end(slot);
    this.#processes.delete(slot);
    await forget(slot);
  }

  async #restartOne(slot: number): Promise<void> {
    const { roster, table } = this.#ports;
    const process = this.#processes.get(slot);
    const holder = table.holder(slot);
    if (holder?.kind === 'joined') {
      if (!roster.isLive(slot)) throw awaySentence(slot, holder.host);
      await this.#ask(slot, 'restart');
    } else {
      await process?.stop('drain');
      this.#expectToGoOn();
      await (process === undefined ? this.#run(slot) : process.start());
    }
    await this.#untilItTakes(slot);
  }

  async #untilItTakes(slot: number): Promise<void> {
    const { roster } = this.#ports;
    const process = this.#processes.get(slot);
    const holds = (): boolean => process?.state === 'failed' || roster.takesMessages(slot);
    await roster.until(holds, TAKES_MESSAGES_WITHIN_MS);
    if (roster.takesMessages(slot) && process?.state !== 'failed') return;
    const { problems = [], flow } = roster.last(slot) ?? {};
    const why = process?.failure ?? [flow?.problem, ...problems].filter(Boolean).join('; ');
    throw new UserError(
      `expected slot ${slot} to take messages within ${TAKES_MESSAGES_WITHIN_MS / 1_000} s, which it does not` +
        `${why === '' ? '' : ` (${why})`}: the others were left as they are`,
    );
  }

  /** Of a worker on another machine; resolves when it has done it. */
  async #ask(slot: number, type: WorkerCommand['type']): Promise<void> {
    const { roster, table, command, forget } = this.#ports;
    const runId = roster.last(slot)?.runId ?? '';
    const sameRun = (): boolean => roster.last(slot)?.runId === runId;
    const state = (): string => roster.last(slot)?.state ?? '';
    command(slot, { type, runId });
    const done = type === 'leave' ? () => ['left', 'stranded'].includes(state()) : () => !sameRun();
    if (!(await roster.until(done, COMMAND_WITHIN_MS))) {
      throw new UserError(`expected slot ${slot} to ${type} within ${COMMAND_WITHIN_MS / 1_000} s, which it did not`);
    }
    if (type === 'restart') return;
    if (state() === 'stranded') {
      const why = roster.last(slot)?.lastError ?? 'it did not say';
      throw new UserError(`expected slot ${slot} to end its sessions, which it could not (${why}): they stay`);
    }
    table.end(slot);
    await forget(slot);
  }

  #holderOf(slot: number): NonNullable<ReturnType<SlotTable['holder']>> {
    const { table } = this.#ports;
    const holder = table.holder(slot);
    if (holder !== undefined) return holder;
    throw new UserError(
      slot === EDITOR_SLOT
        ? 'expected the slot of a worker, got 0, the editor instance: sluice fleet down ends it'
        : `expected a slot of the fleet (${table.held.join(', ')}), got ${slot}`,
    );
  }

  /** The broker keeps messages for those who are subscribed: one has to be. */
  #expectOthers(leaving: readonly number[]): void {
    const { table, roster } = this.#ports;
    if (table.held.some((one) => !leaving.includes(one) && roster.isLive(one))) return;
    throw new UserError(
      `expected another worker than slot ${leaving.join(', ')} to go on, got none: what is published then would be lost. ` +
        'sluice fleet down keeps the sessions',
    );
  }

  #expectToGoOn(): void {
    if (this.#stopping) throw new UserError('expected a fleet that goes on, got one that stops');
  }

  #editor(): SlotProcess {
    const editor = this.#processes.get(EDITOR_SLOT);
    if (editor === undefined) throw new UserError('expected the editor instance to run, got none');
    return editor;
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    const turn = this.#operation.then(work);
    this.#operation = turn.catch(() => undefined); // whoever asked for it is told
    try {
      return await turn;
    } finally {
      this.#busy--;
    }
  }
}

function runsSentence(slot: number, host: string): UserError {
  return new UserError(
    `expected a slot that nobody holds, got ${slot}, which runs on ${host}: drain it without --take-over`,
  );
}

function awaySentence(slot: number, host: string): UserError {
  return new UserError(
    `expected slot ${slot} to answer, got nothing from ${host}: start sluice join there again, or, when it is gone for ` +
      `good: sluice fleet drain ${slot} --take-over`,
  );
}
