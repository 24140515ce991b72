import { setImmediate as turn } from 'node:timers/promises';
import { UnavailableError } from '../lib/errors.js';
import { MESSAGE_ID } from '../lib/identity.js';
import type { MqttBroker } from '../sluice-mqtt-broker/broker.js';
import type { SimulatedMessage } from './simulation.js';

/** The MQTT 5 user property that says what is wrong with a message. */
export const FAULT = 'fault';

/** Publishes what devices say: over the broker's one connection, but for what is to break one. */
export class Publisher {
  readonly #broker: MqttBroker;
  readonly #qos: 0 | 1 | 2;
  readonly #breaking = new Set<MqttBroker>();
  readonly #closing = new AbortController();

  constructor(broker: MqttBroker, qos: 0 | 1 | 2) {
    this.#broker = broker;
    this.#qos = qos;
  }

  /** @throws UnavailableError, RejectedError as `MqttBroker.publish` does */
  async publish(message: SimulatedMessage): Promise<void> {
    if (message.fault === 'disconnect') await this.#publishAndBreak(message);
    else await this.#send(this.#broker, message);
  }

  /** Ends the connections that are to break; what they wait for has failed. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#breaking].map((broker) => broker.close()));
  }

  async #send(broker: MqttBroker, { topic, messageId, fault, payload }: SimulatedMessage): Promise<void> {
    const userProperties = { [MESSAGE_ID]: messageId, ...(fault !== undefined && { [FAULT]: fault }) };
    await broker.publish(topic, bytesOf(payload), {
      qos: this.#qos,
      properties: { contentType: 'application/json', userProperties },
    });
  }

  /**
   * Over a connection of the device's own, which breaks without a DISCONNECT before the answer is read, comes back, and
   * says it again: the others, which share one, go on.
   */
  async #publishAndBreak(message: SimulatedMessage): Promise<void> {
    const own = this.#broker.another(message.messageId);
    this.#breaking.add(own);
    try {
      own.start();
      await connected(own, this.#closing.signal);
      const answered = this.#send(own, message);
      if (this.#qos === 0) await answered;
      else await Promise.race([answered, turn()]); // for what is written to leave
      own.disrupt();
      await Promise.all([answered, connected(own, this.#closing.signal)]);
    } finally {
      this.#breaking.delete(own);
      await own.close();
    }
  }
}

/** Bytes as they are, all else as JSON. */
export function bytesOf(payload: unknown): Buffer | string {
  return Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
}

/** @throws UnavailableError when it is told to end */
async function connected(broker: MqttBroker, closing: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const end = (): void => reject(new UnavailableError('the devices stop', { code: 'ending' }));
  closing.addEventListener('abort', end);
  if (closing.aborted) end();
  const forget = broker.onState(({ level }) => {
    if (level === 'ok') resolve();
  });
  try {
    await promise;
  } finally {
    forget();
    closing.removeEventListener('abort', end);
  }
}
