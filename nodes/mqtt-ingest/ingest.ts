import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import { RejectedError } from '../lib/errors.js';
import { MESSAGE_ID, uuidv7 } from '../lib/identity.js';
import type { Message } from '../lib/message.js';
import { templateScope } from '../lib/scope.js';
import { compileTemplate, type Template } from '../lib/template.js';
import { MqttBroker } from '../sluice-mqtt-broker/broker.js';
import type { ConnectionState } from '../sluice-mqtt-broker/connection.js';
import type { Publish } from '../sluice-mqtt-broker/mqttjs.js';
import type { Subscription } from '../sluice-mqtt-broker/subscriptions.js';
import type { Config } from './config.js';
import { decoder } from './decode.js';

/** Takes messages from a broker into the flow. */
export class MqttIngest implements Behaviour {
  readonly stage = 'ingest';
  readonly #context: NodeContext<Config, unknown>;
  readonly #decode: (payload: Buffer) => unknown;
  readonly #identity: Template | undefined;
  readonly #subscription: Subscription;
  readonly #ready = Promise.withResolvers<void>();
  #state: ConnectionState = { level: 'off', text: 'not subscribed' };

  constructor(context: NodeContext<Config, unknown>) {
    const { config } = context;
    this.#context = context;
    this.#decode = decoder(config);
    this.#identity = config.identity === undefined ? undefined : compileTemplate(config.identity);
    const broker = context.use(config.broker, MqttBroker, '/broker');
    this.#subscription = broker.subscribe({
      owner: context.id,
      filters: config.topics,
      qos: config.qos,
      group: config.group,
      window: config.maxInFlight,
      receive: (publish, answer) => {
        this.#receive(publish);
        answer();
      },
      onState: (state) => {
        this.#state = state;
        if (state.level === 'ok') this.#ready.resolve();
        this.#showStatus();
      },
    });
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  async stop(): Promise<void> {
    await this.#subscription.stop();
    this.#state = { level: 'off', text: 'stopped' };
    this.#showStatus();
  }

  #receive(publish: Publish): void {
    const { counters } = this.#context;
    counters.add('received');
    const receivedAt = Date.now();
    const message = this.#toMessage(publish, receivedAt);
    try {
      message.payload = this.#decode(publish.payload);
      message.identity ??= this.#identity?.render(templateScope(message)) ?? uuidv7(receivedAt);
      this.#context.send(message, 0);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      message.identity ??= uuidv7(receivedAt);
      this.#context.reject(message, error);
    }
    this.#showStatus();
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
    const { status, counters } = this.#context;
    const { level, text } = this.#state;
    const received = `${counters.total('received').toLocaleString('en')} received`;
    status(level, level === 'ok' ? received : level === 'off' ? `${text}, ${received}` : text);
  }
}
