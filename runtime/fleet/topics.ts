/**
 * Where a fleet speaks, on its broker. All of it is signed (FleetKeys.sign). A fleet's name has no `/`, `+` or `#` in it.
 *
 * - `sluice/<fleet>/flow/manifest` (retained): the revision that workers should run, and the hashes of its chunks
 * - `sluice/<fleet>/flow/chunks/<revision>/<number>` (retained)
 * - `sluice/<fleet>/flow/running/<slot>`: which revision an instance runs, said at each change
 * - `sluice/<fleet>/flow/echo/<nonce>`: what a member says to itself, to know when it has got all that is retained
 * - `sluice/<fleet>/instances/<slot>` (retained): what an instance says of itself, every second
 * - `sluice/<fleet>/commands/<slot>`: what the launcher asks of an instance that it has not started
 * - `sluice/<fleet>/join` and `sluice/<fleet>/join/<nonce>`: who asks for a slot, and the answer
 */
export class FleetTopics {
  readonly #root: string;

  constructor(fleet: string) {
    this.#root = `sluice/${fleet}`;
  }

  get manifest(): string {
    return `${this.#root}/flow/manifest`;
  }

  chunk(revision: number, number: number): string {
    return `${this.#root}/flow/chunks/${revision}/${number}`;
  }

  /** All chunks of a revision. */
  chunks(revision: number): string {
    return `${this.#root}/flow/chunks/${revision}/+`;
  }

  /** @param slot - `'+'`: of every instance */
  running(slot: number | '+'): string {
    return `${this.#root}/flow/running/${slot}`;
  }

  echo(nonce: string): string {
    return `${this.#root}/flow/echo/${nonce}`;
  }

  /** @param slot - `'+'`: of every instance */
  instance(slot: number | '+'): string {
    return `${this.#root}/instances/${slot}`;
  }

  command(slot: number): string {
    return `${this.#root}/commands/${slot}`;
  }

  get join(): string {
    return `${this.#root}/join`;
  }

  joined(nonce: string): string {
    return `${this.join}/${nonce}`;
  }
}
