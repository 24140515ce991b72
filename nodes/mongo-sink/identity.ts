import { RejectedError } from '../lib/errors.js';
import { identityOf } from '../lib/identity.js';
import type { Message } from '../lib/message.js';
import type { Document } from './document.js';

/** @throws RejectedError `lone-surrogate`: BSON would make another identity of it */
export function documentIdentity(message: Message): string | undefined {
  const identity = identityOf(message);
  if (identity === undefined || identity.isWellFormed()) return identity;
  throw new RejectedError('expected an identity in whole characters, got half of a surrogate pair', {
    code: 'lone-surrogate',
  });
}

/** Null is no `_id`: every document without one would be the duplicate of the first. */
export function ownId(document: Document): unknown {
  return Object.hasOwn(document, '_id') ? (document['_id'] ?? undefined) : undefined;
}
