import { RejectedError, UnavailableError } from '../lib/errors.js';
import type { SpoolRecord } from '../lib/spool/record.js';
import type { ConnectionState } from '../sluice-mqtt-broker/connection.js';
import { expiryLeft, type Publication, type PublishAnswer, type Publishing } from '../sluice-mqtt-broker/outbox.js';
import type { NotStored } from '../spooling/backlog.js';
import { decodePublication } from './spooled-publication.js';

interface Publisher {
  offer(publication: Publication): Publishing;
}

/** Publishes what was spooled. */
export class Drain {
  readonly #broker: Publisher;
  readonly #answered: (publication: Publication, answer: PublishAnswer) => void;
  readonly #under: Set<Publishing> = new Set();

  /** @param answered - told of each that was published */
  constructor(broker: Publisher, answered: (publication: Publication, answer: PublishAnswer) => void) {
    this.#broker = broker;
    this.#answered = answered;
  }

  /** Publishes records, in their order, where there is a connection. @returns what was not published, by its index */
  async write(records: readonly SpoolRecord[], state: ConnectionState): Promise<ReadonlyMap<number, NotStored>> {
    const notStored = new Map<number, NotStored>();
    if (state.level !== 'ok') {
      // To offer them would publish them twice: the next connection first sends again what this one has left.
      const away = new UnavailableError(state.text, { code: 'broker-away' });
      return new Map(records.map((_record, index) => [index, away]));
    }
    await Promise.all(
      records.map(async (record, index) => {
        const failure = await this.#publish(record);
        if (failure !== undefined) notStored.set(index, failure);
      }),
    );
    return notStored;
  }

  /** What has not been sent stays on disk. */
  stop(): void {
    for (const publishing of this.#under) {
      if (!publishing.sent) publishing.abandon(new UnavailableError('the node was closed', { code: 'closed' }));
    }
  }

  async #publish(record: SpoolRecord): Promise<NotStored | undefined> {
    let publishing: Publishing | undefined;
    try {
      const publication = aged(decodePublication(record), Date.now() - record.at);
      if (publication === undefined) return 'expired';
      publishing = this.#broker.offer(publication);
      this.#under.add(publishing);
      const answer = await publishing.answered;
      if (answer.expired) return 'expired';
      this.#answered(publication, answer);
      return undefined;
    } catch (error) {
      if (error instanceof RejectedError || error instanceof UnavailableError) return error;
      throw error;
    } finally {
      if (publishing !== undefined) this.#under.delete(publishing);
    }
  }
}

/** As it is after so many milliseconds; undefined when its time is over. */
function aged(publication: Publication, milliseconds: number): Publication | undefined {
  const { properties } = publication;
  const left = expiryLeft(properties, milliseconds);
  if (left === undefined) return publication;
  return left === 'expired'
    ? undefined
    : { ...publication, properties: { ...properties, messageExpiryInterval: left } };
}
