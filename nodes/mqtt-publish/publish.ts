import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { atMost, FLUSH_LIMIT_MS } from '../adapter/waiting.js';
import { backoffDelay } from '../lib/backoff.js';
import { describeValue, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { ConnectionState } from '../sluice-mqtt-broker/connection.js';
import type { Publication, PublishAnswer, Publishing } from '../sluice-mqtt-broker/outbox.js';
import type { Config } from './config.js';
import { compilePublication, type PublicationOf } from './publication.js';

/** What the node needs of a broker: `MqttBroker`. */
export interface Publisher {
  offer(publication: Publication): Publishing;
  onState(listener: (state: ConnectionState) => void): () => void;
  /** Resolves when there is no connection to be answered by. */
  disconnected(): Promise<void>;
}

type PublishContext = Pick<
  NodeContext<Config, unknown>,
  'config' | 'instance' | 'counters' | 'closing' | 'status' | 'log' | 'isWired'
>;

/** A message that the broker has not answered for. */
interface Entry {
  readonly publication: Publication;
  /** Of the payload. */
  readonly bytes: number;
  readonly answer: PromiseWithResolvers<void>;
  publishing: Publishing | undefined;
  attempts: number;
  /** Until it is given up. */
  patience: NodeJS.Timeout | undefined;
  /** Until the next attempt. */
  retry: NodeJS.Timeout | undefined;
}

const PUBLISHED = 0;
const RETRY = { initialMs: 100, maximumMs: 2_000 };
const counted = new Intl.NumberFormat('en');

/**
 * Publishes messages. A message is done when the broker has answered for it (QoS 0: when it is written); while the broker
 * is away it waits, bounded in count and time.
 */
export class MqttPublish implements Behaviour {
  readonly #context: PublishContext;
  readonly #broker: Publisher;
  readonly #publicationOf: PublicationOf;
  readonly #answersPublished: boolean;
  readonly #open = new Set<Entry>();
  /** Of the payloads in `#open`. */
  #openBytes = 0;
  readonly #forget: () => void;
  #state: ConnectionState = { level: 'busy', text: 'connecting' };
  #closed = false;
  /** The topic that the broker said last nobody has a subscription for. */
  #unheard: string | undefined;

  /** @throws ConfigError `setting` for a topic or a property that cannot be */
  constructor(context: PublishContext, broker: Publisher) {
    this.#context = context;
    this.#broker = broker;
    this.#publicationOf = compilePublication(context.config, context.instance);
    this.#answersPublished = context.isWired(PUBLISHED);
    this.#forget = broker.onState((state) => {
      this.#state = state;
      this.#show();
    });
  }

  /**
   * Resolves when the broker has answered.
   *
   * @throws RejectedError for a message that MQTT cannot carry, or that the broker refuses
   * @throws UnavailableError `queue-full`; `broker-away`, `no-turn`, `no-answer` after the time that the form allows;
   *   `closed` when the node was closed before
   */
  input(message: Message, send: Send): Promise<void> {
    const { maxQueue, maxQueueBytes, maxWait } = this.#context.config;
    const publication = this.#publicationOf(message);
    if (this.#closed) throw closedError();
    const bytes = Buffer.byteLength(publication.payload);
    const full = this.#open.size > 0 && this.#openBytes + bytes > maxQueueBytes;
    if (full || this.#open.size >= maxQueue) {
      this.#context.counters.add('refused', 1, 'queue-full');
      throw new UnavailableError(
        `expected at most ${maxQueue} waiting messages of ${maxQueueBytes} bytes together, got one more`,
        { code: 'queue-full' },
      );
    }
    const entry: Entry = {
      publication,
      bytes,
      answer: Promise.withResolvers<void>(),
      publishing: undefined,
      attempts: 0,
      patience: undefined,
      retry: undefined,
    };
    entry.patience = setTimeout(() => this.#giveUp(entry, this.#impatience(entry)), maxWait * 1_000);
    this.#open.add(entry);
    this.#openBytes += bytes;
    this.#attempt(entry);
    if (this.#state.level !== 'ok') this.#show();
    const { promise } = entry.answer;
    return this.#answersPublished ? promise.then(() => send(message, PUBLISHED)) : promise;
  }

  /** Goes on while the broker is there, for at most 10 s; what then is still open has failed, and says so. */
  async close(): Promise<void> {
    const answered = Promise.allSettled([...this.#open].map(({ answer }) => answer.promise));
    await atMost(FLUSH_LIMIT_MS, answered, this.#broker.disconnected());
    this.#closed = true;
    this.#forget();
    if (this.#open.size === 0) return;
    this.#context.log('error', 'closed with messages that the broker has not answered for', {
      messages: this.#open.size,
    });
    for (const entry of [...this.#open]) this.#giveUp(entry, closedError());
  }

  #attempt(entry: Entry): void {
    entry.publishing = this.#broker.offer(entry.publication);
    entry.publishing.answered.then(
      (answer) => this.#onAnswer(entry, answer),
      (error: unknown) => this.#onFailure(entry, error),
    );
  }

  #onAnswer(entry: Entry, { noSubscriber }: PublishAnswer): void {
    if (!this.#leave(entry)) return; // it was given up
    const { counters, config, log } = this.#context;
    const { topic } = entry.publication;
    counters.add('published');
    if (noSubscriber) {
      counters.add('no-subscriber');
      if (config.expectSubscriber && this.#unheard === undefined) {
        log('warn', 'nobody has a subscription for what is published', { topic: describeValue(topic) });
      }
      this.#unheard = topic;
    } else if (entry.publication.qos > 0) {
      this.#unheard = undefined;
    }
    entry.answer.resolve();
    this.#show();
  }

  #onFailure(entry: Entry, error: unknown): void {
    if (!this.#open.has(entry)) return; // it was given up
    if (error instanceof UnavailableError && !this.#closed) {
      this.#context.counters.add('retried');
      entry.retry = setTimeout(() => this.#attempt(entry), backoffDelay(entry.attempts++, RETRY));
      return;
    }
    this.#leave(entry);
    entry.answer.reject(error);
    this.#show();
  }

  #giveUp(entry: Entry, error: UnavailableError): void {
    this.#leave(entry);
    this.#context.counters.add('abandoned', 1, error.code);
    entry.publishing?.abandon(error);
    entry.answer.reject(error);
    this.#show();
  }

  #impatience({ publishing }: Entry): UnavailableError {
    const within = `within ${this.#context.config.maxWait} s`;
    if (publishing?.sent === true) {
      return new UnavailableError(
        `expected the broker to answer ${within}, got nothing: the message may have arrived`,
        {
          code: 'no-answer',
        },
      );
    }
    if (this.#state.level === 'ok') {
      return new UnavailableError(
        `expected a turn ${within}, got none: the broker has not answered for those before it`,
        {
          code: 'no-turn',
        },
      );
    }
    return new UnavailableError(`expected a connection ${within}, got none: ${this.#state.text}`, {
      code: 'broker-away',
    });
  }

  /** @returns false when it had left before */
  #leave(entry: Entry): boolean {
    clearTimeout(entry.patience);
    clearTimeout(entry.retry);
    if (!this.#open.delete(entry)) return false;
    this.#openBytes -= entry.bytes;
    return true;
  }

  #show(): void {
    const { counters, config, status } = this.#context;
    const { level, text } = this.#state;
    const published = (): string => `${counted.format(counters.total('published'))} published`;
    if (level !== 'ok') {
      const waiting = this.#open.size === 0 ? '' : `${counted.format(this.#open.size)} waiting; `;
      status(level, `${waiting}${text}`);
    } else if (config.expectSubscriber && this.#unheard !== undefined) {
      status('warning', `${published()}; nobody has a subscription for ${this.#unheard}`);
    } else {
      status('ok', published);
    }
  }
}

function closedError(): UnavailableError {
  return new UnavailableError('expected the broker to answer before the node was closed, got nothing', {
    code: 'closed',
  });
}
