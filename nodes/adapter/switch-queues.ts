import type { Message } from '../lib/message.js';
import type { RedNode } from './red.js';
import type { Token } from './trial.js';

interface Waiting {
  readonly message: Message;
  readonly token: Token;
}

/**
 * Core switch nodes have no `done`, and keep what comes while they evaluate (JSONata, a flow context): they have done
 * with a message when they call `send` for it, which they do once for each, in order, also where no rule matches.
 */
export class SwitchQueues {
  readonly #queues = new Map<RedNode, Waiting[]>();
  readonly #complete: (token: Token) => void;

  constructor(complete: (token: Token) => void) {
    this.#complete = complete;
  }

  /** Whether a node is such a one. One that puts sequences together again sends several at the end of each. */
  static has(node: RedNode): boolean {
    return node.type === 'switch' && (node as { repair?: unknown }).repair !== true;
  }

  add(message: Message, token: Token): void {
    const { node } = token;
    const queue = this.#queues.get(node);
    if (queue === undefined) {
      this.#queues.set(node, [{ message, token }]);
      this.#watch(node);
    } else {
      queue.push({ message, token });
    }
  }

  /** The token of the message that a node is evaluating, by the node's id. */
  head(id: string): Token | undefined {
    for (const [node, [first]] of this.#queues) if (node.id === id) return first?.token;
    return undefined;
  }

  /** Forgets what nodes have that a deploy has closed. */
  forget(node: RedNode): void {
    this.#queues.delete(node);
  }

  #watch(node: RedNode): void {
    const send = node.send.bind(node);
    node.send = (messages) => {
      send(messages);
      this.#sent(node, messages);
    };
  }

  #sent(node: RedNode, messages: readonly (Message | null)[]): void {
    const queue = this.#queues.get(node);
    if (queue === undefined) return;
    // What stands before the message that was sent has been given up with a warning.
    const index = queue.findIndex(({ message }) => messages.some((sent) => isOf(sent ?? undefined, message)));
    for (const { token } of queue.splice(0, Math.max(index, 0) + 1)) this.#complete(token);
  }
}

/** Whether a message that is sent is the one that was received: a further output gets a copy. */
function isOf(sent: Message | undefined, received: Message): boolean {
  return sent === received || (sent?._msgid !== undefined && sent._msgid === received._msgid);
}
