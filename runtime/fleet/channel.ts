import { connectAsync, type MqttClient } from 'mqtt';
import { withoutSecrets } from '../launcher/shown-url.js';
import { messageOf, UserError } from '../launcher/user-error.js';
import type { FleetKeys } from './keys.js';

type Listener = (body: Buffer, retained: boolean) => void;

const CONNECT_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 2_000;
/** A line about what is not signed by the fleet, at most so often. */
const SAY_EVERY_MS = 60_000;

/** What a launcher and a joined worker hear and say on the fleet's broker: all of it signed with the fleet's secret. */
export class FleetChannel {
  readonly #client: MqttClient;
  readonly #keys: FleetKeys;
  readonly #say: (sentence: string) => void;
  readonly #filters = new Map<string, Listener>();
  #forged = 0;
  #saidAt = -Infinity;

  private constructor(client: MqttClient, keys: FleetKeys, say: (sentence: string) => void) {
    this.#client = client;
    this.#keys = keys;
    this.#say = say;
    client.on('message', (topic, payload, { retain }) => this.#onMessage(topic, payload, retain));
    client.on('error', () => undefined); // it connects again, and `connected` says whether it has
  }

  /** @throws UserError when the broker does not let it in */
  static async connect(url: string, keys: FleetKeys, say: (sentence: string) => void): Promise<FleetChannel> {
    try {
      const client = await connectAsync(url, { connectTimeout: CONNECT_WITHIN_MS, reconnectPeriod: 1_000 }, false);
      return new FleetChannel(client, keys, say);
    } catch (error) {
      const why = messageOf(error) || String((error as NodeJS.ErrnoException).code);
      throw new UserError(`expected a broker at ${withoutSecrets(url)} that lets the fleet in, got ${why}`, { cause: error });
    }
  }

  get connected(): boolean {
    return this.#client.connected;
  }

  /** Messages that nobody with the secret has signed. */
  get forged(): number {
    return this.#forged;
  }

  /** @param filter - a topic, or one with `+` for its last level */
  async listen(filter: string, listener: Listener): Promise<void> {
    this.#filters.set(filter, listener);
    await this.#client.subscribeAsync(filter, { qos: 1 });
  }

  /** Resolves when the broker has it. While it is away, that waits. */
  async publish(topic: string, body: object, { retain = false } = {}): Promise<void> {
    const message = this.#keys.sign(topic, Buffer.from(JSON.stringify(body)));
    await this.#client.publishAsync(topic, message, { qos: 1, retain });
  }

  /** Removes what is retained. */
  async forget(topic: string): Promise<void> {
    await this.#client.publishAsync(topic, '', { qos: 1, retain: true });
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => void this.#client.end(true), CLOSE_WITHIN_MS);
    await this.#client.endAsync();
    clearTimeout(timer);
  }

  #onMessage(topic: string, payload: Buffer, retained: boolean): void {
    if (payload.length === 0) return; // what was retained is removed
    const listener = this.#filters.get(topic) ?? this.#filters.get(topic.replace(/[^/]+$/, '+'));
    if (listener === undefined) return;
    const body = this.#keys.verify(topic, payload);
    if (body === undefined) this.#refuse(topic);
    else listener(body, retained);
  }

  #refuse(topic: string): void {
    this.#forged++;
    if (performance.now() - this.#saidAt < SAY_EVERY_MS) return;
    this.#saidAt = performance.now();
    this.#say(`a message on ${topic} was not signed with this fleet's secret, and is not heeded (${this.#forged} so far)`);
  }
}
