import type { IConnackPacket, MqttClient, Packet } from 'mqtt';
import { messageOf, RejectedError, UnavailableError } from '../lib/errors.js';
import { LARGEST_PACKET, publishSize } from './packet-size.js';
import { TopicAliases } from './topic-aliases.js';

/** One message to publish. Its texts must be what MQTT can carry: a wrong one would end the connection. */
export interface Publication {
  readonly topic: string;
  readonly payload: Buffer | string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** MQTT 5; left out with 3.1.1. */
  readonly properties?: PublishProperties | undefined;
}

export interface PublishProperties {
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  /** Seconds. */
  messageExpiryInterval?: number;
  userProperties?: Record<string, string | string[]>;
}

export interface PublishAnswer {
  /** The broker said that nobody has a subscription for it (MQTT 5, reason 0x10). */
  readonly noSubscriber: boolean;
  /** Its time was over before it could be sent: it was not (MQTT 5, message expiry interval). */
  readonly expired: boolean;
}

/** A message on its way to the broker. */
export interface Publishing {
  /**
   * Resolves when the broker has answered (QoS 0: when it is written).
   *
   * @throws UnavailableError when there is no connection, or none any more to answer
   * @throws RejectedError when the broker refuses this message, or has said that it takes none such
   */
  readonly answered: Promise<PublishAnswer>;
  /** Whether the connection has been given it: then it may arrive, whatever becomes of it here. */
  readonly sent: boolean;
  /** Gives it up: `answered` rejects with this error, and what was not sent will not be. */
  abandon(error: Error): void;
}

interface Entry {
  readonly publication: Publication;
  /** Whether it waits where there is no connection. */
  readonly patient: boolean;
  readonly answer: PromiseWithResolvers<PublishAnswer>;
  /** When it was given, by the clock that never goes back. */
  readonly since: number;
  sent: boolean;
  /** Of QoS 1 and 2, once it is sent. */
  id: number;
}

/** What a connection takes: from CONNACK. */
interface Line {
  readonly client: MqttClient;
  readonly version: 4 | 5;
  readonly window: number;
  readonly aliases: TopicAliases;
  readonly limits: Limits;
}

type Limits = Pick<NonNullable<IConnackPacket['properties']>, 'maximumQoS' | 'retainAvailable' | 'maximumPacketSize'>;

/** What a 3.1.1 broker is assumed to take unanswered; it has no way to say. MQTT 5: its own, default 65,535. */
const DEFAULT_WINDOW = { 4: 20, 5: 65_535 } as const;
/** PUBACK, PUBREC and PUBCOMP codes of MQTT 5 that say nothing against the message: packet id in use or not found, quota. */
const MAY_PASS = new Set([0x91, 0x92, 0x97]);
const NO_MATCHING_SUBSCRIBERS = 0x10;
/** A topic alias, and one byte more for each of the two lengths that it may make longer. */
const ALIAS_BYTES = 3 + 2;

/**
 * What goes out, of all nodes that publish by one broker, in the order in which it was given. Never more is unanswered
 * than the broker takes: mqtt.js does not keep to its receiveMaximum, and a broker may disconnect for it [MQTT-3.3.4-9].
 */
export class Outbox {
  readonly #aliasesWanted: boolean;
  #line: Line | undefined;
  #watched: MqttClient | undefined;
  /** In the order of their turns. */
  #queue = new Set<Entry>();
  /** Given to the connection and not answered, in the order of sending. */
  readonly #sent = new Set<Entry>();
  /** Those of QoS 1 and 2 among them, with those that were given up here: the broker still owes an answer. */
  #unanswered = 0;
  /** Packet ids whose first answer was that nobody has a subscription. */
  readonly #unclaimed = new Set<number>();

  constructor({ topicAliases }: { readonly topicAliases: boolean }) {
    this.#aliasesWanted = topicAliases;
  }

