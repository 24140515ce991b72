/** From a message to its answer. */
import { BSONError } from 'bson';
import { encodeReply } from '../bson/encode.js';
import { CommandError } from '../errors.js';
import { MAX_REPLY_BYTES, type Message } from '../protocol/wire.js';
import { ADMINISTER } from './administer.js';
import type { Command, Session } from './command.js';
import { DIAGNOSE } from './diagnose.js';
import { HANDSHAKE } from './handshake.js';
import { READ } from './read.js';
import { Request } from './request.js';
import { WRITE } from './write.js';

const COMMANDS: ReadonlyMap<string, Command> = new Map([...HANDSHAKE, ...READ, ...WRITE, ...ADMINISTER, ...DIAGNOSE]);

/** OP_QUERY lives on for these alone, with which a client finds out what it may speak. */
const BY_QUERY = new Set(['hello', 'isMaster', 'ismaster']);

/** Where what nobody expected is reported: a sentence that does not change, and its fields. */
export type Log = (sentence: string, fields: Readonly<Record<string, unknown>>) => void;

/** The answer's BSON. Never rejects: what is refused, and what fails, is an answer too. */
export async function answer(message: Message, session: Session, log: Log): Promise<Buffer> {
  try {
    const request = new Request(message);
    const reply = await commandFor(request, message, session).run(request, session);
    const bytes = Buffer.isBuffer(reply) ? reply : encodeReply({ ...reply, ok: 1 });
    if (bytes.length > MAX_REPLY_BYTES)
      throw new CommandError('BSONObjectTooLarge', `an answer of ${bytes.length} bytes`);
    return bytes;
  } catch (error) {
    const { message: errmsg, code, codeName, details } = refusal(error, log);
    return encodeReply({ ok: 0, errmsg, code, codeName, ...details });
  }
}

/** Throws for a command that there is not, or not for this client, or not with these fields. */
function commandFor(request: Request, message: Message, session: Session): Command {
  const { name } = request;
  if (message.queried !== undefined && !BY_QUERY.has(name)) {
    throw new CommandError(
      'UnsupportedOpQueryCommand',
      `Unsupported OP_QUERY command: ${name}. The client driver may require an upgrade.`,
    );
  }
  const command = COMMANDS.get(name);
  if (command === undefined) throw new CommandError('CommandNotFound', `no such command: '${name}'`);
  if (!session.authenticated && command.open !== true) {
    throw new CommandError('Unauthorized', `Command ${name} requires authentication`);
  }
  request.check(command.fields);
  return command;
}

function refusal(error: unknown, log: Log): CommandError {
  if (error instanceof CommandError) return error;
  // A value that `bson` reads and does not write.
  if (error instanceof BSONError) return new CommandError('BadValue', error.message);
  log('the document store failed in a command', { error });
  return new CommandError('InternalError', error instanceof Error ? error.message : String(error));
}
