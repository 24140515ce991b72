import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { atMost, FLUSH_LIMIT_MS } from '../adapter/waiting.js';
import { backoffDelay } from '../lib/backoff.js';
import type { Counts } from '../lib/spool/record.js';
import { tagOf } from '../lib/delivery/carried.js';
import type { DeliveryTag, Outcome } from '../lib/delivery/outcome.js';
import { describeValue, UnavailableError } from '../lib/errors.js';
import { identityOf } from '../lib/identity.js';
import type { Message } from '../lib/message.js';
import type { ConnectionState } from '../sluice-mqtt-broker/connection.js';
import type { Publication, PublishAnswer, Publishing } from '../sluice-mqtt-broker/outbox.js';
import { Backlog, type BacklogContext } from '../spooling/backlog.js';
import type { Config } from './config.js';
import { Drain } from './drain.js';
import { compilePublication, type PublicationOf } from './publication.js';
import { encodePublication, spooledMessage } from './spooled-publication.js';

/** What the node needs of a broker: `MqttBroker`. */
export interface Publisher {
  offer(publication: Publication): Publishing;
  onState(listener: (state: ConnectionState) => void): () => void;
  /** Resolves when there is no connection to be answered by. */
  disconnected(): Promise<void>;
}

type PublishContext = BacklogContext &
  Pick<NodeContext<Config, unknown>, 'config' | 'instance' | 'closing' | 'status' | 'isWired'>;

/** A message that neither the broker nor the disk has answered for. */
interface Entry {
  readonly publication: Publication;
  /** Of the payload. */
  readonly bytes: number;
  /** When it came, in milliseconds since 1970. */
  readonly at: number;
  readonly identity: string | undefined;
  readonly delivery: DeliveryTag | undefined;
  readonly answer: PromiseWithResolvers<Outcome>;
  publishing: Publishing | undefined;
  attempts: number;
  /** Until it is given up. */
  patience: NodeJS.Timeout | undefined;
  /** Until the next attempt. */
  retry: NodeJS.Timeout | undefined;
  /** Once it is on its way to the disk: its `seq` there. */
  spooled: Promise<number> | undefined;
}

const PUBLISHED = 0;
const RETRY = { initialMs: 100, maximumMs: 2_000 };
const PAGE = { records: 500, bytes: 4_194_304 };
/** Of what a node that closes has, for what the broker did not answer to reach the disk. */
const SPOOL_LIMIT_MS = 2_000;
const counted = new Intl.NumberFormat('en');

/**
 * Publishes messages, in order. A message is done when the broker has answered for it (QoS 0: when it is written), or when
 * it is durable in the spool; without a spool it waits while the broker is away, bounded in count and time.
 */
export class MqttPublish implements Behaviour {
  readonly #context: PublishContext;
  readonly #broker: Publisher;
  readonly #publicationOf: PublicationOf;
  readonly #answersPublished: boolean;
  readonly #open = new Set<Entry>();
  /** Of the payloads in `#open`. */
  #openBytes = 0;
  /** What was spooled; undefined where there can be no spool. */
  readonly #backlog: Backlog | undefined;
  readonly #drain: Drain;
  readonly #spools: boolean;
  readonly #forget: () => void;
  #state: ConnectionState = { level: 'busy', text: 'connecting' };
  #closed = false;
  /** The topic that the broker said last nobody has a subscription for. */
  #unheard: string | undefined;

