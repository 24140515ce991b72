import type { Behaviour, IsFailed, NodeContext } from '../adapter/define-node.js';
import { atMost, FLUSH_LIMIT_MS } from '../adapter/waiting.js';
import { UnavailableError } from '../lib/errors.js';
import type { Config, Credentials } from './config.js';
import { Connection, END_TIMEOUT_MS, type ConnectionState } from './connection.js';
import { Outbox, type Publication, type Publishing } from './outbox.js';
import { Receiver } from './receiver.js';
import { type Session, sessionOf } from './session.js';
import { Subscriptions, type Subscription, type SubscriptionRequest } from './subscriptions.js';
import { readTls } from './tls.js';

/** Without `closing` the nodes that use it have closed when it begins to; without `fleet` it is in none. */
type BrokerContext = Pick<
  NodeContext<Config, Credentials>,
  'id' | 'instance' | 'config' | 'credentials' | 'counters' | 'status' | 'log'
> &
  Partial<Pick<NodeContext<Config, Credentials>, 'closing' | 'fleet'>>;

/** Since the flow began to close: with what comes after it, it is less than Node-RED's limit. */
const SETTLE_LIMIT_MS = FLUSH_LIMIT_MS + 200;
/** For the PUBRELs: those that come later are for a session that goes on. aedes leaves out some. */
const RELEASE_LIMIT_MS = 500;

/** A member of a shared group that HiveMQ has left idle is given something again when it subscribes again. */
const RENEW_EVERY_MS = 1_000;

const RANK = ['error', 'warning', 'busy', 'ok', 'off'] as const;
const UNVERIFIED = 'whoever answers is taken for the broker: its certificate is not verified';

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
  readonly #listeners = new Set<(state: ConnectionState) => void>();
  readonly #subscriptions: Subscriptions;
  readonly #receiver: Receiver;
  readonly #outbox: Outbox;
  readonly #unverified: boolean;
  readonly #session: Session;
  readonly #renewEveryMs: number;
  #renewals: NodeJS.Timeout | undefined;
  #started = false;
  #closingSince: number | undefined;

  /**
   * @param renewEveryMs - how often shared subscriptions are asked for again
   * @throws ConfigError `tls` for a certificate or a key that is none, or does not fit
   */
  constructor(context: BrokerContext, renewEveryMs = RENEW_EVERY_MS) {
    this.#context = context;
    this.#renewEveryMs = renewEveryMs;
    this.#session = sessionOf(context);
    const { config, credentials } = context;
    const { url, user, password } = separateLogin(config.url);
    const { clientId } = this.#session;
    const { will, ...shared } = config;
    const settings = {
      ...shared,
      ...this.#session,
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
    this.#subscriptions = new Subscriptions({
      counters: context.counters,
      log: context.log,
      client: () => this.#inbound.client,
      version: () => this.#inbound.version,
      state: () => this.#inbound.state,
    });
    this.#receiver = new Receiver({
      window: () => this.#subscriptions.window,
      message: (publish, receipt) => this.#subscriptions.dispatch(publish, receipt),
      lost: () => this.#subscriptions.lost(),
    });
    this.#inbound = new Connection(
      { ...settings, clientId },
      {
        receiveMaximum: () => this.#subscriptions.window,
        made: (client) => this.#receiver.attach(client),
        connected: (client, connack) => this.#subscriptions.connected(client, connack),
        lost: () => this.#receiver.lost(),
        changed: () => {
          this.#subscriptions.changed();
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
        changed: (state) => {
          for (const listener of this.#listeners) listener(state);
          this.#showStatus();
        },
        takenOver: () => takenOver(outboundId),
      },
    );
    context.closing?.addEventListener('abort', () => (this.#closingSince = performance.now()));
  }

  /** Calls the listener now and at every change of the connection that publishes. @returns what ends that */
  onState(listener: (state: ConnectionState) => void): () => void {
    this.#listeners.add(listener);
    this.#want(this.#outbound);
    listener(this.#outbound.state);
    return () => this.#listeners.delete(listener);
  }

  /** From the end of the deploy on, when there is something to send a message to. */
  subscribe(request: SubscriptionRequest): Subscription {
    const subscription = this.#subscriptions.add(request);
    this.#wanted.add(this.#inbound);
    if (this.#context.config.will.topic !== undefined) this.#want(this.#outbound);
    return subscription;
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
    this.#renewals = setInterval(() => this.#subscriptions.renew(), this.#renewEveryMs).unref();
    this.deployed(() => false);
    for (const connection of this.#wanted) connection.open();
  }

  deployed(isFailed: IsFailed): void {
    const unsubscribed = this.#subscriptions.deployed(isFailed);
    this.#receiver.resized();
    if (!this.#wanted.has(this.#inbound)) return;
    if (this.#subscriptions.empty) void this.#retire(unsubscribed);
    else this.#want(this.#inbound);
  }

  async withdraw(): Promise<void> {
    if (!this.#wanted.has(this.#inbound) || this.#inbound.over) return;
    clearInterval(this.#renewals);
    await this.#subscriptions.withdraw();
  }

  async endSession(): Promise<void> {
    if (this.#inbound.client !== undefined) await atMost(RELEASE_LIMIT_MS, this.#receiver.released());
    await this.withdraw();
    const { open } = this.#receiver;
    if (open > 0) {
      throw new UnavailableError(`expected all that has come to be acknowledged, got ${open} messages that are not`, {
        code: 'unanswered',
      });
    }
    // First the one that something may come by.
    for (const connection of [this.#inbound, this.#outbound]) await connection.endSession();
  }

  async close(): Promise<void> {
    clearInterval(this.#renewals);
    this.#listeners.clear();
    await Promise.all([this.#closeInbound(), this.#outbound.close()]);
  }

  /**
   * The same broker under another client id, without a session and a will. It shows and logs nothing: whoever made it
   * starts and closes it.
   */
  another(clientId: string): MqttBroker {
    const { topic: _none, ...will } = this.#context.config.will;
    const config = { ...this.#context.config, clientId, will, cleanStart: true };
    return new MqttBroker({
      ...this.#context,
      config,
      fleet: undefined,
      status: () => undefined,
      log: () => undefined,
    });
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

  /** What the flow has taken is acknowledged as long as there is time; the rest is left to the session. */
  async #closeInbound(): Promise<void> {
    const receiver = this.#receiver;
    const now = performance.now();
    const deadline = (this.#closingSince ?? now) + SETTLE_LIMIT_MS;
    receiver.leave();
    this.#subscriptions.leave(!this.#session.cleanStart);
    await atMost(Math.max(0, deadline - now), receiver.settled());
    await atMost(RELEASE_LIMIT_MS, receiver.released());
    await this.#inbound.close();
  }

  /** Ends a connection that nothing comes by any more, when what came by it is acknowledged. */
  async #retire(unsubscribed: Promise<void>): Promise<void> {
    await atMost(END_TIMEOUT_MS, unsubscribed);
    await this.#receiver.settled();
    await atMost(RELEASE_LIMIT_MS, this.#receiver.released());
    if (!this.#subscriptions.empty) return;
    this.#wanted.delete(this.#inbound);
    this.#receiver.leave();
    await this.#inbound.end();
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
