import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CollectionReader, collectionNames, openObjectReader } from '@sluice/node-red/simulator';
import { DocumentSink } from '../verify/documents.js';
import { ObjectSink } from '../verify/objects.js';
import type { Sink } from '../verify/sink.js';
import { DeadLetterTally, PlaceTally, type Contents } from './contents.js';
import type { Listener } from './listener.js';
import { collectionPattern, type PlacedFlow, type Place } from './places.js';

export interface ReadBackSettings {
  readonly flow: Pick<PlacedFlow, 'places' | 'deadLetters'>;
  /** Of the store itself, not of the proxy before it. */
  readonly uri: string;
  readonly credentials: { readonly user?: string; readonly password?: string };
  /** Where dead letters are kept that are in no collection. */
  readonly deadLetterFolder: string;
  readonly listener: Listener;
}

/** A letter as dead-letter-queue keeps it: what is asked of it here. */
interface Letter {
  readonly node?: { readonly id?: string };
  readonly reason?: { readonly code?: string };
  readonly message?: {
    readonly identity?: string;
    readonly payload?: { readonly encoding?: string; readonly data?: string };
  };
}

const LETTER_FIELDS = ['node.id', 'reason.code', 'message.identity', 'message.payload'];

/** Reads what a flow has stored by clients of its own. */
export class ReadBack {
  readonly #settings: ReadBackSettings;

  constructor(settings: ReadBackSettings) {
    this.#settings = settings;
  }

  /** Changes when more is stored. @throws UnavailableError */
  async mark(): Promise<string> {
    const { flow, listener, deadLetterFolder } = this.#settings;
    const names = await this.#collections();
    const marks: (string | number)[] = [listener.received];
    for (const place of flow.places) {
      if (place.kind === 'lines') marks.push(await sizeOf(place.file));
      for (const sink of this.#sinksOf(place, names)) marks.push(await closing(sink, () => sink.mark()));
    }
    for (const name of flow.deadLetters) {
      const sink = this.#documents(name);
      if (names.includes(name)) marks.push(await closing(sink, () => sink.mark()));
    }
    for (const file of await filesOf(deadLetterFolder)) marks.push(await sizeOf(file));
    return marks.join(' ');
  }

  /** @throws UnavailableError, ConfigError, UserError when something cannot be read */
  async read(sent: ReadonlySet<string>): Promise<Contents> {
    const { flow, listener } = this.#settings;
    const names = await this.#collections();
    const places = [];
    for (const place of flow.places) {
      const tally = new PlaceTally(sent);
      if (place.kind === 'published') for (const candidates of listener.messages(place.filter)) tally.add(candidates);
      if (place.kind === 'lines') for await (const record of linesOf(place.file)) tally.add(candidatesOf(record));
      for (const sink of this.#sinksOf(place, names)) {
        await closing(sink, async () => {
          for await (const candidates of sink.records()) tally.add(candidates);
        });
      }
      places.push(tally.contents());
    }
    const deadLetters = new DeadLetterTally(sent);
    for await (const { node, reason, message } of this.#letters(names)) {
      deadLetters.add([message?.identity, idIn(message?.payload)], node?.id ?? '', reason?.code ?? '');
    }
    return { places, deadLetters: deadLetters.contents() };
  }

  /** Where a collection keeps dead letters it is no place of documents. */
  #sinksOf(place: Place, names: readonly string[]): Sink[] {
    if (place.kind === 'objects') return [new ObjectSink(openObjectReader(place.url))];
    if (place.kind !== 'documents') return [];
    const pattern = collectionPattern(place.collection);
    const { deadLetters } = this.#settings.flow;
    return names
      .filter((name) => pattern.test(name) && !deadLetters.includes(name))
      .map((name) => this.#documents(name));
  }

  #documents(collection: string): DocumentSink {
    return new DocumentSink(this.#reader(collection));
  }

  #reader(collection: string): CollectionReader {
    const { uri, credentials } = this.#settings;
    return new CollectionReader(uri, credentials, collection);
  }

  #collections(): Promise<string[]> {
    return collectionNames(this.#settings.uri, this.#settings.credentials);
  }

  async *#letters(names: readonly string[]): AsyncIterable<Letter> {
    for (const name of this.#settings.flow.deadLetters.filter((one) => names.includes(one))) {
      const reader = this.#reader(name);
      try {
        yield* reader.documents(LETTER_FIELDS);
      } finally {
        await reader.close();
      }
    }
    for (const file of await filesOf(this.#settings.deadLetterFolder)) {
      for await (const letter of linesOf(file)) yield letter;
    }
  }
}

async function closing<T>(sink: Sink, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    await sink.close();
  }
}

/** The objects of a file's lines. A line that is none, as a crash leaves one, is an empty object. */
async function* linesOf(file: string): AsyncIterable<object> {
  if ((await sizeOf(file)) === 0) return;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    if (line !== '') yield objectOf(line);
  }
}

function objectOf(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function candidatesOf(record: object): unknown[] {
  const { _id, identity, id, payload } = record as Record<string, unknown>;
  return [_id, identity, id, (payload as { id?: unknown } | null | undefined)?.id];
}

function idIn(payload: { readonly encoding?: string; readonly data?: string } | undefined): unknown {
  return payload?.encoding === 'json' ? (objectOf(payload.data ?? '') as { id?: unknown }).id : undefined;
}

async function filesOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.ndjson')).map((name) => join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** 0 for a file that is not there. */
async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}
