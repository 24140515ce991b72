import { messageOf } from './user-error.js';

/** Stops one thing. @returns whether it ended as it should */
export type Stop = () => boolean | Promise<boolean>;

/** What has been started, which stops in the other order. */
export class Started {
  readonly #stops: Stop[] = [];
  readonly #say: (sentence: string) => void;

  constructor(say: (sentence: string) => void) {
    this.#say = say;
  }

  add(stop: Stop): void {
    this.#stops.unshift(stop);
  }

  /** The last first. One that cannot be stopped keeps no other from it. @returns whether all ended as they should */
  async stop(): Promise<boolean> {
    let clean = true;
    for (const stop of this.#stops) {
      try {
        clean = (await stop()) && clean;
      } catch (error) {
        this.#say(messageOf(error));
        clean = false;
      }
    }
    return clean;
  }
}
