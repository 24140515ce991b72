import mqtt, { type IClientOptions, type IClientPublishOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import type { StatusLevel } from '../adapter/status.js';
import { backoffDelay } from '../lib/backoff.js';
import { messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import { compileTopicFilter } from '../lib/topic.js';
import type { Config, Credentials } from './config.js';

/** One PUBLISH that arrived. */
export type Publish = IPublishPacket & { readonly topic: string; readonly payload: Buffer };

export interface SubscriptionRequest {
  /** Stable for a node: the broker's subscription identifier is made from it. */
  readonly id: string;
  /** Topic filters without the prefix of a shared subscription. */
  readonly filters: readonly string[];
  readonly qos: 0 | 1 | 2;
  /** The group of a shared subscription (MQTT 5.0 section 4.8.2). */
  readonly group?: string | undefined;
  /** How many messages this subscriber takes before it has answered one: its share of receiveMaximum. */
  readonly window: number;
  receive(publish: Publish): void;
}

export interface Subscription {
  /** Resolves at the first SUBACK that grants every filter. */
  readonly ready: Promise<void>;
  /** No message is received any more when it resolves. A session that the broker keeps goes on collecting. */
  stop(): Promise<void>;
}

export interface BrokerState {
  readonly level: StatusLevel;
  readonly text: string;
}

interface Subscriber extends SubscriptionRequest {
  readonly identifier: number;
  readonly matches: (topic: string) => boolean;
  readonly granted: PromiseWithResolvers<void>;
}

type BrokerContext = Pick<
  NodeContext<Config, Credentials>,
  'id' | 'instance' | 'config' | 'credentials' | 'counters' | 'status' | 'log'
>;

type Version = 5 | 4;

const CONNECT_TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 3_000;
const BACKOFF = { initialMs: 500, maximumMs: 30_000 };
const SESSION_TAKEN_OVER = 0x8e;
/** CONNACK codes that refuse the version: 3.1.1's 1, which a 3.1.1 broker also answers to version 5, and 5's 0x84. */
const UNSUPPORTED_VERSION = new Set([0x01, 0x84]);
/** CONNACK codes that refuse who asks: 3.1.1's 4 and 5, and 5's 0x86 and 0x87. */
const REFUSED_USER = new Set([0x04, 0x05, 0x86, 0x87]);
/** What a 3.1.1 broker is assumed to take unanswered; it has no way to say. MQTT 5: its own, default 65,535. */
const DEFAULT_SEND_WINDOW = { 4: 20, 5: 65_535 } as const;

/** One client for all nodes that name the broker: its connection, its subscriptions, its session. */
export class MqttBroker implements Behaviour {
  /** Node-RED's own nodes have taken the name `mqtt-broker`. */
  static readonly nodeType = 'sluice-mqtt-broker';

  readonly #context: BrokerContext;
  readonly #clientId: string;
  readonly #subscribers = new Map<string, Subscriber>();
  readonly #listeners = new Set<(state: BrokerState) => void>();
  #state: BrokerState = { level: 'off', text: 'not connected: no node uses it' };
  #client: MqttClient | undefined;
  #version: Version;
  #started = false;
  #wanted = false;
  /** No connection is made any more: the node is closed, or its session belongs to another client. */
  #over = false;
  #attempt = 0;
  #retry: NodeJS.Timeout | undefined;
  #unanswered = 0;
  #sendWindow = 0;
  #identifiersAvailable = true;
  readonly #waiting: (() => void)[] = [];
  #refusal: string | undefined;

  constructor(context: BrokerContext) {
    this.#context = context;
    this.#version = context.config.protocol === '3.1.1' ? 4 : 5;
    this.#clientId = context.config.clientId ?? `sluice-${context.instance}-${context.id}`;
  }

  get state(): BrokerState {
    return this.#state;
  }

  /** The MQTT version in use: 5 or 3.1.1's 4. */
  get version(): Version {
    return this.#version;
  }

  /** Calls the listener now and at every change. @returns what ends that */
  onState(listener: (state: BrokerState) => void): () => void {
    this.#want();
    this.#listeners.add(listener);
    listener(this.#state);
    return () => this.#listeners.delete(listener);
  }

  subscribe(request: SubscriptionRequest): Subscription {
    const matchers = request.filters.map(compileTopicFilter);
    const subscriber: Subscriber = {
      ...request,
      identifier: subscriptionIdentifier(request.id),
      matches: (topic) => matchers.some((matches) => matches(topic)),
      granted: Promise.withResolvers<void>(),
    };
    this.#subscribers.set(request.id, subscriber);
    this.#want();
    if (this.#client?.connected === true) this.#sendSubscribe(this.#client, subscriber);
    return {
      ready: subscriber.granted.promise,
      stop: () => this.#unsubscribe(subscriber),
    };
  }

  /**
   * Publishes one message.
   *
   * @returns resolves when the broker has answered (QoS 0: when it is written)
   * @throws UnavailableError when there is no connection, or it was lost before the answer
   * @throws RejectedError when the broker refuses this message (MQTT 5 reason codes from 0x80 on)
   */
  async publish(topic: string, payload: Buffer | string, options: IClientPublishOptions): Promise<void> {
    this.#want();
    // mqtt.js does not keep to the server's receiveMaximum, and a server may disconnect for it [MQTT-3.3.4-9].
    const counted = (options.qos ?? 0) > 0;
    if (counted) {
      while (this.#unanswered >= this.#sendWindow && this.#client?.connected === true) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
      }
    }
    const client = this.#client;
    if (client?.connected !== true) {
      throw new UnavailableError(`not published: ${this.#state.text}`, { code: 'not-connected' });
    }
    const { properties, ...rest } = options;
    if (counted) this.#unanswered++;
    try {
      await client.publishAsync(topic, payload, this.#version === 5 && properties !== undefined ? options : rest);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (typeof code === 'number' && code >= 0x80) {
        throw new RejectedError(`the broker refused the message: ${messageOf(error)}`, {
          code: 'refused-by-broker',
          cause: error,
        });
      }
      throw new UnavailableError(`not published: ${messageOf(error)}`, { code: 'connection-lost', cause: error });
    } finally {
      if (counted) {
        this.#unanswered--;
        this.#waiting.shift()?.();
      }
    }
  }

  start(): void {
    this.#started = true;
    if (this.#wanted) this.#want();
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#listeners.clear();
    await this.#end();
  }

  #want(): void {
    this.#wanted = true;
    if (this.#started && this.#client === undefined && !this.#over) this.#connect();
  }

  #connect(): void {
    const { config, credentials } = this.#context;
    const window = [...this.#subscribers.values()].reduce((sum, { window }) => sum + window, 0);
    const options: IClientOptions = {
      protocolVersion: this.#version,
      clientId: this.#clientId,
      clean: config.cleanStart,
      keepalive: config.keepalive,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0, // its pause is fixed; ours grows, and differs between instances
      resubscribe: false, // each CONNACK subscribes anew, whatever the session holds
      queueQoSZero: false,
      ...(credentials.user !== undefined && { username: credentials.user }),
      ...(credentials.password !== undefined && { password: credentials.password }),
      ...(this.#version === 5 && {
        properties: {
          sessionExpiryInterval: config.cleanStart ? 0 : config.sessionExpiry,
          ...(window > 0 && { receiveMaximum: Math.min(window, 65_535) }),
        },
      }),
    };
    this.#setState('busy', `connecting to ${config.url}`);
    const client = mqtt.connect(config.url, options);
    this.#client = client;
    client.on('connect', (connack) => {
      this.#attempt = 0;
      this.#refusal = undefined;
      this.#sendWindow = connack.properties?.receiveMaximum ?? DEFAULT_SEND_WINDOW[this.#version];
      this.#identifiersAvailable = connack.properties?.subscriptionIdentifiersAvailable !== false;
      this.#setState('ok', `connected (MQTT ${this.#version === 5 ? '5' : '3.1.1'})`);
      for (const subscriber of this.#subscribers.values()) this.#sendSubscribe(client, subscriber);
    });
    client.on('message', (topic, payload, packet) => this.#dispatch({ ...packet, topic, payload }));
    client.on('disconnect', ({ reasonCode }) => {
      if (reasonCode === SESSION_TAKEN_OVER) this.#giveUpSession(client);
      else this.#refusal = `the broker ended the connection with reason 0x${(reasonCode ?? 0).toString(16)}`;
    });
    client.on('error', (error) => {
      const code = (error as { code?: unknown }).code;
      if (
        typeof code === 'number' &&
        UNSUPPORTED_VERSION.has(code) &&
        this.#version === 5 &&
        config.protocol === 'auto'
      ) {
        this.#version = 4;
        this.#replace(client);
        return;
      }
      this.#refusal =
        typeof code === 'number' && REFUSED_USER.has(code)
          ? `the broker refused the user or password (${messageOf(error)})`
          : messageOf(error);
    });
    client.on('close', () => this.#onClose(client));
  }

  /** Leaves a client that speaks the wrong version for one that speaks the other. */
  #replace(client: MqttClient): void {
    client.removeAllListeners();
    client.on('error', () => undefined); // what it still says belongs to nobody
    client.end(true);
    this.#connect();
  }

  #onClose(client: MqttClient): void {
    for (const wake of this.#waiting.splice(0)) wake();
    if (client !== this.#client) return;
    clearTimeout(this.#retry);
    const wait = backoffDelay(this.#attempt++, BACKOFF);
    const reason = this.#refusal ?? 'the connection was lost';
    this.#setState('error', `${this.#context.config.url}: ${reason}; trying again in ${Math.ceil(wait / 1_000)} s`);
    this.#retry = setTimeout(() => {
      // Its stores stay: publishes without an answer are sent again under their packet ids [MQTT-4.4.0-1].
      const { incomingStore, outgoingStore } = client;
      client.reconnect({ incomingStore, outgoingStore });
    }, wait);
  }

  /** Reconnecting would throw out the other client, which would throw out this one, for ever. */
  #giveUpSession(client: MqttClient): void {
    this.#over = true;
    this.#client = undefined;
    client.end(true);
    this.#setState(
      'error',
      `another client took over the session of client id "${this.#clientId}"; give each its own client id and deploy again`,
    );
    this.#context.log('error', 'the session was taken over by another client with the same client id', {
      clientId: this.#clientId,
    });
  }

  #sendSubscribe(client: MqttClient, subscriber: Subscriber): void {
    const { group, filters, qos, identifier } = subscriber;
    const withIdentifier = this.#version === 5 && this.#identifiersAvailable;
    client.subscribe(
      filters.map((filter) => (group === undefined ? filter : `$share/${group}/${filter}`)),
      { qos, ...(withIdentifier && { properties: { subscriptionIdentifier: identifier } }) },
      (error, granted = []) => {
        const refused = granted.filter(({ qos: answer }) => answer >= 0x80).map(({ topic }) => topic);
        if (error === null && refused.length === 0) subscriber.granted.resolve();
        else if (client.connected) {
          const what =
            refused.length > 0 ? `the broker refused the subscription to ${refused.join(', ')}` : messageOf(error);
          this.#setState('error', what);
          this.#context.log('error', 'could not subscribe', { filters: filters.join(','), reason: what });
        }
      },
    );
  }

  /**
   * Gives a PUBLISH to its subscriber. With MQTT 5 the broker names the subscriptions that it was sent for, so that
   * overlapping filters do not give a message twice; without, or when the name is of an earlier flow, the topic decides.
   */
  #dispatch(publish: Publish): void {
    const named = publish.properties?.subscriptionIdentifier;
    const identifiers = named === undefined ? [] : Array.isArray(named) ? named : [named];
    const all = [...this.#subscribers.values()];
    let takers = all.filter(({ identifier }) => identifiers.includes(identifier));
    if (takers.length === 0) takers = all.filter(({ matches }) => matches(publish.topic));
    if (takers.length === 0) {
      // A session that the broker kept may hold subscriptions of an earlier flow.
      this.#context.counters.add('dropped', 1, 'no-subscriber');
      if (this.#context.counters.total('dropped') === 1) {
        this.#context.log('warn', 'a message came for a subscription that this flow no longer has', {
          topic: publish.topic,
        });
      }
    }
    for (const taker of takers) taker.receive(publish);
  }

  async #unsubscribe(subscriber: Subscriber): Promise<void> {
    if (this.#subscribers.get(subscriber.id) !== subscriber) return;
    this.#subscribers.delete(subscriber.id);
    const client = this.#client;
    if (client?.connected !== true) return;
    if (!this.#context.config.cleanStart) {
      // The subscription must outlive this process, so its end is that of the connection.
      if (this.#subscribers.size === 0) await this.#end();
      return;
    }
    const filters = subscriber.filters.map((filter) =>
      subscriber.group === undefined ? filter : `$share/${subscriber.group}/${filter}`,
    );
    await withTimeout(client.unsubscribeAsync(filters), END_TIMEOUT_MS).catch((error: unknown) => {
      this.#context.log('warn', 'could not unsubscribe', { reason: messageOf(error) });
    });
  }

  async #end(): Promise<void> {
    clearTimeout(this.#retry);
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    try {
      await withTimeout(client.endAsync(!client.connected), END_TIMEOUT_MS);
    } catch {
      client.end(true); // it waits for answers that will not come
    }
    this.#setState('off', 'disconnected');
  }

  #setState(level: StatusLevel, text: string): void {
    this.#state = { level, text };
    this.#context.status(level, text);
    for (const listener of this.#listeners) listener(this.#state);
  }
}

/** A subscription identifier (1 to 268,435,455, MQTT 5.0 section 3.8.2.1.2) that stays the same over restarts. */
function subscriptionIdentifier(id: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (const byte of Buffer.from(id)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return (hash % 268_435_455) + 1;
}

async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new UnavailableError(`expected an answer within ${ms} ms, got none`, { code: 'timeout' })),
      ms,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
