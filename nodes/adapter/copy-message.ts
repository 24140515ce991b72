import type { Message } from '../lib/message.js';
import type { Red } from './red.js';

/** A copy as Node-RED makes it; the message itself where it is too deep for the stack, so for whoever else would copy it. */
export function copyMessage({ util }: Pick<Red, 'util'>, message: Message): Message {
  try {
    return util.cloneMessage(message);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return message;
  }
}
