import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import type { DeadLetterQueue } from '../dead-letter-queue/queue.js';
import { deadLetter, type DeadLetterReason, rejectionReason } from '../lib/dead-letter.js';
import type { Ending } from '../lib/delivery/outcome.js';
import type { Message, Rejection } from '../lib/message.js';
import type { Config } from './config.js';

type InboxContext = Pick<NodeContext<Config, unknown>, 'origin' | 'counters' | 'status'>;

/** Takes what comes by a wire: from a rejected output, a Catch node, or any other. */
export class DeadLetterInbox implements Behaviour {
  readonly #context: InboxContext;
  readonly #queue: DeadLetterQueue;
  readonly #forget: () => void;

  constructor(context: InboxContext, queue: DeadLetterQueue) {
    this.#context = context;
    this.#queue = queue;
    const show = (): void => context.status(queue.state.level, () => queue.state.text);
    this.#forget = queue.onState(show);
    show();
  }

  /**
   * Resolves when the letter is durable.
   *
   * @throws RejectedError, UnavailableError as `DeadLetters.keep`
   */
  async input(message: Message): Promise<Ending> {
    const origin = this.#context.origin();
    const { entered, reason, node = origin.node } = failureOf(message);
    await this.#queue.keep(deadLetter(entered, reason, { ...origin, node }, Date.now()));
    this.#context.counters.add('stored');
    return { outcome: 'dead-lettered', reason: reason.code };
  }

  close(): Promise<void> {
    this.#forget();
    return Promise.resolve();
  }
}

interface Failure {
  /** The message as it entered the node that failed. */
  readonly entered: Message;
  readonly reason: DeadLetterReason;
  readonly node?: Rejection['node'];
}

/** What a rejected output, or a Catch node, has put on a message. */
function failureOf(message: Message): Failure {
  const { rejection, error, _error, ...rest } = message as Message & { error?: unknown; _error?: unknown };
  if (isRejection(rejection)) {
    const entered = { ...rest, ...(error !== undefined && { error }), ...(_error !== undefined && { _error }) };
    return { entered, reason: rejectionReason(rejection), node: rejection.node };
  }
  if (isCaught(error)) {
    // Node-RED keeps an `error` that the message had before as `_error`.
    const entered = { ...rest, ...(_error !== undefined && { error: _error }) };
    const { id, type, name } = error.source;
    return {
      entered,
      reason: { code: 'error', message: error.message },
      node: { id, type, name: name === undefined || name === '' ? type : name },
    };
  }
  return { entered: message, reason: { code: 'none', message: 'the message came by a wire, without a reason' } };
}

function isRejection(value: unknown): value is Rejection {
  const { code, message, node } = (value ?? {}) as Partial<Rejection>;
  return typeof code === 'string' && typeof message === 'string' && typeof node?.id === 'string';
}

/** `msg.error` of a Catch node: https://nodered.org/docs/user-guide/handling-errors */
function isCaught(value: unknown): value is { message: string; source: { id: string; type: string; name?: string } } {
  const { message, source } = (value ?? {}) as { message?: unknown; source?: { id?: unknown; type?: unknown } };
  return typeof message === 'string' && typeof source?.id === 'string' && typeof source.type === 'string';
}
