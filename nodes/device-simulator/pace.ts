/**
 * When messages are due: at a steady rate of all devices together, which grows in a straight line while they start one
 * after the other. Times in seconds from the start.
 */
export class Pace {
  readonly #rate: number;
  readonly #devices: number;
  readonly #ramp: number;

  /**
   * @param rate - messages a second, of all devices together
   * @param ramp - seconds from the start of the first device to that of the last
   */
  constructor(rate: number, devices: number, ramp: number) {
    this.#rate = rate;
    this.#devices = devices;
    this.#ramp = ramp;
  }

  /** How many messages are due by then. The first is due at once. */
  due(time: number): number {
    const ramp = this.#ramp;
    return Math.floor(this.#rate * (time < ramp ? time ** 2 / (2 * ramp) : time - ramp / 2)) + 1;
  }

  /** When so many have been made, the time of the next. */
  timeOf(made: number): number {
    const ramp = this.#ramp;
    return made < (this.#rate * ramp) / 2 ? Math.sqrt((2 * ramp * made) / this.#rate) : made / this.#rate + ramp / 2;
  }

  /** How many devices have started. */
  devices(time: number): number {
    if (time >= this.#ramp) return this.#devices;
    return Math.min(this.#devices, Math.floor((this.#devices * time) / this.#ramp) + 1);
  }
}
