import type { Message } from './message.js';

/** A topic's levels, for `{topic[0]}`. Without an index it stands for the whole topic: its text is the topic again. */
export class TopicLevels extends Array<string> {
  override toString(): string {
    return this.join('/');
  }
}

/**
 * What a template or a path sees of a message: the message's own properties, with `topic` as its levels, and what the
 * node adds (`instance`, …), which wins. A shallow copy: nothing is cloned, and the topic is split only when it is read.
 */
export function templateScope(message: Message, extra?: object): object {
  const { topic } = message;
  if (typeof topic !== 'string') return { ...message, ...extra };
  let levels: TopicLevels | undefined;
  return {
    ...message,
    get topic() {
      return (levels ??= TopicLevels.from(topic.split('/')) as TopicLevels);
    },
    ...extra,
  };
}
