import type { Message } from './message.js';

/**
 * A topic as templates and paths see it: `topic[0]` is its first level, `topic` the whole. Split only when a level is
 * read: this is made for every message.
 */
export class TopicLevels {
  readonly #topic: string;
  #levels: readonly string[] | undefined;

  constructor(topic: string) {
    this.#topic = topic;
  }

  level(index: number): string | undefined {
    return (this.#levels ??= this.#topic.split('/'))[index];
  }

  toString(): string {
    return this.#topic;
  }
}

/**
 * What a template or a path sees of a message: the message's own properties, with `topic` as its levels, and what the
 * node adds (`instance`, …), which wins. A shallow copy: nothing is cloned.
 */
export function templateScope(message: Message, extra?: object): object {
  const { topic } = message;
  return typeof topic === 'string' ? { ...message, topic: new TopicLevels(topic), ...extra } : { ...message, ...extra };
}
