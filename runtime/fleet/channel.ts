import { setTimeout as delay } from 'node:timers/promises';
import type { FleetOptions } from '../launcher/instance-protocol.js';
import { UserError } from '../launcher/user-error.js';
import { FleetBus } from './flows/bus.js';

/** @param retained - whether the broker had kept it */
type Listener = (body: Buffer, retained: boolean) => void;

const CONNECT_WITHIN_MS = 5_000;
const LOOK_EVERY_MS = 50;
/** A line about what is not signed by the fleet, at most so often. */
const SAY_EVERY_MS = 60_000;

/** What a launcher, or a worker that joins, hears and says on the fleet's broker: signed, and only what is signed. */
export class FleetChannel {
  readonly #bus: FleetBus;
  readonly #say: (sentence: string) => void;
  #forged = 0;
  #saidAt = -Infinity;

  private constructor(bus: FleetBus, say: (sentence: string) => void) {
    this.#bus = bus;
    this.#say = say;
  }

  /** @throws UserError when the broker does not let it in */
  static async connect(options: FleetOptions, say: (sentence: string) => void): Promise<FleetChannel> {
    const bus = new FleetBus(options);
    bus.open();
    const deadline = performance.now() + CONNECT_WITHIN_MS;
    while (!bus.isSynced) {
      if (performance.now() > deadline) {
        const { problem = 'it did not answer' } = bus;
        await bus.stop();
        throw new UserError(`expected a broker that the fleet can use, got none: ${problem}`);
      }
      await delay(LOOK_EVERY_MS);
    }
    return new FleetChannel(bus, say);
  }

  get connected(): boolean {
    return this.#bus.isSynced;
  }

  /** Messages that nobody with the secret has signed. */
  get forged(): number {
    return this.#forged;
  }

  /** @param filter - a topic, or one with `+` for its last level. @returns what ends it */
  listen(filter: string, listener: Listener): () => void {
    return this.#bus.subscribe(filter, (topic, body, raw, retained) => {
      if (raw.length === 0) return; // what was retained is removed
      if (body === undefined) this.#refuse(topic);
      else listener(body, retained);
    });
  }

  /** While the broker is away, the newest of each topic waits. */
  publish(topic: string, body: object): void {
    this.#bus.publish(topic, Buffer.from(JSON.stringify(body)), false);
  }

  /** Removes what is retained, as far as the broker is there. */
  async forget(topic: string): Promise<void> {
    if (this.connected) await this.#bus.clear(topic).catch((error: unknown) => this.#say(String(error)));
  }

  async close(): Promise<void> {
    await this.#bus.stop();
  }

  #refuse(topic: string): void {
    this.#forged++;
    if (performance.now() - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = performance.now();
    this.#say(
      `a message on ${topic} was not signed with this fleet's secret, and is not heeded (${this.#forged} so far)`,
    );
  }
}
