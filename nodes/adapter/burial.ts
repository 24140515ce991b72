import { deadLetter, type DeadLetters, reasonOf } from '../lib/dead-letter.js';
import type { Failure } from '../lib/delivery/branches.js';
import { messageOf, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { Log } from './define-node.js';
import { pause } from './waiting.js';

const PACE = { initialMs: 100, maximumMs: 5_000 };
/** A burial ends with the process: what was not kept by then has no answer, and comes again. */
const NEVER = new AbortController().signal;

/**
 * Keeps a branch that failed as a dead letter. Resolves when that is durable, which may take as long as the place for it
 * is away; `dropped`, and logged: no place takes it, whole or without its payload.
 *
 * @param letters - where they are kept at the moment: a deploy may put another in its place
 */
export async function bury(
  letters: () => DeadLetters,
  failure: Failure,
  log: Log,
): Promise<'dead-lettered' | 'dropped'> {
  const { origin, error } = failure;
  let { message } = failure;
  for (let attempt = 0; ; attempt++) {
    try {
      await letters().keep(deadLetter(message, reasonOf(error), origin, Date.now()));
      return 'dead-lettered';
    } catch (problem) {
      const fields = { node: origin.node.name, error: error.message, reason: messageOf(problem) };
      if (problem instanceof UnavailableError) {
        if (attempt === 0) log('warn', 'cannot keep a dead letter, will try again', fields);
        await pause(attempt, PACE, NEVER);
      } else if (message.payload === undefined) {
        log('error', 'a message failed, and no dead letter can be made of it', fields);
        return 'dropped';
      } else {
        log('error', 'a payload cannot be kept: its dead letter is without it', fields);
        message = withoutPayload(message);
      }
    }
  }
}

function withoutPayload({ payload: _none, ...others }: Message): Message {
  return others;
}
