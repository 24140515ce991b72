import type { Message } from '../lib/message.js';
import type { RedNode } from './red.js';
import type { Trial } from './trial.js';

/** A message at a node that is not ours: on its way to it, or taken and not completed. */
export interface Token {
  /** What it belongs to: another, once its node has made one message of several. */
  trial: Trial;
  readonly node: RedNode;
  taken: boolean;
}

/** The tokens that are open, by the message object and the node: nodes send one object several times, also in loops. */
export class Tokens {
  readonly #byMessage = new WeakMap<Message, Token[]>();

  add(message: Message, token: Token): void {
    const others = this.#byMessage.get(message)?.filter(isOpen) ?? [];
    this.#byMessage.set(message, [...others, token]);
  }

  /** @param taken - whether the node has it already */
  find(message: Message, node: RedNode, taken: boolean): Token | undefined {
    return this.#byMessage.get(message)?.find((token) => token.node === node && token.taken === taken && isOpen(token));
  }
}

export function isOpen(token: Token): boolean {
  return token.trial.tokens.has(token);
}
