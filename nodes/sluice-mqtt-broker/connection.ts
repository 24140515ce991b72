import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt';
import type { StatusLevel } from '../adapter/status.js';
import { within } from '../adapter/waiting.js';
import { backoffDelay } from '../lib/backoff.js';
import { messageOf, UnavailableError } from '../lib/errors.js';
import { failureSentence, isUnsupportedVersion } from './failure.js';
import type { Tls } from './tls.js';

export interface ConnectionState {
  readonly level: StatusLevel;
  readonly text: string;
}

export interface ConnectionSettings {
  /** Without user and password: it is shown. */
  readonly url: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly protocol: 'auto' | '5' | '3.1.1';
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds. */
  readonly sessionExpiry: number;
  /** Seconds. */
  readonly keepalive: number;
  /** For mqtts:// and wss://. */
  readonly tls: Tls | undefined;
  /** Whether the broker may use topic aliases. */
  readonly topicAliases: boolean;
  readonly will?: Will;
}

export interface Will {
  /** None: there is no will. */
  readonly topic?: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Seconds, with MQTT 5. */
  readonly delay: number;
}

export interface ConnectionEvents {
  /** What CONNECT carries as receiveMaximum; 0: nothing. */
  receiveMaximum(): number;
  /** A client that is about to connect, for those who must hear all of it. */
  made?(client: MqttClient): void;
  /** After each CONNACK that accepts, before anything else arrives, and before the state says so. */
  connected(client: MqttClient, connack: IConnackPacket): void;
  /** The connection is gone. `forGood`: none is made in its place. */
  lost(forGood: boolean): void;
  changed(state: ConnectionState): void;
  takenOver(sentence: string): void;
}

type Version = 5 | 4;

const CONNECT_TIMEOUT_MS = 10_000;
/** For the broker's answers to what goes out last. */
export const END_TIMEOUT_MS = 3_000;
const BACKOFF = { initialMs: 500, maximumMs: 30_000 };
/** A connection that was lost before does not make the next pause short again. */
const HELD_MS = 10_000;
const SESSION_TAKEN_OVER = 0x8e;
/** How many topics are kept for a broker that sends aliases for them. */
const INCOMING_ALIASES = 256;

/** One client, which connects, and connects again, until it is ended or another client takes its session. */
export class Connection {
  readonly #settings: ConnectionSettings;
  readonly #events: ConnectionEvents;
  #state: ConnectionState = { level: 'off', text: 'not connected: no node uses it' };
  #client: MqttClient | undefined;
  #version: Version;
  /** No connection is made any more: it is closed, or its session belongs to another client. */
  #over = false;
  #attempt = 0;
  #connectedAt: number | undefined;
  /** How many connections in a row were lost soon after they were made. */
  #cutShort = 0;
  #retry: NodeJS.Timeout | undefined;
  /** Why the connection that is being made, or was, has failed: the first thing that was said of it. */
  #failure: string | undefined;

