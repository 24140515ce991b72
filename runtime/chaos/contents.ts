/** What is found where a flow has stored, by the ids of what was sent. */
export interface Contents {
  readonly places: readonly PlaceContents[];
  readonly deadLetters: DeadLetterContents;
}

export interface PlaceContents {
  /** How often each record is there. A part of a message has the message's id, `#` and its number. */
  readonly records: ReadonlyMap<string, number>;
  /** Whether each record is kept under its id, which then is there once. */
  readonly byIdentity: boolean;
  /** Records of messages that were not sent by this run, or that keep no id. */
  readonly others: number;
}

export interface DeadLetterContents {
  /** By record, how often each node has put it there. */
  readonly records: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Letters by the code of their reason. */
  readonly reasons: ReadonlyMap<string, number>;
  readonly others: number;
}

const PART = /#[^:]*$/;

/** The id of the message that a record is of. */
export function messageOfRecord(id: string): string {
  return id.replace(PART, '');
}

/** Counts the records of one place. */
export class PlaceTally {
  readonly #sent: ReadonlySet<string>;
  readonly #records = new Map<string, number>();
  #byIdentity = true;
  #others = 0;

  constructor(sent: ReadonlySet<string>) {
    this.#sent = sent;
  }

  /** @param candidates - what a record keeps where an id may be; where it would be the record's own, first */
  add(candidates: readonly unknown[]): void {
    const index = candidates.findIndex((candidate) => isIdOf(this.#sent, candidate));
    if (index === -1) {
      this.#others++;
      return;
    }
    if (index > 0) this.#byIdentity = false;
    const id = candidates[index] as string;
    this.#records.set(id, (this.#records.get(id) ?? 0) + 1);
  }

  contents(): PlaceContents {
    return { records: this.#records, byIdentity: this.#byIdentity, others: this.#others };
  }
}

export class DeadLetterTally {
  readonly #sent: ReadonlySet<string>;
  readonly #records = new Map<string, Map<string, number>>();
  readonly #reasons = new Map<string, number>();
  #others = 0;

  constructor(sent: ReadonlySet<string>) {
    this.#sent = sent;
  }

  add(candidates: readonly unknown[], node: string, reason: string): void {
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    const id = candidates.find((candidate) => isIdOf(this.#sent, candidate)) as string | undefined;
    if (id === undefined) {
      this.#others++;
      return;
    }
    const nodes = this.#records.get(id) ?? new Map<string, number>();
    this.#records.set(id, nodes.set(node, (nodes.get(node) ?? 0) + 1));
  }

  contents(): DeadLetterContents {
    return { records: this.#records, reasons: this.#reasons, others: this.#others };
  }
}

function isIdOf(sent: ReadonlySet<string>, candidate: unknown): boolean {
  return typeof candidate === 'string' && (sent.has(candidate) || sent.has(messageOfRecord(candidate)));
}
