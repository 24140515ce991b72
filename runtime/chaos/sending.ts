import {
  messageOf,
  Publisher,
  SimulationRunner,
  type MqttBroker,
  type SimulatorOfFlow,
} from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import { simulationBroker } from '../simulation/broker.js';

export interface SendingSettings {
  /** Straight to the broker: what a proxy cuts is not the devices' line. */
  readonly url: string;
  readonly simulators: readonly SimulatorOfFlow[];
  readonly run: string;
  readonly count: number;
  /** Messages a second, of all devices together. */
  readonly rate: number;
  readonly qos: 0 | 1 | 2;
}

/** What became of what was published, by id. */
export interface Sent {
  /** Answered by the broker (QoS 0: written), with the seconds since the start at which it was. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Published without an answer: may have arrived or not. */
  readonly unanswered: ReadonlySet<string>;
}

/** For the answers to what was sent before the broker went down for good. */
const CONNECT_WITHIN_MS = 30_000;
/** The session of the devices outlives a restart of the broker. */
const SESSION_SECONDS = 3_600;

/** The devices of a flow, outside of it. */
export class Sending {
  readonly #acknowledged = new Map<string, number>();
  readonly #unanswered = new Set<string>();
  readonly #settings: SendingSettings;
  readonly #broker: MqttBroker;
  readonly #publisher: Publisher;
  readonly #runners: SimulationRunner[];
  readonly #waiting = new Set<{ readonly count: number; readonly reached: () => void }>();
  readonly #done = Promise.withResolvers<void>();
  #startedAt = 0;
  #published = 0;
  #over = false;

  constructor(settings: SendingSettings) {
    this.#settings = settings;
    const { simulators, count, rate, run, qos } = settings;
    this.#broker = simulationBroker(settings.url, { protocol: 'auto', session: SESSION_SECONDS });
    this.#publisher = new Publisher(this.#broker, qos);
    const used = simulators.slice(0, count); // a runner without a limit has no end
    this.#runners = used.map((simulator, index) => {
      // The first ones take what does not divide.
      const share = Math.floor(count / used.length) + (index < count % used.length ? 1 : 0);
      return new SimulationRunner(simulator.simulation(`${run}-${index}`), {
        rate: rate / used.length,
        devices: simulator.settings.devices,
        ramp: 0,
        limit: share,
        deliver: (message) => this.#publisher.publish(message),
        settled: ({ messageId }, delivered) => this.#settled(messageId, delivered),
        changed: () => this.#checkDone(),
        broken: (error) => this.#done.reject(new UserError(messageOf(error), { cause: error })),
      });
    });
  }

  /** How many publishes were answered. */
  get published(): number {
    return this.#published;
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  /** Publishes all; resolves when all are answered, or told to end. @throws UserError when there is no connection */
  async run(signal: AbortSignal): Promise<Sent> {
    this.#startedAt = performance.now();
    const stop = (): void => this.#done.resolve();
    signal.addEventListener('abort', stop, { once: true });
    let connected = false;
    this.#broker.onState(({ level }) => {
      connected ||= level === 'ok';
      if (level === 'ok') for (const runner of this.#runners) runner.retry();
    });
    this.#broker.start();
    for (const runner of this.#runners) runner.start();
    const patience = setTimeout(() => {
      if (!connected) this.#done.reject(new UserError('expected the devices to reach the broker, got no connection'));
    }, CONNECT_WITHIN_MS);
    try {
      await this.#done.promise;
    } finally {
      clearTimeout(patience);
      signal.removeEventListener('abort', stop);
      this.#over = true;
      for (const { reached } of this.#waiting) reached();
      await Promise.all(this.#runners.map((runner) => runner.stop(this.#broker.disconnected())));
      await this.#publisher.close();
      await this.#broker.close();
    }
    const unanswered = new Set([...this.#unanswered].filter((id) => !this.#acknowledged.has(id)));
    return { acknowledged: this.#acknowledged, unanswered };
  }

  /** Resolves when so many are published, or no more will be. */
  async reached(count: number): Promise<void> {
    if (this.#over || this.#published >= count) return;
    await new Promise<void>((reached) => this.#waiting.add({ count, reached }));
  }

  #settled(id: string, delivered: boolean): void {
    if (!delivered) {
      this.#unanswered.add(id);
      return;
    }
    this.#published++;
    if (!this.#acknowledged.has(id)) this.#acknowledged.set(id, this.seconds);
    for (const waiting of this.#waiting) {
      if (this.#published < waiting.count) continue;
      this.#waiting.delete(waiting);
      waiting.reached();
    }
  }

  #checkDone(): void {
    const sum = { made: 0, settled: 0 };
    for (const { totals } of this.#runners) {
      sum.made += totals.made;
      sum.settled += totals.delivered + totals.failed;
    }
    if (sum.made >= this.#settings.count && sum.settled >= this.#settings.count) this.#done.resolve();
  }
}
