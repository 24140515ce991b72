import mqtt, { type IClientOptions, type IConnackPacket, type IPublishPacket, type MqttClient } from 'mqtt';
import type { StatusLevel } from '../adapter/status.js';
import { backoffDelay } from '../lib/backoff.js';
import { messageOf, UnavailableError } from '../lib/errors.js';

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
}

export interface ConnectionEvents {
  /** What CONNECT carries as receiveMaximum; 0: nothing. */
  receiveMaximum(): number;
  /** After each CONNACK that accepts, before anything else arrives, and before the state says so. */
  connected(client: MqttClient, connack: IConnackPacket): void;
  /** The connection is gone. `forGood`: none is made in its place. */
  lost(forGood: boolean): void;
  message(publish: Publish): void;
  changed(state: ConnectionState): void;
  takenOver(sentence: string): void;
}

/** One PUBLISH that arrived. */
export type Publish = IPublishPacket & { readonly topic: string; readonly payload: Buffer };

type Version = 5 | 4;

const CONNECT_TIMEOUT_MS = 10_000;
/** For the broker's answers to what goes out last. */
export const END_TIMEOUT_MS = 3_000;
const BACKOFF = { initialMs: 500, maximumMs: 30_000 };
/** A connection that was lost before does not make the next pause short again. */
const HELD_MS = 10_000;
const SESSION_TAKEN_OVER = 0x8e;
/** CONNACK codes that refuse the version: 3.1.1's 1, which a 3.1.1 broker also answers to version 5, and 5's 0x84. */
const UNSUPPORTED_VERSION = new Set([0x01, 0x84]);
/** CONNACK codes that refuse who asks: 3.1.1's 4 and 5, and 5's 0x86 and 0x87. */
const REFUSED_USER = new Set([0x04, 0x05, 0x86, 0x87]);

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
  #refusal: string | undefined;

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

  /** Ends the connection; the session stays. What arrives from now on is not acknowledged: it comes again. */
  async end(): Promise<void> {
    clearTimeout(this.#retry);
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    try {
      await withTimeout(client.endAsync(!client.connected), END_TIMEOUT_MS);
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

  #connect(): void {
    const { url, user, password, clientId, cleanStart, sessionExpiry, keepalive } = this.#settings;
    const receiveMaximum = this.#events.receiveMaximum();
    const options: IClientOptions = {
      protocolVersion: this.#version,
      clientId,
      clean: cleanStart,
      keepalive,
      connectTimeout: CONNECT_TIMEOUT_MS,
      reconnectPeriod: 0, // its pause is fixed; ours grows, and differs between instances
      resubscribe: false, // each CONNACK subscribes anew, whatever the session holds
      queueQoSZero: false,
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      ...(this.#version === 5 && {
        properties: {
          sessionExpiryInterval: cleanStart ? 0 : sessionExpiry,
          ...(receiveMaximum > 0 && { receiveMaximum: Math.min(receiveMaximum, 65_535) }),
        },
      }),
    };
    this.#setState('busy', `connecting to ${url}`);
    const client = mqtt.connect(url, options);
    this.#client = client;
    const current = (): boolean => client === this.#client;
    // With an error mqtt.js sends no PUBACK and goes on.
    client.handleMessage = (_publish, done) =>
      done(current() ? undefined : new UnavailableError('not taken: the connection ends', { code: 'ending' }));
    client.on('message', (topic, payload, packet) => {
      if (current()) this.#events.message({ ...packet, topic, payload });
    });
    client.on('connect', (connack) => {
      this.#connectedAt = performance.now();
      this.#events.connected(client, connack);
      this.#setState('ok', `connected (MQTT ${this.#version === 5 ? '5' : '3.1.1'})`);
    });
    client.on('disconnect', ({ reasonCode = 0 }) => {
      if (reasonCode === SESSION_TAKEN_OVER && current()) this.#giveUpSession(client);
      else this.#refusal = `the broker ended the connection with reason 0x${reasonCode.toString(16).padStart(2, '0')}`;
    });
    client.on('error', (error) => {
      if (current()) this.#onError(client, error);
    });
    client.on('close', () => {
      if (current()) this.#onClose(client);
    });
  }

  #onError(client: MqttClient, error: Error): void {
    const code = 'code' in error && typeof error.code === 'number' ? error.code : undefined;
    if (code !== undefined && UNSUPPORTED_VERSION.has(code)) {
      if (this.#version === 5 && this.#settings.protocol === 'auto') {
        this.#version = 4;
        client.end(true);
        this.#connect();
        return;
      }
      this.#refusal = `the broker refuses MQTT ${this.#version === 5 ? '5' : '3.1.1'}: choose another protocol`;
    } else if (code !== undefined && REFUSED_USER.has(code)) {
      this.#refusal = `the broker refuses the user or password (${error.message})`;
    } else {
      this.#refusal = messageOf(error);
    }
  }

  #onClose(client: MqttClient): void {
    const { url, clientId } = this.#settings;
    this.#countLoss();
    let reason = this.#refusal ?? 'the connection was lost';
    this.#refusal = undefined;
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

/** @throws UnavailableError `timeout` when the promise takes longer */
export async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new UnavailableError(`expected an answer within ${ms} ms, got none`, { code: 'timeout' })),
      ms,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
