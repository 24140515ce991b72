import { randomBytes } from 'node:crypto';
import { connect, type IConnackPacket, type MqttClient } from 'mqtt';
import type { FleetOptions } from '../../launcher/instance-protocol.js';
import { UserError } from '../../launcher/user-error.js';
import { BROKER_PROTOCOLS } from '../broker-protocols.js';
import { instanceName } from '../identity.js';
import { FleetKeys } from '../keys.js';
import { FleetTopics } from '../topics.js';

/**
 * @param body - undefined for a message that was not signed for its topic by a holder of the secret
 * @param retained - whether the broker had kept it
 */
type Listener = (topic: string, body: Buffer | undefined, raw: Buffer, retained: boolean) => void;

interface Subscription {
  readonly filter: string;
  readonly listener: Listener;
}

const RECONNECT_MS = 1_000;
const CONNECT_LIMIT_MS = 10_000;
const KEEPALIVE_SECONDS = 10;
const ECHO_LIMIT_MS = 5_000;
const STOP_LIMIT_MS = 2_000;
/** "Unsupported protocol version": of MQTT 3.1.1 (CONNACK return code 1) and of MQTT 5 (reason code 0x84). */
const WRONG_VERSION = new Set<unknown>([1, 0x84]);
/** Where the broker does not say what it takes. */
const PACKET_BYTES = 64 * 1024;
/** The topic, the signature and the packet's own fields, beside the payload. */
const AROUND_PAYLOAD_BYTES = 512;
const LEAST_PAYLOAD_BYTES = 256;

/**
 * The process's own connection to the fleet's broker: reconnects for ever, subscribes anew each time, signs what goes out
 * and verifies what comes in. It has no session: what matters is retained.
 */
export class FleetBus {
  readonly topics: FleetTopics;
  readonly keys: FleetKeys;
  readonly #client: MqttClient;
  readonly #broker: string;
  readonly #subscriptions = new Set<Subscription>();
  readonly #syncedListeners: (() => void)[] = [];
  readonly #lostListeners: (() => void)[] = [];
  /** What was to be published while the broker was away: the newest of each topic. */
  readonly #waiting = new Map<string, { readonly body: Uint8Array; readonly retain: boolean }>();
  #problem: string | undefined;
  #packetBytes = PACKET_BYTES;
  /** Counts connections: what was begun on an earlier one says nothing of this. */
  #connection = 0;
  #isSynced = false;
  #isOpen = false;

