import type { MqttClient } from 'mqtt';
import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import { within } from '../adapter/waiting.js';
import { messageOf } from '../lib/errors.js';
import { compileTopicFilter } from '../lib/topic.js';
import type { Config, Credentials } from './config.js';
import { Connection, END_TIMEOUT_MS, type ConnectionState, type Publish } from './connection.js';
import { Outbox, type Publication, type Publishing } from './outbox.js';
import { readTls } from './tls.js';

export interface SubscriptionRequest {
  /** Topic filters without the prefix of a shared subscription. */
  readonly filters: readonly string[];
  readonly qos: 0 | 1 | 2;
  /** The group of a shared subscription (MQTT 5.0 section 4.8.2). */
  readonly group?: string | undefined;
  /** How many messages this subscriber takes before it has answered one: its share of receiveMaximum. */
  readonly window: number;
  receive(publish: Publish, answer: () => void): void;
  lost?(): void;
  /** Now and at every change. `ok`: the broker has granted every filter. */
  onState(state: ConnectionState): void;
}

export interface Subscription {
  /** No message is received any more when it resolves. A session that the broker keeps goes on collecting. */
  stop(): Promise<void>;
}

interface Subscriber extends SubscriptionRequest {
  /** Topic filters as SUBSCRIBE carries them. */
  readonly subscriptions: readonly string[];
  readonly identifiers: readonly number[];
  readonly matches: (topic: string) => boolean;
}

type BrokerContext = Pick<
  NodeContext<Config, Credentials>,
  'id' | 'instance' | 'config' | 'credentials' | 'counters' | 'status' | 'log'
>;

const RANK = ['error', 'warning', 'busy', 'ok', 'off'] as const;
const UNVERIFIED = 'whoever answers is taken for the broker: its certificate is not verified';
const SUBSCRIBING: ConnectionState = { level: 'busy', text: 'subscribing' };

/**
 * One broker for all nodes that name it, over one connection for what comes in, which has the session, and one for what
 * goes out: PUBACKs never wait behind messages that a flow has no room for, and a node that publishes never opens a
 * session whose subscriber is away.
 */
export class MqttBroker implements Behaviour {
  /** Node-RED's own nodes have taken the name `mqtt-broker`. */
  static readonly nodeType = 'sluice-mqtt-broker';

  readonly #context: BrokerContext;
  readonly #inbound: Connection;
  readonly #outbound: Connection;
  readonly #wanted = new Set<Connection>();
  readonly #subscribers = new Set<Subscriber>();
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  readonly #outbox: Outbox;
  readonly #unverified: boolean;
  #started = false;
  #identifiersAvailable = true;

