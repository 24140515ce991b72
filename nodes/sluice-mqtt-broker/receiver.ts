import type { MqttClient } from 'mqtt';
import { Answers, type Receipt } from '../lib/delivery/answers.js';
import { acknowledge, receiveUnacknowledged, type Publish } from './mqttjs.js';

export interface ReceiverEvents {
  /** How many messages may be open: received and not acknowledged. */
  window(): number;
  /** A message, to be acknowledged when its receipt is answered. */
  message(publish: Publish, receipt: Receipt): void;
  /** The connection is gone: what came by it and was not acknowledged is given again by the broker. */
  lost(): void;
}

/**
 * What comes in over one connection at a time, and is acknowledged when somebody says so: PUBACK and PUBREC in the order
 * of receipt, never on another connection than that of the PUBLISH.
 *
 * A broker may send more than the window: mosquitto 2.0 and aedes do. Then the one beyond it waits, and nothing behind it
 * is read, so that TCP holds the broker back. At QoS 0 nothing waits: a message beyond the window can only be dropped,
 * and that is for whoever takes it.
 */
export class Receiver {
  readonly #events: ReceiverEvents;
  readonly #answers: Answers<number>;
  #client: MqttClient | undefined;
  /** Whether there is a connection that something may have come by. */
  #connected = false;
  #leaving = false;
  #waiting: { readonly publish: Publish; readonly next: () => void } | undefined;
  #scheduled = false;
  /** Ids of QoS 2 that have come by this connection and have no PUBREC. */
  readonly #unanswered = new Set<number>();
  /** Ids of QoS 2 whose PUBREC is written, until PUBREL: over connections too, as long as the session lives. */
  readonly #unreleased = new Set<number>();
  readonly #changes = new Set<() => void>();

  constructor(events: ReceiverEvents) {
    this.#events = events;
    this.#answers = new Answers(
      () => events.window(),
      () => this.#schedule(),
    );
  }

  /** Takes what comes by this client, and by no other. To be called before it connects. */
  attach(client: MqttClient): void {
    this.lost();
    this.#client = client;
    this.#leaving = false;
    receiveUnacknowledged(client, {
      connected: (sessionPresent) => {
        if (client === this.#client) this.#onConnected(sessionPresent);
      },
      publish: (publish, next) => {
        if (client === this.#client) this.#onPublish(publish, next);
        else next();
      },
      released: (id) => {
        this.#unreleased.delete(id);
        this.#tell();
      },
    });
  }

  /** The connection is gone. */
  lost(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#waiting = undefined; // it was not taken, and comes again
    this.#answers.forget();
    this.#unanswered.clear();
    this.#events.lost();
    this.#tell();
  }

  /** Takes nothing any more: what comes from now on is left to the session. What has been taken is still acknowledged. */
  leave(): void {
    this.#leaving = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.next();
  }

  /** How many messages have been received and not acknowledged. */
  get open(): number {
    return this.#answers.open + (this.#waiting === undefined ? 0 : 1);
  }

  /** Resolves when all that was taken is acknowledged, or there is no connection to do that on. */
  async settled(): Promise<void> {
    while (this.#answers.open > 0) await this.#change();
  }

  /** Resolves when the broker has let go of all that was acknowledged at QoS 2, or there is no connection. */
  async released(): Promise<void> {
    while (this.#connected && this.#unreleased.size > 0) await this.#change();
  }

  #onConnected(sessionPresent: boolean): void {
    this.lost();
    this.#connected = true;
    if (!sessionPresent) this.#unreleased.clear();
  }

  #onPublish(publish: Publish, next: () => void): void {
    const { qos } = publish;
    if (qos > 0 && this.#isNotForUs(publish)) next();
    else if (qos > 0 && this.#answers.full) this.#waiting = { publish, next };
    else {
      this.#take(publish);
      next();
    }
  }

  /** Whether there is nothing to do with a PUBLISH, here. */
  #isNotForUs({ qos, dup, messageId: id = 0 }: Publish): boolean {
    // What mqtt.js had read before the connection was lost comes again; it would be answered on the next one.
    if (!this.#connected || this.#leaving) return true;
    if (qos !== 2 || !dup) return false;
    if (this.#unreleased.has(id)) this.#answers.add(qos, id).answer();
    return this.#unanswered.has(id) || this.#unreleased.has(id);
  }

  #take(publish: Publish): void {
    const { qos, messageId: id = 0 } = publish;
    if (qos === 2) {
      this.#unreleased.delete(id); // without dup it is another message under the same id
      this.#unanswered.add(id);
    }
    this.#events.message(publish, this.#answers.add(qos, id));
  }

  /** The window has changed. */
  resized(): void {
    this.#schedule();
  }

  /** What is settled in one turn of the event loop is acknowledged in one write. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const qos of [1, 2] as const) {
      const ids = this.#answers.take(qos);
      if (ids.length === 0 || this.#client === undefined) continue;
      acknowledge(this.#client, qos, ids);
      if (qos === 1) continue;
      for (const id of ids) {
        this.#unanswered.delete(id);
        this.#unreleased.add(id);
      }
    }
    const waiting = this.#waiting;
    if (waiting !== undefined && !this.#answers.full) {
      this.#waiting = undefined;
      this.#take(waiting.publish);
      waiting.next();
    }
    this.#tell();
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => this.#changes.add(resolve));
  }

  #tell(): void {
    for (const resolve of this.#changes) resolve();
    this.#changes.clear();
  }
}
