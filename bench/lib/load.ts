import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import mqtt, { type MqttClient } from 'mqtt';
import type { InsertClock } from './insert-clock.js';

/** Less than half of the window of a consumer, which is told of what is stored after us: at QoS 0 what is beyond it is dropped. */
const MOST_OUTSTANDING = 450;
/** Publishes that the broker has not answered. mqtt.js does not heed what the broker says of it. */
const MOST_UNANSWERED = 200;
const LIMIT_MS = 120_000;
const PROBE_MS = 200;

export interface LoadOptions {
  readonly mqttUrl: string;
  readonly qos: 0 | 1 | 2;
  readonly devices: number;
  /** Of one payload, about. */
  readonly bytes: number;
  /** How many documents become of one message. */
  readonly copies?: number;
  /** How many messages may be published and not stored. */
  readonly outstanding?: number;
}

/** Publishes as devices do, no faster than what it publishes is stored. */
export class Load {
  readonly #clock: InsertClock;
  readonly #client: MqttClient;
  readonly #qos: 0 | 1 | 2;
  readonly #devices: readonly string[];
  readonly #padding: string;
  readonly #copies: number;
  readonly #outstanding: number;
  #sent = 0;
  #unanswered = 0;
  #answered: (() => void) | undefined;

  private constructor(clock: InsertClock, client: MqttClient, options: LoadOptions) {
    const { qos, devices, bytes, copies = 1, outstanding = MOST_OUTSTANDING } = options;
    this.#clock = clock;
    this.#client = client;
    this.#qos = qos;
    this.#copies = copies;
    this.#outstanding = outstanding;
    this.#devices = Array.from({ length: devices }, () => randomUUID());
    this.#padding = bytes > 110 ? `,"text":"${'x'.repeat(bytes - 110)}"` : '';
  }

  static async connect(clock: InsertClock, options: LoadOptions): Promise<Load> {
    const client = await mqtt.connectAsync(options.mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 });
    return new Load(clock, client, options);
  }

  /** Publishes one message again and again, until the first of them is stored, and then until all are. */
  async untilConsumed(): Promise<void> {
    const deadline = performance.now() + LIMIT_MS;
    const before = this.#stored;
    let probes = 0;
    while (this.#stored === before) {
      if (performance.now() > deadline) throw new Error('nobody stores what is published');
      await this.#publish();
      probes++;
      await delay(PROBE_MS);
    }
    // Those that came before the consumer was there are nobody's.
    await delay(PROBE_MS);
    this.#sent -= probes - (this.#stored - before);
  }

  /** @returns how long it took until all are stored, in seconds */
  async send(messages: number): Promise<number> {
    const begun = performance.now();
    const stored = this.#stored;
    const first = this.#sent;
    while (this.#sent - first < messages) {
      if (this.#sent - first - (this.#stored - stored) >= this.#outstanding) await this.#clock.change();
      else if (this.#unanswered >= MOST_UNANSWERED) await this.#answer();
      else void this.#publish();
      // At QoS 0 nothing else lets the socket be written.
      if (this.#qos === 0 && this.#sent % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await this.#untilStored(stored + messages, begun + LIMIT_MS);
    return (performance.now() - begun) / 1_000;
  }

  /** Publishes as fast as the broker takes it. Resolves when the broker has taken all. */
  async flood(messages: number): Promise<void> {
    for (let sent = 0; sent < messages;) {
      if (this.#unanswered >= MOST_UNANSWERED) await this.#answer();
      else {
        void this.#publish();
        sent++;
      }
    }
    while (this.#unanswered > 0) await this.#answer();
  }

  /** Publishes at a pace. @returns of each message, from when it was published until it was stored, in milliseconds */
  async sendPaced(messages: number, perSecond: number): Promise<readonly number[]> {
    const latencies: number[] = [];
    this.#clock.latencies = latencies;
    const begun = performance.now();
    const stored = this.#stored;
    for (let sent = 0; sent < messages;) {
      const due = Math.min(messages, ((performance.now() - begun) / 1_000) * perSecond);
      for (; sent < due; sent++) void this.#publish();
      await delay(1);
    }
    await this.#untilStored(stored + messages, begun + LIMIT_MS);
    this.#clock.latencies = undefined;
    return latencies;
  }

  /** Messages of which all documents are stored. */
  get #stored(): number {
    return Math.floor(this.#clock.stored / this.#copies);
  }

  async end(): Promise<void> {
    while (this.#unanswered > 0) await this.#answer(); // a message may be stored before its publisher is told
    await this.#client.endAsync();
  }

  async #untilStored(wanted: number, deadline: number): Promise<void> {
    while (this.#stored < wanted) {
      const late = delay(deadline - performance.now(), 'late' as const);
      if ((await Promise.race([this.#clock.change(), late])) === 'late') {
        throw new Error(`expected ${wanted} documents to be stored, got ${this.#stored} in time`);
      }
    }
  }

  async #publish(): Promise<void> {
    const seq = ++this.#sent;
    const uuid = this.#devices[seq % this.#devices.length] ?? '';
    const value = 20 + (seq % 100) / 10;
    const payload = `{"uuid":"${uuid}","value":${value},"seq":${seq},"sentAt":${performance.now()}${this.#padding}}`;
    this.#unanswered++;
    await this.#client.publishAsync(`device/${uuid}`, payload, { qos: this.#qos });
    this.#unanswered--;
    this.#answered?.();
  }

  #answer(): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }
}
