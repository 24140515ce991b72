import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PassThrough } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { messageOf, type ObjectReader } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import { csvRows } from './csv.js';
import type { Candidates, Sink } from './sink.js';

const OBJECT = /\.(ndjson|jsonl|json|csv)(\.gz|\.zst)?$/;

/** Objects as s3-sink writes them: lines of JSON, whole or the payload alone, or CSV; plain, gzip or zstd. */
export class ObjectSink implements Sink {
  readonly place: string;
  readonly #reader: ObjectReader;

  constructor(reader: ObjectReader) {
    this.#reader = reader;
    this.place = reader.place;
  }

  async mark(): Promise<string> {
    let [objects, bytes] = [0, 0];
    for await (const { size } of this.#reader.list()) {
      objects++;
      bytes += size;
    }
    return `${objects}/${bytes}`;
  }

  async *records(): AsyncIterable<Candidates> {
    for await (const { key } of this.#reader.list()) {
      const [, format, compression] = OBJECT.exec(key) ?? [];
      if (format === undefined) continue;
      const text = (await this.#open(key, compression)).setEncoding('utf8');
      try {
        if (format === 'csv') for await (const row of csvRows(text)) yield row.flatMap(cellCandidates);
        else for await (const line of createInterface({ input: text, crlfDelay: Infinity })) yield idsOf(line);
      } catch (error) {
        throw new UserError(`expected ${key} in ${this.place} to be read, got ${messageOf(error)}`, { cause: error });
      }
    }
  }

  close(): Promise<void> {
    this.#reader.close();
    return Promise.resolve();
  }

  async #open(key: string, compression: string | undefined): Promise<Readable> {
    const source = await this.#reader.read(key);
    const out = new PassThrough();
    const stages = compression === '.gz' ? [createGunzip()] : compression === '.zst' ? [createZstdDecompress()] : [];
    // What breaks in it breaks the reading of what comes out of it.
    pipeline([source, ...stages, out]).catch((error: unknown) => out.destroy(error as Error));
    return out;
  }
}

/** @throws SyntaxError for a line that is no JSON */
function idsOf(line: string): Candidates {
  const record: unknown = JSON.parse(line);
  if (typeof record !== 'object' || record === null) return [];
  const { identity, id, payload } = record as Record<string, unknown>;
  const inner =
    typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>)['id'] : undefined;
  return [identity, id, inner];
}

/** Whatever its column is: an id, or a payload as JSON that has one. */
function cellCandidates(cell: string): Candidates {
  if (!cell.startsWith('{')) return [cell];
  try {
    return idsOf(cell);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [cell]; // a text that looks like JSON
  }
}
