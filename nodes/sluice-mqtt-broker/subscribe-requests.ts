import type { IConnackPacket, IClientSubscribeOptions, MqttClient } from 'mqtt';
import { within } from '../adapter/waiting.js';
import { messageOf, UnavailableError } from '../lib/errors.js';
import { END_TIMEOUT_MS } from './connection.js';
import type { Subscriber, SubscriptionPorts } from './subscriptions.js';

/** No retained message comes again for it: 2 of MQTT 5.0 section 3.8.3.1. */
const RENEWAL = { rh: 2 };

interface RequestPorts extends SubscriptionPorts {
  /** All, also those that have stopped and may have a successor. */
  readonly subscribers: ReadonlySet<Subscriber>;
}

/** What the broker is asked to send over one connection: SUBSCRIBE and UNSUBSCRIBE. */
export class SubscribeRequests {
  readonly #ports: RequestPorts;
  /** Subscriptions that the session may have and nobody needs. */
  readonly #unwanted = new Set<string>();
  #identifiersAvailable = true;
  /** Nothing is asked for any more. */
  #withdrawn = false;
  /** Renewals that the broker has not answered; another one would only wait behind them. */
  #renewing: Promise<unknown> | undefined;

  constructor(ports: RequestPorts) {
    this.#ports = ports;
  }

  /** There is a connection: whatever the session holds, all is subscribed anew. */
  connected(client: MqttClient, connack: IConnackPacket): void {
    this.#identifiersAvailable = connack.properties?.subscriptionIdentifiersAvailable !== false;
    this.#renewing = undefined;
    void this.#unsubscribe(client);
    if (this.#withdrawn) return;
    for (const subscriber of this.#ports.subscribers) {
      if (subscriber.phase !== 'new') this.#subscribe(client, subscriber);
    }
  }

  /** @returns resolves when the broker knows what is `unwanted`, or is to hear it with the next connection */
  async changed(fresh: readonly Subscriber[], unwanted: readonly string[]): Promise<void> {
    for (const subscription of unwanted) this.#unwanted.add(subscription);
    for (const { subscriptions } of this.#ports.subscribers) {
      for (const subscription of subscriptions) this.#unwanted.delete(subscription);
    }
    const client = this.#ports.client();
    if (client === undefined) return;
    if (!this.#withdrawn) for (const subscriber of fresh) this.#subscribe(client, subscriber);
    await this.#unsubscribe(client);
  }

  /**
   * Asks again for what is shared, as long as the broker answers. A subscription that is there is replaced by the same one,
   * and no message is lost [MQTT-3.8.4-3].
   */
  renew(): void {
    const client = this.#ports.client();
    if (client === undefined || this.#withdrawn || this.#renewing !== undefined) return;
    const shared = [...this.#ports.subscribers].filter(({ group, phase }) => group !== undefined && phase === 'taking');
    if (shared.length === 0) return;
    const renewing = Promise.all(
      shared.map(async (subscriber) => this.#tell(client, subscriber, await this.#ask(client, subscriber, RENEWAL))),
    );
    this.#renewing = renewing;
    void renewing.then(() => {
      if (this.#renewing === renewing) this.#renewing = undefined;
    });
  }

  /** @throws UnavailableError without a connection, or an answer */
  async withdraw(): Promise<void> {
    this.#withdrawn = true;
    const client = this.#ports.client();
    if (client === undefined) {
      throw new UnavailableError(`expected a connection to unsubscribe on, got none: ${this.#ports.state().text}`, {
        code: 'broker-away',
      });
    }
    const subscriptions = [...this.#ports.subscribers].flatMap((subscriber) => subscriber.subscriptions);
    if (subscriptions.length === 0) return;
    try {
      await within(END_TIMEOUT_MS, client.unsubscribeAsync(subscriptions));
    } catch (error) {
      throw new UnavailableError(`expected the broker to unsubscribe, got: ${messageOf(error)}`, {
        code: 'unsubscribe',
        cause: error,
      });
    }
  }

  #subscribe(client: MqttClient, subscriber: Subscriber): void {
    void this.#ask(client, subscriber).then((refusals) => {
      if (!this.#tell(client, subscriber, refusals)) return;
      this.#ports.log('error', 'the broker refuses a subscription', { refused: refusals.join(', ') });
    });
  }

  /** @returns whether something is refused */
  #tell(client: MqttClient, subscriber: Subscriber, refusals: readonly string[]): boolean {
    const ports = this.#ports;
    // At the end of a connection there is no answer: the next one subscribes again.
    if (client !== ports.client() || !ports.subscribers.has(subscriber) || subscriber.phase === 'stopped') return false;
    const refused = refusals.length > 0;
    subscriber.onState(
      refused
        ? { level: 'error', text: `the broker refuses the subscription to ${refusals.join(', ')}` }
        : ports.state(),
    );
    return refused;
  }

  /** @returns what the broker refuses, and why */
  async #ask(
    client: MqttClient,
    { subscriptions, identifiers }: Subscriber,
    how: Pick<IClientSubscribeOptions, 'rh'> = {},
  ): Promise<string[]> {
    const withIdentifier = this.#ports.version() === 5 && this.#identifiersAvailable;
    const refusals: string[] = [];
    await Promise.all(
      subscriptions.map(async (subscription, index) => {
        const subscriptionIdentifier = identifiers[index];
        const options: IClientSubscribeOptions = { qos: this.#qosOf(subscription), ...how };
        if (withIdentifier && subscriptionIdentifier !== undefined) options.properties = { subscriptionIdentifier };
        try {
          await client.subscribeAsync(subscription, options);
        } catch (error) {
          refusals.push(`${subscription} (${messageOf(error)})`);
        }
      }),
    );
    return refusals;
  }

  /** Subscribers of one filter have one subscription in the session: the last SUBSCRIBE replaces it [MQTT-3.8.4-3]. */
  #qosOf(subscription: string): 0 | 1 | 2 {
    return [...this.#ports.subscribers]
      .filter(({ subscriptions }) => subscriptions.includes(subscription))
      .reduce<0 | 1 | 2>((highest, other) => (other.qos > highest ? other.qos : highest), 0);
  }

  /** Where there is no answer, the next connection does it again. */
  async #unsubscribe(client: MqttClient): Promise<void> {
    const subscriptions = [...this.#unwanted];
    if (subscriptions.length === 0) return;
    try {
      await client.unsubscribeAsync(subscriptions);
      for (const subscription of subscriptions) this.#unwanted.delete(subscription);
    } catch (error) {
      this.#ports.log('warn', 'could not unsubscribe', { reason: messageOf(error) });
    }
  }
}

/** A subscription identifier (1 to 268,435,455, MQTT 5.0 section 3.8.2.1.2) that stays the same over restarts. */
export function subscriptionIdentifier(subscription: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (const byte of Buffer.from(subscription)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return (hash % 268_435_455) + 1;
}
