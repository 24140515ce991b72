import { join } from 'node:path';
import type { NodeContext } from '../adapter/define-node.js';
import { LetterFolder } from '../dead-letter-queue/letter-folder.js';
import { deadLetter, reasonOf } from '../lib/dead-letter.js';
import { messageOf, type RejectedError } from '../lib/errors.js';
import { OrderedIds } from '../lib/identity.js';
import type { Message } from '../lib/message.js';

/**
 * Keeps what left a spool and was rejected where the node has no place for it: in `dead-letters` of the user folder. The
 * source was told long ago that it is safe, so there is nobody else to give it to.
 */
export class LastResort {
  readonly #context: Pick<NodeContext<unknown, unknown>, 'origin' | 'counters' | 'log'>;
  readonly #folder: LetterFolder;
  readonly #ids = new OrderedIds();

  constructor(
    context: Pick<NodeContext<unknown, unknown>, 'id' | 'instance' | 'runId' | 'origin' | 'counters' | 'log'>,
    userDir: string,
  ) {
    this.#context = context;
    const writer = `${context.instance}.${context.runId.slice(0, 8)}.${context.id}`;
    this.#folder = new LetterFolder(join(userDir, 'dead-letters'), writer);
  }

  /** @returns whether it is durable there */
  async keep(message: Message, error: RejectedError): Promise<boolean> {
    const { counters, log, origin } = this.#context;
    try {
      const { version, ...draft } = deadLetter(message, reasonOf(error), origin(), Date.now());
      const [problem] = (
        await this.#folder.append([{ version, id: this.#ids.next(Date.parse(draft.at)), ...draft }])
      ).values();
      if (problem !== undefined) throw problem;
      counters.add('dead-lettered', 1, error.code);
      log('warn', 'a spooled message was rejected, and is kept in the dead letters of the user folder', {
        folder: this.#folder.place,
        reason: error.message,
      });
      return true;
    } catch (cause) {
      log('error', 'a dead letter could not be kept', { reason: messageOf(cause) });
      return false;
    } finally {
      await this.#folder.close();
    }
  }
}
