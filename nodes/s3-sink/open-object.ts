/**
 * An object that takes records. What `append` promises is the one thing that a sink's acknowledgement rests on: an
 * implementation that puts lines on disk may resolve it earlier than this one, which keeps them in memory.
 */
export interface OpenObject {
  readonly key: string;
  readonly records: number;
  /** Of its lines with their ends, uncompressed. */
  readonly bytes: number;
  /** The earliest and the latest of its records, in milliseconds since 1970-01-01T00:00Z. */
  readonly firstTime: number;
  readonly lastTime: number;
  /**
   * Takes one record.
   *
   * @returns resolves when the record is safe; rejects when it is not, and will not be
   */
  append(record: Line): Promise<void>;
  /** Ends it and hands over what it holds. Nothing is appended any more. */
  seal(): Buffer;
  /** Another object has its key. */
  rename(key: string): void;
  /** What it held has been stored. */
  settle(): void;
  /** What it held has not been stored, and will not be. */
  fail(error: unknown): void;
}

export interface Line {
  /** Without its end. */
  readonly text: string;
  /** In UTF-8, with its end. */
  readonly bytes: number;
  /** When it happened, in milliseconds since 1970-01-01T00:00Z. */
  readonly time: number;
}

/** Keeps its lines in memory: a record is safe when the object has been stored. */
export class MemoryObject implements OpenObject {
  #key: string;
  #lines: string[];
  #records = 0;
  #bytes: number;
  #firstTime = Infinity;
  #lastTime = -Infinity;
  readonly #stored = Promise.withResolvers<void>();

  /** @param head - a line that comes before all records, without its end */
  constructor(key: string, head: string | undefined) {
    this.#key = key;
    this.#lines = head === undefined ? [] : [head];
    this.#bytes = head === undefined ? 0 : Buffer.byteLength(head) + 1;
  }

  get key(): string {
    return this.#key;
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get firstTime(): number {
    return this.#firstTime;
  }

  get lastTime(): number {
    return this.#lastTime;
  }

  append({ text, bytes, time }: Line): Promise<void> {
    this.#lines.push(text);
    this.#records++;
    this.#bytes += bytes;
    if (time < this.#firstTime) this.#firstTime = time;
    if (time > this.#lastTime) this.#lastTime = time;
    return this.#stored.promise;
  }

  seal(): Buffer {
    const lines = this.#lines;
    this.#lines = [];
    return Buffer.from(`${lines.join('\n')}\n`);
  }

  rename(key: string): void {
    this.#key = key;
  }

  settle(): void {
    this.#stored.resolve();
  }

  fail(error: unknown): void {
    this.#stored.reject(error);
  }
}
