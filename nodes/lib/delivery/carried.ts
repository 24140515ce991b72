import type { Message } from '../message.js';
import type { Branches } from './branches.js';
import type { DeliveryTag } from './outcome.js';

/**
 * What a message carries of its delivery. The value is a function, because that is what Node-RED's copies of a message
 * share with it: objects are copied, and keys that are not enumerable are lost.
 */
const CARRIED = Symbol.for('sluice.delivery');

type Carrier = Message & { [CARRIED]?: (() => Branches) | undefined };

/** What a message is a branch of; none for one that nothing waits for (of an inject node). */
export function branchesOf(message: Message): Branches | undefined {
  return (message as Carrier)[CARRIED]?.();
}

/** Makes a message a branch of these, or of nothing. It is not counted by that. */
export function carry(message: Message, branches: Branches | undefined): void {
  const carrier = message as Carrier;
  if (branches !== undefined) carrier[CARRIED] = branches.carried;
  else if (carrier[CARRIED] !== undefined) carrier[CARRIED] = undefined;
}

/** The delivery that a message belongs to. */
export function tagOf(message: Message): DeliveryTag | undefined {
  return branchesOf(message)?.tag;
}
