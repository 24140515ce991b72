import type { Message } from '../message.js';
import type { DeliveryTag } from './outcome.js';

/**
 * What a message carries of its delivery. The value is a function, because that is what Node-RED's copies of a message
 * share with it: objects are copied, and keys that are not enumerable are lost.
 */
export const CARRIED = Symbol.for('sluice.delivery');

interface Carried {
  readonly tag: DeliveryTag;
}

/** The delivery that a message belongs to; none for one that nothing waits for (of an inject node). */
export function tagOf(message: Message): DeliveryTag | undefined {
  return (message as { [CARRIED]?: () => Carried })[CARRIED]?.().tag;
}
