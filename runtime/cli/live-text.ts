import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

/** From the first column to the left upper corner, and all below it away (ECMA-48). */
const CLEAR = '\x1b[H\x1b[J';

export interface LiveTextOptions<T> {
  readonly ask: () => Promise<T>;
  readonly textOf: (answer: T) => string;
  /** One line of JSON. */
  readonly json: boolean;
  readonly single: boolean;
  readonly everySeconds: number;
}

/** Shows an answer: on a terminal anew every so often, until Ctrl-C; elsewhere once. @returns the last one */
export async function showLive<T>({ ask, textOf, json, single, everySeconds }: LiveTextOptions<T>): Promise<T> {
  let last = await ask();
  if (json) process.stdout.write(`${JSON.stringify(last)}\n`);
  else if (single || !process.stdout.isTTY) process.stdout.write(textOf(last));
  else {
    const interrupted = once(process, 'SIGINT');
    for (let shown = true; shown;) {
      process.stdout.write(`${CLEAR}${textOf(last)}\nCtrl-C ends.\n`);
      shown = await Promise.race([interrupted.then(() => false), delay(everySeconds * 1_000).then(() => true)]);
      if (shown) last = await ask();
    }
  }
  return last;
}
