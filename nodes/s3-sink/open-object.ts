/**
 * An object that takes records. What `append` promises is the one thing that a sink's acknowledgement rests on: an
 * implementation that puts lines on disk may resolve it earlier than this one, which keeps them in memory.
 */
export interface OpenObject {
  readonly key: string;
  readonly records: number;
  /** Of its lines with their ends, uncompressed. */
  readonly bytes: number;
  /**
   * Takes one line.
   *
   * @param bytes - of the line in UTF-8, with its end
   * @returns resolves when the record is safe; rejects when it is not, and will not be
   */
  append(line: string, bytes: number): Promise<void>;
  /** Ends it and hands over what it holds. Nothing is appended any more. */
  seal(): Buffer;
  /** What it held has been stored. */
  settle(): void;
  /** What it held has not been stored, and will not be. */
  fail(error: unknown): void;
}

/** Keeps its lines in memory: a record is safe when the object has been stored. */
export class MemoryObject implements OpenObject {
  readonly key: string;
  #lines: string[] = [];
  #records = 0;
  #bytes = 0;
  readonly #stored = Promise.withResolvers<void>();

  constructor(key: string) {
    this.key = key;
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(line: string, bytes: number): Promise<void> {
    this.#lines.push(line);
    this.#records++;
    this.#bytes += bytes;
    return this.#stored.promise;
  }

  seal(): Buffer {
    const lines = this.#lines;
    this.#lines = [];
    return Buffer.from(`${lines.join('\n')}\n`);
  }

  settle(): void {
    this.#stored.resolve();
  }

  fail(error: unknown): void {
    this.#stored.reject(error);
  }
}
