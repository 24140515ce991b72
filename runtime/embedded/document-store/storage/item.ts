/** A document on its way: its bytes or its fields, whichever came first, the other when it is asked for. */
import { decode } from '../bson/decode.js';
import { encode } from '../bson/encode.js';
import type { Doc } from '../bson/values.js';

export class Item {
  #raw: Buffer | undefined;
  #doc: Doc | undefined;

  private constructor(raw: Buffer | undefined, doc: Doc | undefined) {
    this.#raw = raw;
    this.#doc = doc;
  }

  static read(raw: Buffer): Item {
    return new Item(raw, undefined);
  }

  static made(doc: Doc): Item {
    return new Item(undefined, doc);
  }

  get raw(): Buffer {
    return (this.#raw ??= encode(this.doc));
  }

  /** Not to be changed: others may read it. */
  get doc(): Doc {
    return (this.#doc ??= decode(this.raw));
  }

  /** At least these fields: only they are read, where none has been yet. */
  fields(wanted: ReadonlySet<string> | undefined): Doc {
    return this.#doc ?? (wanted === undefined || this.#raw === undefined ? this.doc : decode(this.#raw, wanted));
  }

  /** Keeps the bytes alone, which take a tenth of the memory. */
  compact(): void {
    this.#raw ??= this.raw;
    this.#doc = undefined;
  }
}
