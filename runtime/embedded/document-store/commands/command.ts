/** What a command is to the server. */
import type { Cursors } from '../cursors.js';
import type { Authenticator, Conversation } from '../protocol/scram.js';
import type { Catalog } from '../storage/catalog.js';
import type { Request } from './request.js';

/** The fields of an answer beside `ok`, which follows them. */
export type Fields = Readonly<Record<string, unknown>>;

/** Or a whole answer, as its bytes. */
type Reply = Fields | Buffer;

/** What the commands of one connection share. */
export interface Session {
  readonly catalog: Catalog;
  readonly cursors: Cursors;
  /** `undefined` when the store asks for no password. */
  readonly authenticator: Authenticator | undefined;
  readonly connectionId: number;
  readonly remote: string;
  authenticated: boolean;
  conversation: OpenConversation | undefined;
}

/** A login under way. */
interface OpenConversation {
  readonly conversation: Conversation;
  /** The client takes the server's proof for the end; else it sends one empty message more. */
  readonly skipsEmptyExchange: boolean;
  verified: boolean;
}

export interface Command {
  /** It is answered before a login. */
  readonly open?: boolean;
  /** The fields that it reads beside those that all commands have. */
  readonly fields: readonly string[];
  run(request: Request, session: Session): Reply | Promise<Reply>;
}
