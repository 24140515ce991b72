import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { EDITOR_SLOT } from '../adapter/fleet.js';
import type { Delivery } from '../lib/delivery/delivery.js';
import { RejectedError } from '../lib/errors.js';
import { MESSAGE_ID, uuidv7 } from '../lib/identity.js';
import type { Load } from '../lib/load.js';
import type { Message } from '../lib/message.js';
import { templateScope } from '../lib/scope.js';
import { compilePath, compileTemplate, type Template } from '../lib/template.js';
import { parseTime } from '../lib/time.js';
import { MqttBroker } from '../sluice-mqtt-broker/broker.js';
import type { ConnectionState } from '../sluice-mqtt-broker/connection.js';
import type { Publish } from '../sluice-mqtt-broker/mqttjs.js';
import type { Subscription } from '../sluice-mqtt-broker/subscriptions.js';
import type { Config } from './config.js';
import { decoder } from './decode.js';

const SHOWN_EVERY_MS = 1_000;
/** In-order acknowledgement makes the oldest message everybody's matter. */
const SLOW_S = 5;
const counted = new Intl.NumberFormat('en');

/** Takes messages from a broker into the flow, and acknowledges each when every branch of the flow has stored it. */
export class MqttIngest implements Behaviour {
  readonly stage = 'ingest';
  readonly #context: NodeContext<Config, unknown>;
  readonly #decode: (payload: Buffer) => unknown;
  readonly #identity: Template | undefined;
  readonly #eventTime: (scope: unknown) => unknown;
  readonly #load: Load;
  /** The millisecond of the message whose age was looked at last. */
  #agedAt = 0;
  readonly #subscription: Subscription;
  /** At QoS 1 and 2, which are acknowledged. */
  readonly #unanswered = new Set<Delivery>();
  readonly #ready = Promise.withResolvers<void>();
  #shown: NodeJS.Timeout | undefined;
  #state: ConnectionState = { level: 'off', text: 'not subscribed' };

  constructor(context: NodeContext<Config, unknown>) {
    const { config } = context;
    this.#context = context;
    this.#decode = decoder(config);
    this.#identity = config.identity === undefined ? undefined : compileTemplate(config.identity);
    this.#eventTime = compilePath(config.eventTime);
    this.#load = context.deliveries.load;
    const broker = context.use(config.broker, MqttBroker, '/broker');
    this.#subscription = broker.subscribe({
      owner: context.id,
      filters: config.topics,
      qos: config.qos,
      group: config.group ?? fleetGroup(context),
      window: config.maxInFlight,
      receive: (publish, answer) => this.#receive(publish, answer),
      lost: () => this.#forget(),
      onState: (state) => {
        this.#state = state;
        if (state.level === 'ok') this.#ready.resolve();
        this.#showStatus();
      },
    });
  }

  start(): void {
    this.#shown = setInterval(() => this.#showStatus(), SHOWN_EVERY_MS).unref();
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  async stop(): Promise<void> {
    clearInterval(this.#shown);
    await this.#subscription.stop();
    this.#state = { level: 'off', text: 'stopped' };
    this.#showStatus();
  }

  /** One of its dead letters that is replayed: the payload is what came, or what somebody has made of it. */
  input(message: Message, send: Send): void {
    const { payload } = message;
    if (Buffer.isBuffer(payload)) message.payload = this.#decode(payload);
    message.identity ??= this.#identity?.render(templateScope(message)) ?? uuidv7(Date.now());
    send(message, 0);
  }

  /** @param answer - acknowledges the PUBLISH */
  #receive(publish: Publish, answer: () => void): void {
    const { counters, config, deliveries } = this.#context;
    counters.add('received');
    if (publish.qos === 0 && deliveries.inFlight() >= config.maxInFlight) {
      // The broker keeps none of these for later, so that there is nothing to hold back.
      counters.add('dropped', 1, 'window');
      deliveries.drop('window');
      answer();
      return;
    }
    const receivedAt = Date.now();
    const message = this.#toMessage(publish, receivedAt);
    const delivery = deliveries.begin(message, () => {
      this.#unanswered.delete(delivery);
      this.#noteWindow();
      answer();
    });
    this.#noteWindow();
    if (publish.qos > 0) this.#unanswered.add(delivery);
    try {
      message.payload = this.#decode(publish.payload);
      message.identity ??= this.#identity?.render(templateScope(message)) ?? uuidv7(receivedAt);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      message.identity ??= uuidv7(receivedAt);
      void this.#context.reject(message, error);
      this.#showStatus();
      return;
    }
    this.#noteAge(message, receivedAt);
    this.#context.send(message, 0);
    delivery.close(this.#context.type);
    this.#showStatus();
  }

  /** What came by a connection that is gone is not acknowledged on the next: the broker gives it again. */
  #forget(): void {
    this.#context.deliveries.abandon(this.#unanswered);
    this.#unanswered.clear();
    this.#noteWindow();
  }

  #noteWindow(): void {
    this.#load.full(this.#context.deliveries.inFlight() >= this.#context.config.maxInFlight);
  }

  /** Of one message a millisecond, which is enough to tell whether they grow older. */
  #noteAge(message: Message, receivedAt: number): void {
    if (receivedAt === this.#agedAt) return;
    const time = parseTime(this.#eventTime(message));
    if (time === undefined) return;
    this.#agedAt = receivedAt;
    this.#load.age(receivedAt - time.getTime());
  }

  /** The message with its payload still as it came. Names as the core `mqtt in` node gives them. */
  #toMessage({ topic, payload, qos, retain, properties = {} }: Publish, receivedAt: number): Message {
    const { contentType, responseTopic, correlationData, messageExpiryInterval, userProperties } = properties;
    const id = userProperties?.[MESSAGE_ID];
    const message: Message = { topic, payload, qos, retain, receivedAt };
    if (contentType !== undefined) message.contentType = contentType;
    if (responseTopic !== undefined) message.responseTopic = responseTopic;
    if (correlationData !== undefined) message.correlationData = correlationData;
    if (messageExpiryInterval !== undefined) message.messageExpiryInterval = messageExpiryInterval;
    // mqtt-packet gives an object without a prototype, which function nodes do not expect.
    if (userProperties !== undefined) message.userProperties = { ...userProperties };
    const identity = Array.isArray(id) ? id[0] : id;
    if (identity !== undefined && identity !== '') message.identity = identity;
    return message;
  }

  #showStatus(): void {
    const { status, counters, deliveries } = this.#context;
    const { level, text } = this.#state;
    const received = (): string => `${counted.format(counters.total('received'))} received`;
    if (level !== 'ok') {
      status(level, level === 'off' ? `${text}, ${received()}` : text);
      return;
    }
    status(deliveries.late().size > 0 ? 'warning' : 'ok', () => {
      const late = [...deliveries.late()].map(([type, count]) => `${counted.format(count)} by ${type}`).join(', ');
      if (late !== '') return `${received()}; sent too late to be waited for: ${late}`;
      const oldest = deliveries.oldest();
      if (oldest === undefined || oldest.seconds < SLOW_S) return received();
      return `${received()}; ${oldest.seconds.toFixed()} s in ${oldest.holder}`;
    });
  }
}

/** On the workers of a fleet, which have the same node each, the broker divides the messages among them. */
function fleetGroup({ id, fleet }: Pick<NodeContext<Config, unknown>, 'id' | 'fleet'>): string | undefined {
  if (fleet === undefined || fleet.slot === EDITOR_SLOT) return undefined;
  return `${fleet.name}-${encodeURIComponent(id)}`; // what no group may have stands in no id but one made by hand
}