  /** @throws ConfigError `setting` for a topic or a property that cannot be */
  constructor(context: PublishContext, broker: Publisher) {
    const { config, instance } = context;
    this.#context = context;
    this.#broker = broker;
    this.#publicationOf = compilePublication(config, instance);
    this.#answersPublished = context.isWired(PUBLISHED);
    this.#drain = new Drain(broker, (publication, answer) => this.#count(publication, answer));
    this.#backlog = Backlog.of(context, {
      page: PAGE,
      write: (records) => this.#drain.write(records, this.#state),
      messageOf: spooledMessage,
      changed: () => this.#show(),
    });
    this.#spools = config.spool !== 'off' && this.#backlog !== undefined;
    this.#forget = broker.onState((state) => this.#onState(state));
  }

  /**
   * Resolves when the broker has answered, or the message is durable in the spool.
   *
   * @throws RejectedError for a message that MQTT cannot carry, or that the broker refuses
   * @throws UnavailableError `queue-full`, `spool-full` and what else the disk says; `broker-away`, `no-turn`, `no-answer`
   *   after the time that the form allows; `closed` when the node was closed before
   */
  async input(message: Message, send: Send): Promise<Outcome> {
    const publication = this.#publicationOf(message);
    if (this.#closed) throw closedError();
    const entry: Entry = {
      publication,
      bytes: Buffer.byteLength(publication.payload),
      at: Date.now(),
      identity: identityOf(message),
      delivery: tagOf(message),
      answer: Promise.withResolvers<Outcome>(),
      publishing: undefined,
      attempts: 0,
      patience: undefined,
      retry: undefined,
      spooled: undefined,
    };
    this.#checkRoom(entry);
    this.#open.add(entry);
    this.#openBytes += entry.bytes;
    this.#place(entry);
    const outcome = await entry.answer.promise;
    if (this.#answersPublished && outcome !== 'dropped') {
      send(outcome === 'spooled' ? { ...message, spooled: true } : message, PUBLISHED);
    }
    return outcome;
  }

  onDisk(): Counts | undefined {
    return this.#backlog?.counts;
  }

  spooled(): number | undefined {
    return this.#backlog === undefined ? 0 : this.#backlog.left;
  }

  /**
   * Goes on while the broker is there, for some seconds; what then is still open goes to the spool, and is published by the
   * node that comes after. Without a spool it has failed, and says so.
   */
  async close(): Promise<void> {
    const answered = Promise.allSettled([...this.#open].map(({ answer }) => answer.promise));
    await atMost(FLUSH_LIMIT_MS - (this.#spools ? SPOOL_LIMIT_MS : 0), answered, this.#broker.disconnected());
    this.#closed = true;
    this.#forget();
    if (this.#spools) {
      this.#spoolOpen();
      await atMost(SPOOL_LIMIT_MS, Promise.allSettled([...this.#open].map(({ answer }) => answer.promise)));
    }
    this.#drain.stop();
    await this.#backlog?.close();
    if (this.#open.size === 0) return;
    this.#context.log('error', 'closed with messages that the broker has not answered for', {
      messages: this.#open.size,
    });
    for (const entry of [...this.#open]) this.#giveUp(entry, closedError());
  }

  #onState(state: ConnectionState): void {
    this.#state = state;
    if (state.level === 'ok') this.#backlog?.serverIsBack();
    else if (this.#isAway && this.#spools) this.#spoolOpen();
    this.#show();
  }

  /** Not while it is connecting for the first time, which may take no time at all. */
  get #isAway(): boolean {
    return this.#state.level === 'error' || this.#state.level === 'off';
  }

  #checkRoom({ bytes }: Entry): void {
    const { maxQueue, maxQueueBytes } = this.#context.config;
    const full = this.#open.size > 0 && this.#openBytes + bytes > maxQueueBytes;
    if (!full && this.#open.size < maxQueue) return;
    this.#context.counters.add('refused', 1, 'queue-full');
    throw new UnavailableError(
      `expected at most ${maxQueue} waiting messages of ${maxQueueBytes} bytes together, got one more`,
      { code: 'queue-full' },
    );
  }

  /** What is on disk is before it. */
  #place(entry: Entry): void {
    if (this.#backlog?.isBusy !== true) {
      this.#offer(entry);
      return;
    }
    this.#backlog.turn().then(
      (turn) => (turn === 'behind' ? this.#spool(entry) : this.#offer(entry)),
      (error: unknown) => this.#reject(entry, error),
    );
  }

  #offer(entry: Entry): void {
    if (!this.#open.has(entry) || entry.spooled !== undefined) return; // it did not have to wait for its turn
    const { config } = this.#context;
    if (this.#spools && (config.spool === 'always' || this.#isAway)) {
      this.#spool(entry);
      return;
    }
    entry.patience = setTimeout(() => this.#giveUp(entry, this.#impatience(entry)), config.maxWait * 1_000);
    this.#attempt(entry);
    if (this.#state.level !== 'ok') this.#show();
  }

  #spoolOpen(): void {
    for (const entry of this.#open) this.#spool(entry);
  }

  /**
   * What the connection was given is sent again by the next one, whatever becomes of it here: when that is answered, it
   * leaves the spool.
   */
  #spool(entry: Entry): void {
    if (this.#backlog === undefined || !this.#open.has(entry) || entry.spooled !== undefined) return;
    const { publication, at, delivery, identity, publishing } = entry;
    const backlog = this.#backlog;
    clearTimeout(entry.patience);
    clearTimeout(entry.retry);
    entry.spooled = backlog.append({ at, delivery, identity, body: encodePublication(publication) });
    if (publishing?.sent === false) publishing.abandon(closedError());
    entry.spooled.then(
      () => this.#resolve(entry, 'spooled'),
      (error: unknown) => this.#reject(entry, error),
    );
  }

  #attempt(entry: Entry): void {
    entry.publishing = this.#broker.offer(entry.publication);
    entry.publishing.answered.then(
      (answer) => this.#onAnswer(entry, answer),
      (error: unknown) => this.#onFailure(entry, error),
    );
  }

  #onAnswer(entry: Entry, answer: PublishAnswer): void {
    if (entry.spooled !== undefined) {
      const { delivery, spooled } = entry;
      this.#count(entry.publication, answer);
      void spooled.then(
        (seq) => this.#backlog?.settle({ seq, delivery }),
        () => undefined, // it has been told
      );
      return;
    }
    if (!this.#open.has(entry)) return; // it was given up
    this.#count(entry.publication, answer);
    this.#resolve(entry, answer.expired ? 'dropped' : 'stored');
  }

  #count({ topic, qos }: Publication, { noSubscriber, expired }: PublishAnswer): void {
    const { counters, config, log } = this.#context;
    if (expired) {
      counters.add('dropped', 1, 'expired');
      return;
    }
    counters.add('published');
    if (noSubscriber) {
      counters.add('no-subscriber');
      if (config.expectSubscriber && this.#unheard === undefined) {
        log('warn', 'nobody has a subscription for what is published', { topic: describeValue(topic) });
      }
      this.#unheard = topic;
    } else if (qos > 0) {
      this.#unheard = undefined;
    }
  }

  #onFailure(entry: Entry, error: unknown): void {
    if (!this.#open.has(entry) || entry.spooled !== undefined) return; // it was given up, or its record is tried again
    if (error instanceof UnavailableError && !this.#closed) {
      this.#context.counters.add('retried');
      entry.retry = setTimeout(() => this.#attempt(entry), backoffDelay(entry.attempts++, RETRY));
      return;
    }
    this.#reject(entry, error);
  }

  #giveUp(entry: Entry, error: UnavailableError): void {
    this.#context.counters.add('abandoned', 1, error.code);
    entry.publishing?.abandon(error);
    this.#reject(entry, error);
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

  #resolve(entry: Entry, outcome: Outcome): void {
    this.#leave(entry);
    entry.answer.resolve(outcome);
    this.#show();
  }

  #reject(entry: Entry, error: unknown): void {
    this.#leave(entry);
    entry.answer.reject(error);
    this.#show();
  }

  #leave(entry: Entry): void {
    clearTimeout(entry.patience);
    clearTimeout(entry.retry);
    if (this.#open.delete(entry)) this.#openBytes -= entry.bytes;
  }

  #show(): void {
    const { counters, config, status } = this.#context;
    const { level, text } = this.#state;
    const published = (): string => `${counted.format(counters.total('published'))} published`;
    const records = this.#backlog?.records ?? 0;
    const onDisk = records > 0 ? `${counted.format(records)} spooled; ` : '';
    const behind = onDisk === '' && this.#open.size > 0 ? `${counted.format(this.#open.size)} waiting; ` : onDisk;
    const problem = this.#backlog?.problem;
    if (problem !== undefined) {
      status('error', `${behind}${problem}`);
    } else if (level !== 'ok') {
      status(level, `${behind}${text}`);
    } else if (config.expectSubscriber && this.#unheard !== undefined) {
      status('warning', `${onDisk}${published()}; nobody has a subscription for ${this.#unheard}`);
    } else {
      status(records > 0 && config.spool !== 'always' ? 'busy' : 'ok', () => `${onDisk}${published()}`);
    }
  }
}

function closedError(): UnavailableError {
  return new UnavailableError('expected the broker to answer before the node was closed, got nothing', {
    code: 'closed',
  });
}
