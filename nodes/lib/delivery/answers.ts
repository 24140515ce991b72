/** One packet that was received and is to be answered. Only the first call of either does something. */
export interface Receipt {
  /** All that became of it is settled: it is answered as soon as those of its QoS before it are. */
  answer(): void;
  /** It will not be answered here, so that those behind it do not wait for it. Its sender gives it again. */
  leave(): void;
}

class Entry<Packet> implements Receipt {
  readonly packet: Packet;
  state: 'open' | 'answered' | 'left' = 'open';
  readonly #settled: (entry: Entry<Packet>) => void;

  constructor(packet: Packet, settled: (entry: Entry<Packet>) => void) {
    this.packet = packet;
    this.#settled = settled;
  }

  answer(): void {
    this.#become('answered');
  }

  leave(): void {
    this.#become('left');
  }

  #become(state: 'answered' | 'left'): void {
    if (this.state !== 'open') return;
    this.state = state;
    this.#settled(this);
  }
}

/**
 * What has been received over one connection and has not been answered. Packets are settled in any order, and answered
 * in the order of receipt, within each QoS [MQTT-4.6.0-2, MQTT-4.6.0-3].
 */
export class Answers<Packet> {
  readonly #window: () => number;
  readonly #changed: () => void;
  #queues: Record<1 | 2, Entry<Packet>[]> = { 1: [], 2: [] };
  #unanswerable = 0;

  /**
   * @param window - how many may be open
   * @param changed - there is something to take, or more room
   */
  constructor(window: () => number, changed: () => void) {
    this.#window = window;
    this.#changed = changed;
  }

  /** How many, of every QoS, have been received and not been answered; at QoS 0, which has no answer: settled. */
  get open(): number {
    return this.#queues[1].length + this.#queues[2].length + this.#unanswerable;
  }

  get full(): boolean {
    return this.open >= this.#window();
  }

  add(qos: 0 | 1 | 2, packet: Packet): Receipt {
    const queues = this.#queues;
    const entry = new Entry(packet, (settled) => {
      // Not on another connection than that it came by.
      if (queues !== this.#queues) return;
      if (qos === 0) this.#unanswerable--;
      if (qos === 0 || queues[qos][0] === settled) this.#changed();
    });
    if (qos === 0) this.#unanswerable++;
    else queues[qos].push(entry);
    return entry;
  }

  /** The packets that are to be answered now, in the order of receipt. From here on they count as answered. */
  take(qos: 1 | 2): Packet[] {
    const queue = this.#queues[qos];
    const end = queue.findIndex(({ state }) => state === 'open');
    return queue
      .splice(0, end === -1 ? queue.length : end)
      .filter(({ state }) => state === 'answered')
      .map(({ packet }) => packet);
  }

  /** The connection is gone: what came by it is never answered. */
  forget(): void {
    this.#queues = { 1: [], 2: [] };
    this.#unanswerable = 0;
  }
}
