/**
 * Counts of one node since it was deployed. A name is a plural-less verb form of the field (`received`, `stored`,
 * `rejected`); a reason splits a name (`rejected` by `schema`, `invalid-json`, …). Counts only grow.
 */
export class Counters {
  readonly #totals = new Map<string, number>();
  readonly #reasons = new Map<string, Map<string, number>>();

  add(name: string, count = 1, reason?: string): void {
    this.#totals.set(name, (this.#totals.get(name) ?? 0) + count);
    if (reason === undefined) return;
    let reasons = this.#reasons.get(name);
    if (reasons === undefined) this.#reasons.set(name, (reasons = new Map<string, number>()));
    reasons.set(reason, (reasons.get(reason) ?? 0) + count);
  }

  total(name: string): number {
    return this.#totals.get(name) ?? 0;
  }

  /** `{ received: 10, rejected: 2, 'rejected{schema}': 2 }` */
  snapshot(): Record<string, number> {
    const out: Record<string, number> = Object.fromEntries(this.#totals);
    for (const [name, reasons] of this.#reasons) {
      for (const [reason, count] of reasons) out[`${name}{${reason}}`] = count;
    }
    return out;
  }
}