  /**
   * Publishes as soon as the connection and the broker's window allow it.
   *
   * @param patient - whether it waits for a connection where there is none
   * @param away - why there is none, for the error of one that does not wait
   */
  add(publication: Publication, patient: boolean, away: string): Publishing {
    const answer = Promise.withResolvers<PublishAnswer>();
    const entry: Entry = { publication, patient, answer, since: performance.now(), sent: false, id: 0 };
    if (this.#line === undefined && !patient) answer.reject(notConnected(away));
    else this.#queue.add(entry);
    this.#pump();
    return {
      answered: answer.promise,
      get sent() {
        return entry.sent;
      },
      abandon: (error) => {
        this.#queue.delete(entry);
        this.#sent.delete(entry);
        answer.reject(error);
      },
    };
  }

  /** There is a connection, and what an earlier one left unanswered has been sent again by mqtt.js, and answered. */
  connected(client: MqttClient, version: 4 | 5, { properties = {} }: IConnackPacket): void {
    if (this.#watched !== client) {
      this.#watched = client;
      client.on('packetreceive', (packet) => this.#watch(packet));
      // What is sent before the next connection is ready was sent before, and must say so [MQTT-3.3.1-1]; mqtt.js does not.
      client.on('packetsend', (packet) => {
        if (packet.cmd === 'publish' && packet.qos > 0 && this.#line === undefined) packet.dup = true;
      });
    }
    const { receiveMaximum, topicAliasMaximum = 0, maximumQoS, retainAvailable, maximumPacketSize } = properties;
    this.#line = {
      client,
      version,
      window: receiveMaximum ?? DEFAULT_WINDOW[version],
      // They end with the connection [MQTT-3.3.2-7]; mqtt.js keeps the whole topic of what it may have to send again.
      aliases: new TopicAliases(this.#aliasesWanted && version === 5 ? topicAliasMaximum : 0),
      limits: {
        ...(maximumQoS !== undefined && { maximumQoS }),
        ...(retainAvailable !== undefined && { retainAvailable }),
        ...(maximumPacketSize !== undefined && { maximumPacketSize }),
      },
    };
    this.#pump();
  }

  /** @param forGood - whether no other connection will take its place */
  lost(forGood: boolean, reason: string): void {
    this.#line = undefined;
    const again: Entry[] = [];
    for (const entry of this.#sent) {
      // mqtt.js sends the others again on the next connection. It forgets those of QoS 0 that were not written, and
      // never calls back.
      if (entry.publication.qos > 0 && !forGood) continue;
      this.#sent.delete(entry);
      if (entry.patient && !forGood) again.push(entry);
      else entry.answer.reject(notConnected(reason));
    }
    for (const entry of this.#queue) {
      if (entry.patient && !forGood) continue;
      this.#queue.delete(entry);
      entry.answer.reject(notConnected(reason));
    }
    for (const entry of again) entry.sent = false;
    this.#queue = new Set([...again, ...this.#queue]);
  }

  #pump(): void {
    for (const entry of this.#queue) {
      const line = this.#line;
      if (line === undefined || (entry.publication.qos > 0 && this.#unanswered >= line.window)) return;
      this.#queue.delete(entry);
      const refusal = refusalOf(entry.publication, line);
      const left = expiryLeft(entry.publication.properties, performance.now() - entry.since);
      if (refusal !== undefined) entry.answer.reject(refusal);
      else if (left === 'expired' && line.version === 5) entry.answer.resolve({ noSubscriber: false, expired: true });
      else this.#send(entry, line, left === 'expired' ? undefined : left);
    }
  }

  #send(entry: Entry, { client, version, aliases, limits }: Line, messageExpiryInterval: number | undefined): void {
    const { publication } = entry;
    const { qos, retain, payload, properties } = publication;
    const room = limits.maximumPacketSize ?? LARGEST_PACKET;
    const fits = publishSize(publication, version) + ALIAS_BYTES <= room;
    const { topic, ...alias } = fits ? aliases.use(publication.topic) : { topic: publication.topic };
    entry.sent = true;
    this.#sent.add(entry);
    if (qos > 0) this.#unanswered++;
    client.publish(
      topic,
      payload,
      {
        qos,
        retain,
        ...(version === 5 && {
          properties: {
            ...properties,
            ...(messageExpiryInterval !== undefined && { messageExpiryInterval }),
            ...alias,
          },
        }),
      },
      (error) => this.#onAnswer(entry, error),
    );
    // It is allocated at once: nothing is published while mqtt.js is sending again what a connection left behind.
    entry.id = client.getLastMessageId();
  }

  #onAnswer(entry: Entry, error: Error | null | undefined): void {
    const { qos } = entry.publication;
    const noSubscriber = qos > 0 && this.#unclaimed.delete(entry.id);
    if (qos > 0) this.#unanswered--;
    if (this.#sent.delete(entry)) {
      if (error) entry.answer.reject(publishError(error));
      else entry.answer.resolve({ noSubscriber, expired: false });
    }
    if (qos > 0) this.#pump();
  }

  /** mqtt.js takes 0x10 for success, which it is, and does not tell. */
  #watch(packet: Packet): void {
    if ((packet.cmd === 'puback' || packet.cmd === 'pubrec') && packet.messageId !== undefined) {
      if (packet.reasonCode === NO_MATCHING_SUBSCRIBERS) this.#unclaimed.add(packet.messageId);
    }
  }
}

/** Why a broker takes no such message, as far as it has said so in CONNACK: it would end the connection for one. */
function refusalOf(publication: Publication, { version, limits }: Line): RejectedError | undefined {
  const { maximumQoS, retainAvailable, maximumPacketSize } = limits;
  if (maximumQoS !== undefined && publication.qos > maximumQoS) {
    return new RejectedError(
      `expected a QoS of at most ${maximumQoS}, the most that the broker takes, got ${publication.qos}`,
      {
        code: 'qos-not-supported',
      },
    );
  }
  if (retainAvailable === false && publication.retain) {
    return new RejectedError('expected a message that is not to be retained: the broker keeps none, got one that is', {
      code: 'retain-not-supported',
    });
  }
  const most = Math.min(maximumPacketSize ?? LARGEST_PACKET, LARGEST_PACKET);
  const size = publishSize(publication, version);
  if (size > most) {
    return new RejectedError(
      `expected a packet of at most ${most} bytes, which is what the broker takes, got ${size}`,
      {
        code: 'too-large',
      },
    );
  }
  return undefined;
}

/**
 * What is left of a message's time after it has waited: whole seconds, as a broker counts them down for those who come to
 * it later [MQTT-3.3.2-6]; undefined when it has no end.
 */
export function expiryLeft(
  { messageExpiryInterval }: PublishProperties = {},
  waitedMs: number,
): number | 'expired' | undefined {
  if (messageExpiryInterval === undefined) return undefined;
  const waited = Math.floor(waitedMs / 1_000);
  return waited > 0 && waited >= messageExpiryInterval ? 'expired' : messageExpiryInterval - waited;
}

function notConnected(reason: string): UnavailableError {
  return new UnavailableError(`not published: ${reason}`, { code: 'not-connected' });
}

function publishError(error: Error): Error {
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'number' && code >= 0x80 && !MAY_PASS.has(code)) {
    return new RejectedError(`the broker refuses the message: ${messageOf(error)}`, {
      code: 'refused-by-broker',
      cause: error,
    });
  }
  return new UnavailableError(`not published: ${messageOf(error)}`, { code: 'connection-lost', cause: error });
}
