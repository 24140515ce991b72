/** What a batcher needs of time. */
export interface BatchClock {
  /** Milliseconds since any fixed point; never goes back. */
  now(): number;
  /** Runs once what has arrived together has been offered: after the present turn of the event loop. */
  soon(run: () => void): void;
  /** Runs after that many milliseconds, unless the returned function was called before. */
  later(run: () => void, milliseconds: number): () => void;
}

export interface BatchLimits {
  /** Items of one batch. */
  readonly maxCount: number;
  /** Bytes of one batch, by what `offer` was told. An item that is larger goes alone. */
  readonly maxBytes: number;
  /** How long an item waits for company while a write of its group is under way, in milliseconds. */
  readonly maxWaitMs: number;
  /** From the start of a write of a group to that of the next, which has gathered meanwhile, unless it is full. Default: 0. */
  readonly gatherMs?: number;
  /** Writes at the same time, over all groups. */
  readonly maxInFlight: number;
  /** Writes at the same time of one group; 1 keeps the order of its items. Default: `maxInFlight`. */
  readonly maxInFlightPerGroup?: number;
  /** Items that wait, over all groups. What is being written is not counted. */
  readonly maxQueue: number;
  /** Bytes that wait, over all groups. An item that is larger is taken when nothing else waits. */
  readonly maxQueueBytes: number;
}

interface Waiting<T> {
  readonly item: T;
  readonly bytes: number;
  readonly since: number;
}

interface Group<T> {
  readonly name: string;
  readonly waiting: Waiting<T>[];
  bytes: number;
  inFlight: number;
  /** When its last write began. */
  begun: number;
}

/**
 * Puts items together to batches, each of one group (a collection, a partition), in the order in which they were offered.
 *
 * A batch never waits to be full: while nothing of its group is being written, it goes at the end of the turn. While
 * something is, items gather until they fill a batch or the oldest has waited `maxWaitMs`; then they go beside it, as far
 * as `maxInFlight` allows. So a lone item pays no delay, and under load batches grow by themselves. Where each write has a
 * price of its own, `gatherMs` parts those of a group: what has gathered beside one goes so long after that began.
 */
export class Batcher<T> {
  readonly #limits: BatchLimits;
  readonly #maxPerGroup: number;
  readonly #write: (items: T[], group: string) => Promise<void>;
  readonly #clock: BatchClock;
  /** Groups that have something waiting or in flight. The order of the map is the order of their turns. */
  readonly #groups = new Map<string, Group<T>>();
  #queued = 0;
  #queuedBytes = 0;
  #inFlight = 0;
  #scheduled = false;
  #timer: { readonly at: number; readonly cancel: () => void } | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  /** @param write - settles each of its items itself and never rejects; its slot is free again when it resolves */
  constructor(limits: BatchLimits, clock: BatchClock, write: (items: T[], group: string) => Promise<void>) {
    this.#limits = limits;
    this.#maxPerGroup = limits.maxInFlightPerGroup ?? limits.maxInFlight;
    this.#clock = clock;
    this.#write = write;
  }

  /** Items that wait for a batch. */
  get queued(): number {
    return this.#queued;
  }

  /** Batches that are being written. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** @returns false, and the item is not taken, when the queue is full */
  offer(item: T, bytes: number, name = ''): boolean {
    const { maxQueue, maxQueueBytes } = this.#limits;
    if (this.#queued >= maxQueue) return false;
    if (this.#queued > 0 && this.#queuedBytes + bytes > maxQueueBytes) return false;
    let group = this.#groups.get(name);
    if (group === undefined)
      this.#groups.set(name, (group = { name, waiting: [], bytes: 0, inFlight: 0, begun: -Infinity }));
    const since = this.#clock.now();
    group.waiting.push({ item, bytes, since });
    group.bytes += bytes;
    this.#queued++;
    this.#queuedBytes += bytes;
    if (this.#isDue(group, since)) this.#schedule();
    else if (this.#hasSlot(group)) this.#arm(group);
    return true;
  }

  /** Sends what waits without waiting for company; resolves when nothing waits and nothing is being written. */
  async drain(): Promise<void> {
    if (this.#queued === 0 && this.#inFlight === 0) return;
    this.#drained ??= Promise.withResolvers<void>();
    const { promise } = this.#drained;
    this.#send();
    await promise;
  }

  /** Gives up what waits. @returns it, in the order of its groups */
  clear(): T[] {
    const items = [...this.#groups.values()].flatMap((group) => this.#take(group, group.waiting.length));
    for (const group of this.#groups.values()) this.#forgetIdle(group);
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#settleDrain();
    return items;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.soon(() => {
      this.#scheduled = false;
      this.#send();
    });
  }

  #send(): void {
    const now = this.#clock.now();
    for (const group of this.#groups.values()) {
      if (this.#inFlight >= this.#limits.maxInFlight) return;
      if (this.#isDue(group, now)) {
        // To the end of the line: one busy group does not keep the slots from the others. The loop comes by it again.
        this.#groups.delete(group.name);
        this.#groups.set(group.name, group);
        this.#start(group, now);
      } else if (this.#hasSlot(group)) {
        this.#arm(group);
      }
    }
  }

  #hasSlot(group: Group<T>): boolean {
    return this.#inFlight < this.#limits.maxInFlight && group.inFlight < this.#maxPerGroup;
  }

  #isDue(group: Group<T>, now: number): boolean {
    const oldest = group.waiting[0];
    if (oldest === undefined || !this.#hasSlot(group)) return false;
    return (
      now >= this.#dueAt(group, oldest) ||
      this.#drained !== undefined ||
      group.waiting.length >= this.#limits.maxCount ||
      group.bytes >= this.#limits.maxBytes
    );
  }

  #dueAt(group: Group<T>, oldest: Waiting<T>): number {
    const { gatherMs = 0, maxWaitMs } = this.#limits;
    return group.inFlight === 0 ? group.begun + gatherMs : oldest.since + maxWaitMs;
  }

  /** One timer for all groups, set for the one that is due first. */
  #arm(group: Group<T>): void {
    const oldest = group.waiting[0];
    if (oldest === undefined) return;
    const at = this.#dueAt(group, oldest);
    if (this.#timer !== undefined && this.#timer.at <= at) return;
    this.#timer?.cancel();
    const cancel = this.#clock.later(
      () => {
        this.#timer = undefined;
        this.#send();
      },
      Math.max(0, at - this.#clock.now()),
    );
    this.#timer = { at, cancel };
  }

  #start(group: Group<T>, now: number): void {
    let count = 0;
    let bytes = 0;
    for (const waiting of group.waiting) {
      if (count === this.#limits.maxCount || (count > 0 && bytes + waiting.bytes > this.#limits.maxBytes)) break;
      bytes += waiting.bytes;
      count++;
    }
    const items = this.#take(group, count);
    group.inFlight++;
    group.begun = now;
    this.#inFlight++;
    void this.#write(items, group.name).then(() => {
      group.inFlight--;
      this.#inFlight--;
      this.#forgetIdle(group);
      this.#send();
      this.#settleDrain();
    });
  }

  #settleDrain(): void {
    if (this.#queued > 0 || this.#inFlight > 0) return;
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #take(group: Group<T>, count: number): T[] {
    const taken = group.waiting.splice(0, count);
    this.#queued -= taken.length;
    return taken.map(({ item, bytes }) => {
      group.bytes -= bytes;
      this.#queuedBytes -= bytes;
      return item;
    });
  }

  #forgetIdle(group: Group<T>): void {
    if (group.waiting.length === 0 && group.inFlight === 0) this.#groups.delete(group.name);
  }
}
