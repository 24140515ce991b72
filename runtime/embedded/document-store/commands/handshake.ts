/** How a connection begins: who the server is, and the login. */
import { Binary } from 'bson';
import { MAX_DOCUMENT_BYTES } from '../bson/decode.js';
import { isDoc, type Doc, type Value } from '../bson/values.js';
import { CommandError } from '../errors.js';
import { MECHANISM_NAMES } from '../protocol/scram.js';
import { MAX_MESSAGE_BYTES } from '../protocol/wire.js';
import { truthy } from '../query/expression.js';
import type { Command, Fields, Session } from './command.js';
import type { Request } from './request.js';

/** That of MongoDB 7.0, whose commands these are; from 0, so that drivers of any age talk to it. */
const MAX_WIRE_VERSION = 21;
export const MAX_BATCH = 100_000;
const SESSION_MINUTES = 30;

const CONVERSATION_ID = 1;

/** A standalone: so drivers retry no writes by themselves, which needs a memory of what was done. */
function describe(request: Request, session: Session): Fields {
  const speculative = request.doc('speculativeAuthenticate');
  return {
    helloOk: true,
    // Asked by its older name, it answers by the older one.
    [request.name === 'hello' ? 'isWritablePrimary' : 'ismaster']: true,
    maxBsonObjectSize: MAX_DOCUMENT_BYTES,
    maxMessageSizeBytes: MAX_MESSAGE_BYTES,
    maxWriteBatchSize: MAX_BATCH,
    localTime: new Date(),
    logicalSessionTimeoutMinutes: SESSION_MINUTES,
    connectionId: session.connectionId,
    minWireVersion: 0,
    maxWireVersion: MAX_WIRE_VERSION,
    readOnly: false,
    ...(session.authenticator !== undefined && request.has('saslSupportedMechs')
      ? { saslSupportedMechs: MECHANISM_NAMES }
      : {}),
    ...(speculative === undefined ? {} : speculate(speculative, session)),
  };
}

/** A login that fails here is tried again by `saslStart`, which then says why. */
function speculate(login: Doc, session: Session): Fields {
  if (!login.has('saslStart')) return {};
  try {
    return {
      speculativeAuthenticate: start(login.get('mechanism'), login.get('payload'), login.get('options'), session),
    };
  } catch (error) {
    if (error instanceof CommandError) return {};
    throw error;
  }
}

function start(
  mechanism: Value | undefined,
  payload: Value | undefined,
  options: Value | undefined,
  session: Session,
): Fields {
  if (session.authenticator === undefined) {
    throw new CommandError('AuthenticationFailed', 'this document store was started without a user and a password');
  }
  const { step, conversation } = session.authenticator.start(
    typeof mechanism === 'string' ? mechanism : '',
    bytes(payload),
  );
  const skipsEmptyExchange = isDoc(options) && truthy(options.get('skipEmptyExchange'));
  session.conversation = { conversation, skipsEmptyExchange, verified: false };
  return answer(step.payload, false);
}

/** The client's proof; or, after it, the empty message of a client that does not skip it. */
function proceed(request: Request, session: Session): Fields {
  const open = session.conversation;
  if (open === undefined || request.whole('conversationId') !== CONVERSATION_ID) {
    throw new CommandError('ProtocolError', 'No SASL session state found');
  }
  session.conversation = undefined;
  if (open.verified) {
    session.authenticated = true;
    return answer('', true);
  }
  const step = open.conversation.finish(bytes(request.get('payload')));
  if (open.skipsEmptyExchange) {
    session.authenticated = true;
    return answer(step.payload, true);
  }
  session.conversation = { ...open, verified: true };
  return answer(step.payload, false);
}

function bytes(payload: Value | undefined): string {
  return payload instanceof Binary ? Buffer.from(payload.value()).toString() : '';
}

function answer(payload: string, done: boolean): Fields {
  return { conversationId: CONVERSATION_ID, done, payload: new Binary(Buffer.from(payload)) };
}

const DESCRIBE: Command = {
  open: true,
  fields: [
    'helloOk',
    'client',
    'compression',
    'saslSupportedMechs',
    'speculativeAuthenticate',
    'loadBalanced',
    'backpressure',
    // Without a topologyVersion in the answer a client does not wait for a change of it.
    'topologyVersion',
    'maxAwaitTimeMS',
    'hostInfo',
  ],
  run: describe,
};

export const HANDSHAKE: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['hello', DESCRIBE],
  ['isMaster', DESCRIBE],
  ['ismaster', DESCRIBE],
  ['ping', { open: true, fields: [], run: () => ({}) }],
  [
    'saslStart',
    {
      open: true,
      fields: ['mechanism', 'payload', 'options', 'autoAuthorize'],
      run: (request, session) =>
        start(request.get('mechanism'), request.get('payload'), request.get('options'), session),
    },
  ],
  ['saslContinue', { open: true, fields: ['conversationId', 'payload'], run: proceed }],
  ['endSessions', { open: true, fields: [], run: () => ({}) }],
]);
