import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../launcher/user-error.js';
import type { FleetChannel } from '../channel.js';
import { decodeJoinAnswer, type JoinAnswer, type JoinRequest } from './request.js';
import type { FleetTopics } from '../topics.js';

const ASK_EVERY_MS = 3_000;
const ANSWER_WITHIN_MS = 30_000;

/**
 * Asks the fleet's launcher for a slot, until it answers.
 *
 * @throws UserError when it refuses, or nobody answers
 */
export async function askForSlot(
  channel: FleetChannel,
  topics: FleetTopics,
  request: Omit<JoinRequest, 'nonce'>,
  say: (sentence: string) => void,
): Promise<number> {
  const answered = Promise.withResolvers<JoinAnswer>();
  const deadline = performance.now() + ANSWER_WITHIN_MS;
  for (let attempt = 0; performance.now() < deadline; attempt++) {
    const nonce = randomUUID();
    const end = channel.listen(topics.joined(nonce), (body) => {
      const answer = decodeJoinAnswer(body);
      if (answer !== undefined) answered.resolve(answer);
    });
    channel.publish(topics.join, { ...request, nonce });
    const answer = await Promise.race([answered.promise, delay(ASK_EVERY_MS)]);
    end();
    if (answer !== undefined) {
      if ('slot' in answer) return answer.slot;
      throw new UserError(answer.refused);
    }
    if (attempt === 0) say('no launcher of the fleet has answered so far: asking again');
  }
  throw new UserError(
    'expected an answer from the launcher of the fleet, got none: is sluice fleet up running on this broker, with the same ' +
      'fleet name and the same secret?',
  );
}