  /** @throws UserError for an address that is none of a broker */
  constructor(options: FleetOptions) {
    const { brokerUrl, fleet, secret } = options;
    this.topics = new FleetTopics(fleet);
    this.keys = new FleetKeys(secret, fleet);
    const { url, login } = addressOf(brokerUrl);
    this.#broker = url;
    this.#problem = `the fleet's broker at ${this.#broker} has not answered yet`;
    this.#client = connect(url, {
      ...login,
      // Never the same twice: of two editors by mistake none ends the other's connection.
      clientId: `${instanceName(options)}-flows-${randomBytes(4).toString('hex')}`,
      protocolVersion: 5,
      clean: true,
      resubscribe: false,
      reconnectPeriod: RECONNECT_MS,
      reconnectOnConnackError: true,
      connectTimeout: CONNECT_LIMIT_MS,
      keepalive: KEEPALIVE_SECONDS,
      manualConnect: true,
    });
    this.#client.on('connect', (connack) => void this.#connected(connack));
    this.#client.on('message', (topic, payload, { retain }) => this.#received(topic, payload, retain));
    this.#client.on('close', () => {
      this.#isSynced = false;
      for (const listener of this.#lostListeners) listener();
    });
    this.#client.on('error', (error) => {
      if (WRONG_VERSION.has((error as { code?: unknown }).code)) this.#client.options.protocolVersion = 4;
      this.#problem = `the fleet's broker at ${this.#broker} cannot be used: ${reasonOf(error)}`;
    });
    this.#client.on('offline', () => (this.#problem ??= `the fleet's broker at ${this.#broker} is away`));
  }

  /** What the broker publishes, signed, when it loses this process. Before `open`. */
  will(topic: string, body: Uint8Array): void {
    this.#client.options.will = { topic, payload: this.keys.sign(topic, body), qos: 1, retain: false };
  }

  /** Connects, and does so again whenever it must. */
  open(): void {
    this.#isOpen = true;
    this.#client.connect();
  }

  /** Why nothing can be heard, in a sentence; undefined while all is well. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** How much a message can carry on this connection. */
  get payloadBytes(): number {
    return Math.max(LEAST_PAYLOAD_BYTES, this.#packetBytes - AROUND_PAYLOAD_BYTES);
  }

  /** Whether all that is retained has been received on this connection. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Calls back on each connection, when all that is retained for the subscriptions has been received. */
  onSynced(listener: () => void): void {
    this.#syncedListeners.push(listener);
  }

  /** Calls back when a connection has ended. */
  onLost(listener: () => void): void {
    this.#lostListeners.push(listener);
  }

  /** Listens to a topic, with at most one `+` as its last level, now and on each connection. @returns what ends it */
  subscribe(filter: string, listener: Listener): () => void {
    const subscription = { filter, listener };
    this.#subscriptions.add(subscription);
    if (this.#client.connected) void this.#subscribe(filter);
    return () => {
      this.#subscriptions.delete(subscription);
      if (this.#client.connected) this.#client.unsubscribe(filter);
    };
  }

  /** Publishes at QoS 1, signed; while the broker is away it waits, and only the newest of a topic. */
  publish(topic: string, body: Uint8Array, retain: boolean): void {
    if (!this.#client.connected) this.#waiting.set(topic, { body, retain });
    else void this.publishNow(topic, body, retain).catch((error: unknown) => this.#cannotPublish(topic, error));
  }

  /** Publishes at QoS 1, signed. @returns when the broker has it, also on a later connection. @throws when it is refused */
  async publishNow(topic: string, body: Uint8Array, retain: boolean): Promise<void> {
    await this.#client.publishAsync(topic, this.keys.sign(topic, body), { qos: 1, retain });
  }

  /** Takes what is retained from a topic [MQTT-3.3.1-6]. */
  async clear(topic: string): Promise<void> {
    await this.#client.publishAsync(topic, '', { qos: 1, retain: true });
  }

  async stop(): Promise<void> {
    if (!this.#isOpen) return;
    const closed = this.#client.endAsync(!this.#client.connected);
    const limit = AbortSignal.timeout(STOP_LIMIT_MS);
    limit.addEventListener('abort', () => this.#client.end(true));
    await closed.catch(() => undefined); // it was cut off by the limit
  }

  async #connected({ properties }: IConnackPacket): Promise<void> {
    const connection = ++this.#connection;
    this.#packetBytes = Math.min(properties?.maximumPacketSize ?? PACKET_BYTES, PACKET_BYTES);
    this.#problem = undefined;
    const filters = new Set([...this.#subscriptions].map(({ filter }) => filter));
    for (const filter of filters) await this.#subscribe(filter);
    if (connection !== this.#connection) return;
    for (const [topic, { body, retain }] of this.#waiting) this.publish(topic, body, retain);
    this.#waiting.clear();
    await this.#sync(connection);
  }

  async #subscribe(filter: string): Promise<void> {
    try {
      const [granted] = await this.#client.subscribeAsync(filter, { qos: 1 });
      if (granted !== undefined && granted.qos >= 0x80) throw new Error(`reason ${granted.qos}`);
    } catch (error) {
      if (this.#client.connected) {
        this.#problem = `the fleet's broker at ${this.#broker} does not let this instance read ${filter}: ${reasonOf(error)}`;
      }
    }
  }

  /** A broker sends what is retained when it answers a SUBSCRIBE, and no end of it: what comes back afterwards is that. */
  async #sync(connection: number): Promise<void> {
    const topic = this.topics.echo(randomBytes(8).toString('hex'));
    const silent = setTimeout(() => {
      this.#problem ??= `the fleet's broker at ${this.#broker} does not give back what is published: may this user read and write sluice/#?`;
    }, ECHO_LIMIT_MS);
    const end = this.subscribe(topic, () => {
      clearTimeout(silent);
      end();
      if (connection !== this.#connection) return;
      this.#problem = undefined;
      this.#isSynced = true;
      for (const listener of this.#syncedListeners) listener();
    });
    const abandon = (): void => {
      clearTimeout(silent);
      end();
    };
    this.#client.once('close', abandon);
    try {
      await this.publishNow(topic, Buffer.alloc(0), false);
    } catch (error) {
      this.#cannotPublish(topic, error);
    }
  }

  #received(topic: string, payload: Buffer, retained: boolean): void {
    const body = this.keys.verify(topic, payload);
    for (const { filter, listener } of [...this.#subscriptions]) {
      if (matches(filter, topic)) listener(topic, body, payload, retained);
    }
  }

  #cannotPublish(topic: string, error: unknown): void {
    if (!this.#client.connected) return;
    this.#problem = `the fleet's broker at ${this.#broker} does not let this instance publish to ${topic}: ${reasonOf(error)}`;
  }
}

/** A name with several addresses gives an error without a message. */
function reasonOf(error: unknown): string {
  const { message = '', code = 'no reason' } = error as { message?: string; code?: string | number };
  return message === '' ? String(code) : message;
}

interface BrokerAddress {
  /** Without user, password and query. */
  readonly url: string;
  readonly login: { readonly username?: string; readonly password?: string };
}

/** mqtt.js itself parts user and password at the last colon, and takes a client id from the query. @throws UserError */
function addressOf(brokerUrl: string): BrokerAddress {
  const url = URL.parse(brokerUrl);
  try {
    if (url !== null && BROKER_PROTOCOLS.includes(url.protocol) && url.host !== '') {
      const [username, password] = [url.username, url.password].map(decodeURIComponent);
      return {
        url: `${url.protocol}//${url.host}${url.protocol.startsWith('ws') ? url.pathname : ''}`,
        login: { ...(username && { username }), ...(password && { password }) },
      };
    }
  } catch {
    // a percent sign that encodes nothing
  }
  throw new UserError("expected the fleet's broker as mqtt://host:port or mqtts://host:port, got another address");
}

function matches(filter: string, topic: string): boolean {
  if (!filter.endsWith('/+')) return filter === topic;
  const parent = filter.slice(0, -1);
  return topic.startsWith(parent) && !topic.slice(parent.length).includes('/');
}
