import type { Message } from '../lib/message.js';
import type { RedNode } from './red.js';
import { isOpen, type Token } from './tokens.js';

interface Waiting {
  readonly message: Message;
  readonly token: Token;
}

interface Queue {
  waiting: Waiting[];
  /** The node's `send`, as it was replaced here. */
  send?: RedNode['send'];
}

/**
 * Core switch nodes have no `done`, and keep what comes while they evaluate (JSONata, a flow context) or wait for a
 * sequence: they have done with a message when they call `send` for it, which they do once for each, also where no rule
 * matches, or when they log that they could not evaluate it.
 */
export class SwitchQueues {
  readonly #queues = new Map<RedNode, Queue>();
  readonly #complete: (token: Token) => void;

  constructor(complete: (token: Token) => void) {
    this.#complete = complete;
  }

  /** Whether a node is such a one. */
  static has(node: RedNode): boolean {
    return node.type === 'switch';
  }

  add(message: Message, token: Token): void {
    const { node } = token;
    let queue = this.#queues.get(node);
    if (queue === undefined) this.#queues.set(node, (queue = { waiting: [] }));
    if (queue.send !== node.send) this.#watch(node, queue);
    queue.waiting.push({ message, token });
  }

  /** Whether the node with this id is a switch node that has been given something. */
  knows(id: string): boolean {
    return this.#byId(id) !== undefined;
  }

  /**
   * Takes out what a node could not evaluate.
   *
   * @param message - as a Catch node got it; without it, it is what the node is at: the oldest
   */
  take(id: string, message?: Message): Token | undefined {
    const queue = this.#byId(id);
    const open = queue?.waiting.filter(({ token }) => isOpen(token)) ?? [];
    const found = message === undefined ? open[0] : open.find((waiting) => isOf(message, waiting.message));
    if (queue !== undefined) queue.waiting = open.filter((waiting) => waiting !== found);
    return found?.token;
  }

  /** A deploy gives nodes whose wires it has changed their own `send` again, and closes others. */
  deployed(isActive: (node: RedNode) => boolean): void {
    for (const [node, queue] of this.#queues) {
      if (!isActive(node)) this.#queues.delete(node);
      else if (node.send !== queue.send) this.#watch(node, queue);
    }
  }

  #byId(id: string): Queue | undefined {
    for (const [node, queue] of this.#queues) if (node.id === id) return queue;
    return undefined;
  }

  #watch(node: RedNode, queue: Queue): void {
    const send = node.send.bind(node);
    queue.send = node.send = (messages) => {
      send(messages);
      this.#sent(queue, messages);
    };
  }

  #sent(queue: Queue, messages: readonly (Message | null)[]): void {
    const { waiting } = queue;
    const index = waiting.findIndex(({ message }) => messages.some((sent) => isOf(sent ?? undefined, message)));
    for (const { token } of waiting.splice(Math.max(index, 0), 1)) this.#complete(token);
  }
}

/** Whether a message that is sent is the one that was received: a further output gets a copy. */
function isOf(sent: Message | undefined, received: Message): boolean {
  return sent === received || (sent?._msgid !== undefined && sent._msgid === received._msgid);
}
