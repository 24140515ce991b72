import { MESSAGE_ID, type MqttBroker } from '@sluice/node-red/simulator';
import { simulationBroker } from '../simulation/broker.js';

const SESSION_SECONDS = 3_600;
const WINDOW = 1_000;

type Candidates = readonly unknown[];

/** Hears what the flow publishes, over its own line to the broker and in a session that outlives a restart of it. */
export class Listener {
  readonly #broker: MqttBroker;
  readonly #heard = new Map<string, Candidates[]>();
  readonly #ready: Promise<unknown>;

  /** @param filters - none: it does not connect */
  constructor(url: string, filters: readonly string[], qos: 0 | 1 | 2) {
    this.#broker = simulationBroker(url, { protocol: 'auto', session: SESSION_SECONDS });
    this.#ready = Promise.all(
      filters.map((filter) => {
        const heard: Candidates[] = [];
        this.#heard.set(filter, heard);
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#broker.subscribe({
          filters: [filter],
          qos,
          window: WINDOW,
          receive: ({ payload, properties }, answer) => {
            heard.push([properties?.userProperties?.[MESSAGE_ID], idIn(payload)]);
            answer();
          },
          onState: ({ level }) => {
            if (level === 'ok') resolve();
          },
        });
        return promise;
      }),
    );
  }

  get received(): number {
    return [...this.#heard.values()].reduce((sum, { length }) => sum + length, 0);
  }

  /** What messages to a filter keep where an id may be. */
  messages(filter: string): readonly Candidates[] {
    return this.#heard.get(filter) ?? [];
  }

  /** Resolves when the broker has granted the subscriptions. */
  async start(): Promise<void> {
    this.#broker.start();
    await this.#ready;
  }

  async close(): Promise<void> {
    await this.#broker.close();
  }
}

function idIn(payload: Buffer): unknown {
  try {
    return (JSON.parse(payload.toString('utf8')) as { id?: unknown } | null)?.id;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