  /** @throws ConfigError `tls` for a certificate or a key that is none, or does not fit */
  constructor(context: BrokerContext) {
    this.#context = context;
    const { config, credentials } = context;
    const { url, user, password } = separateLogin(config.url);
    const clientId = config.clientId ?? `sluice-${context.instance}-${context.id}`;
    const { will, ...shared } = config;
    const settings = {
      ...shared,
      url,
      tls: readTls(url, config, credentials),
      user: credentials.user ?? user,
      password: credentials.password ?? password,
    };
    this.#outbox = new Outbox(config);
    this.#unverified = settings.tls?.options.rejectUnauthorized === false;
    if (this.#unverified) context.log('warn', UNVERIFIED, { url });
    const takenOver = (id: string): void =>
      context.log('error', 'the session was taken over by another client with the same client id', { clientId: id });
    const outboundId = `${clientId}-out`;
    this.#inbound = new Connection(
      { ...settings, clientId },
      {
        receiveMaximum: () => [...this.#subscribers].reduce((sum, { window }) => sum + window, 0),
        connected: (client, connack) => {
          this.#identifiersAvailable = connack.properties?.subscriptionIdentifiersAvailable !== false;
          for (const subscriber of this.#subscribers) this.#sendSubscribe(client, subscriber);
        },
        lost: () => undefined,
        message: (publish) => this.#dispatch(publish),
        changed: () => {
          for (const subscriber of this.#subscribers) subscriber.onState(this.#subscriptionState());
          this.#showStatus();
        },
        takenOver: () => takenOver(clientId),
      },
    );
    this.#outbound = new Connection(
      // The will goes with the messages that say that the gateway is there, so that the broker keeps their order.
      { ...settings, clientId: outboundId, will },
      {
        receiveMaximum: () => 0,
        connected: (client, connack) => this.#outbox.connected(client, this.#outbound.version, connack),
        lost: (forGood) => this.#outbox.lost(forGood, this.#outbound.state.text),
        message: () => undefined,
        changed: (state) => {
          for (const listener of this.#listeners) listener(state);
          this.#showStatus();
        },
        takenOver: () => takenOver(outboundId),
      },
    );
  }

  /** Calls the listener now and at every change of the connection that publishes. @returns what ends that */
  onState(listener: (state: ConnectionState) => void): () => void {
    this.#listeners.add(listener);
    this.#want(this.#outbound);
    listener(this.#outbound.state);
    return () => this.#listeners.delete(listener);
  }

  subscribe(request: SubscriptionRequest): Subscription {
    const matchers = request.filters.map(compileTopicFilter);
    const { group, filters } = request;
    const subscriptions = filters.map((filter) => (group === undefined ? filter : `$share/${group}/${filter}`));
    const subscriber: Subscriber = {
      ...request,
      subscriptions,
      identifiers: subscriptions.map(subscriptionIdentifier),
      matches: (topic) => matchers.some((matches) => matches(topic)),
    };
    this.#subscribers.add(subscriber);
    subscriber.onState(this.#subscriptionState());
    this.#want(this.#inbound);
    if (this.#context.config.will.topic !== undefined) this.#want(this.#outbound);
    const { client } = this.#inbound;
    if (client !== undefined) this.#sendSubscribe(client, subscriber);
    return { stop: () => this.#unsubscribe(subscriber) };
  }

  /**
   * Publishes one message where there is a connection, after those that were given before it.
   *
   * @returns resolves when the broker has answered (QoS 0: when it is written)
   * @throws UnavailableError when there is no connection, or none any more to answer
   * @throws RejectedError when the broker refuses this message (MQTT 5 reason codes from 0x80 on)
   */
  async publish(
    topic: string,
    payload: Buffer | string,
    { qos = 0, retain = false, properties }: Partial<Publication>,
  ): Promise<void> {
    await this.#add({ topic, payload, qos, retain, properties }, false).answered;
  }

  /** Publishes one message as soon as there is a connection, after those that were given before it. */
  offer(publication: Publication): Publishing {
    return this.#add(publication, true);
  }

  /** Resolves when what is published has no connection to be answered by: at once, or as soon as that is so. */
  disconnected(): Promise<void> {
    return new Promise((resolve) => {
      const listener = (): void => {
        if (this.#outbound.client !== undefined) return;
        this.#listeners.delete(listener);
        resolve();
      };
      this.#listeners.add(listener);
      listener();
    });
  }

  start(): void {
    this.#started = true;
    for (const connection of this.#wanted) connection.open();
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    await Promise.all([this.#inbound.close(), this.#outbound.close()]);
  }

  /**
   * The same broker under another client id, without a session and a will. It shows and logs nothing: whoever made it
   * starts and closes it.
   */
  another(clientId: string): MqttBroker {
    const { topic: _none, ...will } = this.#context.config.will;
    const config = { ...this.#context.config, clientId, will, cleanStart: true };
    return new MqttBroker({ ...this.#context, config, status: () => undefined, log: () => undefined });
  }

  /** Breaks the connection that publishes, as a line that fails does: without a DISCONNECT. It is made again. */
  disrupt(): void {
    this.#outbound.disrupt();
  }

  #add(publication: Publication, patient: boolean): Publishing {
    this.#want(this.#outbound);
    return this.#outbox.add(publication, patient, this.#outbound.state.text);
  }

  #want(connection: Connection): void {
    this.#wanted.add(connection);
    if (this.#started) connection.open();
  }

  #sendSubscribe(client: MqttClient, subscriber: Subscriber): void {
    const withIdentifier = this.#inbound.version === 5 && this.#identifiersAvailable;
    const refusals: string[] = [];
    const answers = subscriber.subscriptions.map(async (subscription, index) => {
      // Subscribers of one filter have one subscription in the session: the last SUBSCRIBE replaces it [MQTT-3.8.4-3].
      const qos = [...this.#subscribers]
        .filter(({ subscriptions }) => subscriptions.includes(subscription))
        .reduce<0 | 1 | 2>((highest, other) => (other.qos > highest ? other.qos : highest), 0);
      const subscriptionIdentifier = subscriber.identifiers[index];
      const properties =
        withIdentifier && subscriptionIdentifier !== undefined ? { subscriptionIdentifier } : undefined;
      try {
        await client.subscribeAsync(subscription, { qos, ...(properties && { properties }) });
      } catch (error) {
        refusals.push(`${subscription} (${messageOf(error)})`);
      }
    });
    void Promise.all(answers).then(() => {
      // At the end of a connection there is no answer: the next one subscribes again.
      if (client !== this.#inbound.client || !this.#subscribers.has(subscriber)) return;
      if (refusals.length === 0) {
        subscriber.onState(this.#inbound.state);
        return;
      }
      const text = `the broker refuses the subscription to ${refusals.join(', ')}`;
      subscriber.onState({ level: 'error', text });
      this.#context.log('error', 'the broker refuses a subscription', { refused: refusals.join(', ') });
    });
  }

  /**
   * Gives a PUBLISH to its subscribers. With MQTT 5 the broker names the subscriptions that it was sent for: so filters
   * of two subscribers that overlap do not give a message twice, and what a session still sends for subscriptions of an
   * earlier flow is nobody's. Without, the topic decides.
   */
  #dispatch(publish: Publish): void {
    const named = [publish.properties?.subscriptionIdentifier ?? []].flat();
    const takers = [...this.#subscribers].filter(({ identifiers, matches }) =>
      named.length > 0 ? identifiers.some((identifier) => named.includes(identifier)) : matches(publish.topic),
    );
    if (takers.length === 0) {
      this.#context.counters.add('dropped', 1, 'no-subscriber');
      if (this.#context.counters.total('dropped') === 1) {
        this.#context.log('warn', 'a message came for a subscription that this flow no longer has', {
          topic: publish.topic,
        });
      }
    }
    for (const taker of takers) taker.receive(publish, () => undefined);
  }

  async #unsubscribe(subscriber: Subscriber): Promise<void> {
    const { client } = this.#inbound;
    const others = [...this.#subscribers].filter((other) => other !== subscriber);
    if (this.#context.config.cleanStart && client !== undefined) {
      const unused = subscriber.subscriptions.filter((subscription) =>
        others.every(({ subscriptions }) => !subscriptions.includes(subscription)),
      );
      await within(END_TIMEOUT_MS, client.unsubscribeAsync(unused)).catch((error: unknown) => {
        this.#context.log('warn', 'could not unsubscribe', { reason: messageOf(error) });
      });
    } else if (others.length === 0) {
      // The subscription must outlive this process, so its end is that of the connection.
      this.#wanted.delete(this.#inbound);
      await this.#inbound.end();
    }
    this.#subscribers.delete(subscriber);
  }

  #subscriptionState(): ConnectionState {
    const { state } = this.#inbound;
    return state.level === 'ok' ? SUBSCRIBING : state;
  }

  /** The worse of the two connections. */
  #showStatus(): void {
    const states = [this.#inbound.state, this.#outbound.state];
    const level = RANK.find((candidate) => states.some((state) => state.level === candidate));
    const worst = states.find((state) => state.level === level);
    if (worst === undefined) return;
    if (worst.level === 'ok' && this.#unverified) this.#context.status('warning', `${worst.text}; ${UNVERIFIED}`);
    else this.#context.status(worst.level, worst.text);
  }
}

/** The user and password of a URL, percent-decoded, and the URL without them: that one may be shown. */
function separateLogin(text: string): { url: string; user?: string; password?: string } {
  const url = new URL(text);
  const { username, password } = url;
  if (username === '' && password === '') return { url: text };
  url.username = '';
  url.password = '';
  return {
    url: url.href,
    ...(username !== '' && { user: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
}

/** A subscription identifier (1 to 268,435,455, MQTT 5.0 section 3.8.2.1.2) that stays the same over restarts. */
function subscriptionIdentifier(subscription: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (const byte of Buffer.from(subscription)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return (hash % 268_435_455) + 1;
}
