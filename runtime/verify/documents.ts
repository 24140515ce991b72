import type { CollectionReader } from '@sluice/node-red/simulator';
import type { Candidates, Sink } from './sink.js';

const FIELDS = ['_id', 'identity', 'id', 'payload.id'] as const;

/** Documents as mongo-sink stores them: the id of the message is `_id`, unless the payload has one of its own. */
export class DocumentSink implements Sink {
  readonly place: string;
  readonly #reader: CollectionReader;

  constructor(reader: CollectionReader) {
    this.#reader = reader;
    this.place = reader.place;
  }

  async mark(): Promise<string> {
    return String(await this.#reader.count());
  }

  async *records(): AsyncIterable<Candidates> {
    for await (const document of this.#reader.documents(FIELDS)) {
      const { _id, identity, id, payload } = document as Record<string, unknown>;
      yield [_id, identity, id, (payload as { id?: unknown } | null | undefined)?.id];
    }
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
