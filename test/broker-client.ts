/** The broker node's behaviour without Node-RED: a subscriber that a test answers for. */
import { EventEmitter, once } from 'node:events';
import type { Fleet } from '../nodes/adapter/fleet.js';
import { Counters } from '../nodes/lib/counters.js';
import { compileSettings } from '../nodes/lib/settings.js';
import { MqttBroker } from '../nodes/sluice-mqtt-broker/broker.js';
import { config, type Config } from '../nodes/sluice-mqtt-broker/config.js';
import type { Publish } from '../nodes/sluice-mqtt-broker/mqttjs.js';
import type { Subscription, SubscriptionRequest } from '../nodes/sluice-mqtt-broker/subscriptions.js';

export interface Received {
  readonly text: string;
  readonly publish: Publish;
  readonly answer: () => void;
}

/** A client under an id of its own, and what it has received. Nothing is answered unless a test does it. */
export class BrokerClient {
  readonly broker: MqttBroker;
  readonly counters = new Counters();
  readonly got: Received[] = [];
  readonly states: string[] = [];
  readonly logged: string[] = [];
  lost = 0;
  readonly #changes = new EventEmitter().setMaxListeners(0);

  /** @param renewEveryMs - how often it asks again for what is shared */
  constructor(settings: Partial<Config>, fleet?: Fleet, renewEveryMs?: number) {
    this.broker = new MqttBroker(
      {
        id: 'node',
        instance: 'test',
        fleet,
        config: compileSettings<Config>(config).resolve(settings, () => undefined),
        credentials: {},
        counters: this.counters,
        status: () => undefined,
        log: (_level, sentence) => void this.logged.push(sentence),
      },
      renewEveryMs,
    );
  }

  subscribe(request: Partial<SubscriptionRequest> & Pick<SubscriptionRequest, 'qos' | 'filters'>): Subscription {
    return this.broker.subscribe({
      window: 1_000,
      receive: (publish, answer) => {
        this.got.push({ text: publish.payload.toString(), publish, answer });
        this.#changes.emit('change');
      },
      lost: () => this.lost++,
      onState: ({ level }) => {
        this.states.push(level);
        this.#changes.emit('change');
      },
      ...request,
    });
  }

  async until(such: () => boolean): Promise<void> {
    while (!such()) await once(this.#changes, 'change');
  }

  async subscribed(): Promise<void> {
    await this.until(() => this.states.at(-1) === 'ok');
  }

  async received(count: number): Promise<Received[]> {
    await this.until(() => this.got.length >= count);
    return this.got;
  }
}
