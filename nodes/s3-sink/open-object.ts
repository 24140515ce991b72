import type { Bundle } from '../lib/spool/record.js';

/** An object that takes records: of what is in the spool as its bundle, so much as decides when it is stored. */
export class OpenObject {
  readonly key: string;
  readonly bundle: Bundle;
  #records = 0;
  #bytes: number;
  #spoolBytes = 0;
  #appending = 0;
  #settled: PromiseWithResolvers<void> | undefined;

  /** @param headBytes - of a line that comes before all records */
  constructor(key: string, bundle: Bundle, headBytes: number) {
    this.key = key;
    this.bundle = bundle;
    this.#bytes = headBytes;
  }

  get records(): number {
    return this.#records;
  }

  /** Of its lines with their ends, uncompressed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What its records count for in the spool. */
  get spoolBytes(): number {
    return this.#spoolBytes;
  }

  /**
   * Takes a record.
   *
   * @param bytes - of its line
   * @param append - puts it into the spool; resolves to undefined where it has been there before
   * @returns whether it is one that has not been there
   */
  async take(bytes: number, spoolBytes: number, append: () => Promise<number | undefined>): Promise<boolean> {
    this.#count(1, bytes, spoolBytes);
    this.#appending++;
    let isNew = false;
    try {
      isNew = (await append()) !== undefined;
      return isNew;
    } finally {
      if (!isNew) this.#count(-1, -bytes, -spoolBytes);
      if (--this.#appending === 0) this.#settled?.resolve();
    }
  }

  /** Resolves when nothing is on its way into the spool. Nothing is taken any more. */
  async settled(): Promise<void> {
    if (this.#appending === 0) return;
    this.#settled ??= Promise.withResolvers<void>();
    await this.#settled.promise;
  }

  #count(records: number, bytes: number, spoolBytes: number): void {
    this.#records += records;
    this.#bytes += bytes;
    this.#spoolBytes += spoolBytes;
  }
}
