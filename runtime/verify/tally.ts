import { FAULTS, type Fault } from '@sluice/node-red/simulator';

/** How many ids of a kind are named. */
const MOST_NAMED = 1_000;

export interface Named {
  readonly count: number;
  /** The first of them. */
  readonly ids: readonly string[];
}

/** What became of the messages with one label, or with none. */
export interface Row {
  readonly fault: Fault | 'none';
  /** Published: a duplicate counts, though it has the id of another. */
  readonly messages: number;
  readonly ids: number;
  readonly stored: number;
  readonly missing: number;
  readonly twice: number;
  readonly refusedStored: number;
}

export interface Findings {
  readonly rows: readonly Row[];
  /** Ids that should be stored, and of these those that are. */
  readonly expected: number;
  readonly stored: number;
  readonly missing: Named;
  /** Stored more than once. */
  readonly twice: Named;
  /** Stored, although a sink should never have been given them. */
  readonly refusedStored: Named;
  /** Published without an answer: may be stored or not. */
  readonly unanswered: { readonly ids: number; readonly stored: number };
  /** Records of what was sent. */
  readonly records: number;
  /** Records of other messages. */
  readonly others: number;
  /** Records that keep no id. */
  readonly unidentified: number;
}

const LABELS: readonly Row['fault'][] = ['none', ...FAULTS];
/** What should become of an id. */
const MUST = 0;
const MUST_NOT = 1;
const MAY = 2;
/** An entry in one number, for a million of them: two bits of fate, four of label, the rest counts what is stored. */
const LABEL = 4;
const ONE = 64;

/** Which messages were sent, and which are stored: their ids alone, so that a million fit. */
export class Tally {
  readonly #rejected: ReadonlySet<string>;
  readonly #entries = new Map<string, number>();
  readonly #messages = new Map<Row['fault'], number>();
  #others = 0;
  #unidentified = 0;

  /** @param rejected - the faults for which a message should not be stored */
  constructor(rejected: ReadonlySet<string>) {
    this.#rejected = rejected;
  }

  /** @param answered - whether the broker has taken it */
  sent(id: string, fault: Fault | undefined, answered: boolean): void {
    const label = fault ?? 'none';
    this.#messages.set(label, (this.#messages.get(label) ?? 0) + 1);
    const fate = this.#rejected.has(label) ? MUST_NOT : answered ? MUST : MAY;
    const before = this.#entries.get(id);
    // Of a message and its duplicate, one that was answered decides.
    const decided = before === undefined ? fate : Math.min(before % LABEL, fate);
    this.#entries.set(id, decided + LABELS.indexOf(label) * LABEL);
  }

  /** Forgets what is stored: the sink is read anew. */
  restart(): void {
    for (const [id, entry] of this.#entries) this.#entries.set(id, entry % ONE);
    this.#others = 0;
    this.#unidentified = 0;
  }

  /** @param candidates - what a record keeps where an id may be */
  stored(candidates: readonly unknown[]): void {
    const ids = candidates.filter((candidate) => typeof candidate === 'string' && candidate !== '') as string[];
    for (const id of ids) {
      const entry = this.#entries.get(id);
      if (entry === undefined) continue;
      this.#entries.set(id, entry + ONE);
      return;
    }
    if (ids.length > 0) this.#others++;
    else this.#unidentified++;
  }

  findings(): Findings {
    const rows = LABELS.map(() => ({ ids: 0, stored: 0, missing: 0, twice: 0, refusedStored: 0 }));
    const [missing, twice, refusedStored] = [new Names(), new Names(), new Names()];
    const unanswered = { ids: 0, stored: 0 };
    let [expected, stored, records] = [0, 0, 0];
    for (const [id, entry] of this.#entries) {
      const fate = entry % LABEL;
      const times = Math.floor(entry / ONE);
      const row = rows[Math.floor(entry / LABEL) % (ONE / LABEL)];
      if (row === undefined) continue; // there is one for each label
      row.ids++;
      records += times;
      if (times > 0) row.stored++;
      if (times > 1) {
        row.twice++;
        twice.add(id);
      }
      if (fate === MUST) {
        expected++;
        if (times > 0) stored++;
        else {
          row.missing++;
          missing.add(id);
        }
      } else if (fate === MUST_NOT && times > 0) {
        row.refusedStored++;
        refusedStored.add(id);
      } else if (fate === MAY) {
        unanswered.ids++;
        if (times > 0) unanswered.stored++;
      }
    }
    return {
      rows: rows
        .map((row, index) => {
          const fault = LABELS[index] ?? 'none';
          return { fault, messages: this.#messages.get(fault) ?? 0, ...row };
        })
        .filter(({ messages }) => messages > 0),
      expected,
      stored,
      missing,
      twice,
      refusedStored,
      unanswered,
      records,
      others: this.#others,
      unidentified: this.#unidentified,
    };
  }
}

class Names implements Named {
  count = 0;
  readonly ids: string[] = [];

  add(id: string): void {
    this.count++;
    if (this.ids.length < MOST_NAMED) this.ids.push(id);
  }
}
