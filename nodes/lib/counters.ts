/**
 * Counts of one node since it was deployed. A name is a plural-less verb form of the field (`received`, `stored`,
 * `rejected`); a reason splits a name (`rejected` by `schema`, `invalid-json`, …). Counts only grow.
 */
export class Counters {
  /** In cells, so that to count asks a map once: it is done several times for every message. */
  readonly #totals = new Map<string, { count: number }>();
  readonly #reasons = new Map<string, Map<string, { count: number }>>();

  add(name: string, count = 1, reason?: string): void {
    increase(this.#totals, name, count);
    if (reason === undefined) return;
    let reasons = this.#reasons.get(name);
    if (reasons === undefined) this.#reasons.set(name, (reasons = new Map<string, { count: number }>()));
    increase(reasons, reason, count);
  }

  total(name: string): number {
    return this.#totals.get(name)?.count ?? 0;
  }

  /** `{ received: 10, rejected: 2, 'rejected{schema}': 2 }` */
  snapshot(): Record<string, number> {
    const out: Record<string, number> = {};
    for (const [name, { count }] of this.#totals) out[name] = count;
    for (const [name, reasons] of this.#reasons) {
      for (const [reason, { count }] of reasons) out[`${name}{${reason}}`] = count;
    }
    return out;
  }
}

function increase(cells: Map<string, { count: number }>, name: string, by: number): void {
  const cell = cells.get(name);
  if (cell === undefined) cells.set(name, { count: by });
  else cell.count += by;
}