  constructor(settings: ConnectionSettings, events: ConnectionEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#version = settings.protocol === '3.1.1' ? 4 : 5;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** The MQTT version in use: 5, or 3.1.1's 4. */
  get version(): Version {
    return this.#version;
  }

  /** The client while it is connected. */
  get client(): MqttClient | undefined {
    return this.#client?.connected === true ? this.#client : undefined;
  }

  open(): void {
    if (this.#client === undefined && !this.#over) this.#connect();
  }

  /** Breaks it as a line that fails does: without a DISCONNECT. */
  disrupt(): void {
    this.client?.stream.destroy();
  }

  /** Ends the connection; the session stays. */
  async end(): Promise<void> {
    clearTimeout(this.#retry);
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    try {
      await within(END_TIMEOUT_MS, client.endAsync(!client.connected));
    } catch {
      client.stream.destroy(); // it waits for answers that do not come, and takes no second `end`
    }
    this.#setState('off', 'disconnected');
    this.#events.lost(true);
  }

  async close(): Promise<void> {
    this.#over = true;
    await this.end();
  }

  /** Whether no connection is made any more. */
  get over(): boolean {
    return this.#over;
  }

  /**
   * Ends the connection, for good, and with it the session: what the broker has for it is gone.
   *
   * @throws UnavailableError without a connection to say it on; or, with MQTT 3.1.1, where no other is made
   */
  async endSession(): Promise<void> {
    if (this.#over || this.#client === undefined) return;
    const { client } = this;
    if (client === undefined) {
      throw new UnavailableError(`expected a connection to end the session on, got none: ${this.#state.text}`, {
        code: 'broker-away',
      });
    }
    const options = this.#options();
    if (this.#version === 5) {
      // [MQTT-3.14.2-2] allows it for every session. It is written in this turn, before anything else can come.
      const ended = client.endAsync(false, { reasonCode: 0, properties: { sessionExpiryInterval: 0 } });
      await within(END_TIMEOUT_MS, ended).catch(() => client.stream.destroy());
      await this.close();
    } else {
      await this.close();
      await discardSession(this.#settings.url, options);
    }
  }

  #connect(): void {
    const { url } = this.#settings;
    this.#setState('busy', `connecting to ${url}`);
    const client = mqtt.connect(url, this.#options());
    this.#client = client;
    const current = (): boolean => client === this.#client;
    this.#events.made?.(client);
    client.on('connect', (connack) => {
      this.#connectedAt = performance.now();
      this.#failure = undefined;
      this.#events.connected(client, connack);
      this.#setState('ok', `connected (${this.#protocol()})`);
    });
    client.on('disconnect', ({ reasonCode = 0 }) => {
      if (reasonCode === SESSION_TAKEN_OVER && current()) this.#giveUpSession(client);
      else this.#failure = `the broker ended the connection with reason 0x${reasonCode.toString(16).padStart(2, '0')}`;
    });
    client.on('error', (error) => {
      if (current()) this.#onError(client, error);
    });
    client.on('close', () => {
      if (current()) this.#onClose(client);
    });
    this.#watchStream(client);
  }

  #options(): IClientOptions {
    const { url, user, password, clientId, cleanStart, sessionExpiry, keepalive, tls, topicAliases } = this.#settings;
    const receiveMaximum = this.#events.receiveMaximum();
    const will = this.#will();
    return {
      protocolVersion: this.#version,
      clientId,
      clean: cleanStart,
      keepalive,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0, // its pause is fixed; ours grows, and differs between instances
      resubscribe: false, // each CONNACK subscribes anew, whatever the session holds
      queueQoSZero: false,
      // Over a WebSocket mqtt.js passes on all that TLS needs but the name, and takes a client id out of the query.
      query: {},
      ...tls?.options,
      ...(tls !== undefined && url.startsWith('wss:') && { wsOptions: { ...tls.options } }),
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      ...(will !== undefined && { will }),
      ...(this.#version === 5 && {
        properties: {
          sessionExpiryInterval: cleanStart ? 0 : sessionExpiry,
          ...(receiveMaximum > 0 && { receiveMaximum: Math.min(receiveMaximum, 65_535) }),
          ...(receiveMaximum > 0 && topicAliases && { topicAliasMaximum: INCOMING_ALIASES }),
        },
      }),
    };
  }

  #will(): IClientOptions['will'] {
    const { will } = this.#settings;
    if (will?.topic === undefined) return undefined;
    const { topic, payload, qos, retain, delay } = will;
    return {
      topic,
      payload: Buffer.from(payload),
      qos,
      retain,
      ...(this.#version === 5 && delay > 0 && { properties: { willDelayInterval: delay } }),
    };
  }

  /** 3.1.1 has no receiveMaximum. */
  #protocol(): string {
    if (this.#version === 5) return 'MQTT 5';
    return this.#events.receiveMaximum() > 0 ? 'MQTT 3.1.1: the broker decides the window' : 'MQTT 3.1.1';
  }

  /** What mqtt.js keeps to itself: errors without a code (of a WebSocket), and those of TLS where nothing is verified. */
  #watchStream(client: MqttClient): void {
    client.stream.on('error', (error: Error) => {
      if (client === this.#client) this.#onError(client, error);
    });
  }

  #onError(client: MqttClient, error: Error): void {
    if (isUnsupportedVersion(error) && this.#version === 5 && this.#settings.protocol === 'auto') {
      this.#version = 4;
      client.end(true);
      this.#connect();
      return;
    }
    this.#failure ??= this.#sentence(error);
  }

  #sentence(error: Error | undefined): string {
    return failureSentence(error, {
      url: this.#settings.url,
      version: this.#version,
      tls: this.#settings.tls,
      connected: this.#connectedAt !== undefined,
    });
  }

  #onClose(client: MqttClient): void {
    const { url, clientId } = this.#settings;
    let reason = this.#failure ?? this.#sentence(undefined);
    this.#countLoss();
    this.#failure = undefined;
    if (this.#cutShort > 1) {
      // Before MQTT 5, and with mosquitto 2.0, nothing else tells that a session was taken over.
      reason = `${reason}, ${this.#cutShort} times soon after it was made: is there another client with the id "${clientId}"?`;
    }
    const wait = backoffDelay(this.#attempt++, BACKOFF);
    this.#setState('error', `${reason}; trying again in ${Math.ceil(wait / 1_000)} s (${url})`);
    this.#events.lost(false);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      // Its stores stay: publishes without an answer are sent again under their packet ids [MQTT-4.4.0-1].
      const { incomingStore, outgoingStore } = client;
      client.reconnect({ incomingStore, outgoingStore });
      this.#watchStream(client);
    }, wait);
  }

  #countLoss(): void {
    if (this.#connectedAt === undefined) return; // there was no connection to lose
    if (performance.now() - this.#connectedAt < HELD_MS) this.#cutShort++;
    else this.#attempt = this.#cutShort = 0;
    this.#connectedAt = undefined;
  }

  /** Reconnecting would throw out the other client, which would throw out this one, for ever. */
  #giveUpSession(client: MqttClient): void {
    this.#over = true;
    this.#client = undefined;
    client.end(true);
    const { clientId } = this.#settings;
    const sentence = `another client took over the session of client id "${clientId}"; give each its own client id and deploy again`;
    this.#setState('error', sentence);
    this.#events.takenOver(sentence);
    this.#events.lost(true);
  }

  #setState(level: StatusLevel, text: string): void {
    this.#state = { level, text };
    this.#events.changed(this.#state);
  }
}

/** MQTT 3.1.1 has no other way to end a session than to begin a clean one under its id [MQTT-3.1.2-6]. */
async function discardSession(url: string, options: IClientOptions): Promise<void> {
  const { will: _none, ...clean } = options;
  const client = await mqtt.connectAsync(url, { ...clean, clean: true }, false).catch((error: unknown) => {
    throw new UnavailableError(`expected the broker to begin a clean session, got: ${messageOf(error)}`, {
      code: 'broker-away',
      cause: error,
    });
  });
  await client.endAsync();
}
