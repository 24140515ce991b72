import { hash } from 'node:crypto';
import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** A longer identity is known by its digest: what is remembered has a bound. */
const SHORT = 120;

interface Statements {
  readonly save: StatementSync;
  readonly forgetBefore: StatementSync;
}

/**
 * The identities of what was put in, also of what has left again: in memory, and on disk as a row a transaction. A row each, in an
 * index by text, cost more than twice what all else costs that is done to put a record in.
 */
export class SeenIdentities {
  readonly #atLeast: number;
  readonly #statements: Statements;
  /** When these are enough they become the earlier ones, in one go: to take out one for each that comes is slow. */
  #recent = new Set<string>();
  #earlier = new Set<string>();
  /** The row that the recent ones begin with. */
  #recentFrom = 1;
  #lastRow = 0;
  /** Of the present transaction, and whether they were known before it. */
  readonly #touched = new Map<string, boolean>();

  /** @param atLeast - so many are remembered, and at most twice as many */
  constructor(sql: DatabaseSync, atLeast: number) {
    this.#atLeast = atLeast;
    this.#statements = {
      save: sql.prepare('INSERT INTO seen (id, added, forgotten) VALUES (?, ?, ?)'),
      forgetBefore: sql.prepare('DELETE FROM seen WHERE id < ?'),
    };
    for (const { id, added, forgotten } of sql.prepare('SELECT id, added, forgotten FROM seen ORDER BY id').iterate()) {
      if (this.#lastRow === 0) this.#recentFrom = Number(id);
      this.#lastRow = Number(id);
      for (const key of JSON.parse(String(added)) as string[]) this.#recent.add(key);
      for (const key of JSON.parse(String(forgotten)) as string[]) this.#delete(key);
      this.#age();
    }
  }

  /** @returns whether it was not known */
  see(identity: string): boolean {
    const key = keyOf(identity);
    if (this.#has(key)) return false;
    this.#touch(key, false);
    this.#recent.add(key);
    return true;
  }

  /** It is new when it comes again. */
  forget(identity: string): void {
    const key = keyOf(identity);
    if (!this.#has(key)) return;
    this.#touch(key, true);
    this.#delete(key);
  }

  /** At the end of a transaction, within it. */
  save(): void {
    if (this.#touched.size === 0) return;
    const [added, forgotten]: [string[], string[]] = [[], []];
    for (const key of this.#touched.keys()) (this.#has(key) ? added : forgotten).push(key);
    this.#statements.save.run(this.#lastRow + 1, JSON.stringify(added), JSON.stringify(forgotten));
    if (this.#isEnough()) this.#statements.forgetBefore.run(this.#recentFrom);
  }

  /** The transaction is on the disk. */
  saved(): void {
    if (this.#touched.size === 0) return;
    this.#touched.clear();
    this.#lastRow++;
    this.#age();
  }

  /** Nothing of the transaction has happened. */
  undo(): void {
    for (const [key, wasKnown] of this.#touched) {
      if (wasKnown) this.#recent.add(key);
      else this.#delete(key);
    }
    this.#touched.clear();
  }

  #has(key: string): boolean {
    return this.#recent.has(key) || this.#earlier.has(key);
  }

  #delete(key: string): void {
    this.#recent.delete(key);
    this.#earlier.delete(key);
  }

  #touch(key: string, isKnown: boolean): void {
    if (!this.#touched.has(key)) this.#touched.set(key, isKnown);
  }

  #isEnough(): boolean {
    return this.#recent.size >= this.#atLeast;
  }

  #age(): void {
    if (!this.#isEnough()) return;
    [this.#earlier, this.#recent] = [this.#recent, new Set()];
    this.#recentFrom = this.#lastRow + 1;
  }
}

function keyOf(identity: string): string {
  return identity.length <= SHORT ? identity : hash('sha256', identity, 'base64');
}
