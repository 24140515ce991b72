/** One client's connection: its messages, one after the other. */
import type { Socket } from 'node:net';
import { answer, type Log } from '../commands/dispatch.js';
import type { Session } from '../commands/command.js';
import { Framer, frameReply, parseMessage, ProtocolViolation } from './wire.js';

export class Connection {
  readonly #socket: Socket;
  readonly #session: Session;
  readonly #log: Log;
  #answering = false;
  #stopping = false;

  constructor(socket: Socket, session: Session, log: Log) {
    this.#socket = socket;
    this.#session = session;
    this.#log = log;
    socket.setNoDelay(true);
  }

  /** Resolves when the connection is over, whatever ended it. */
  async serve(): Promise<void> {
    const framer = new Framer();
    try {
      // Reading waits while a message is answered: a client that sends faster is slowed down by TCP.
      for await (const piece of this.#socket.iterator({ destroyOnReturn: false })) {
        for (const message of framer.push(piece as Buffer)) await this.#answer(message);
        if (this.#stopping) break;
      }
    } catch (error) {
      this.#report(error);
    } finally {
      // After what has been written has gone out.
      this.#socket.destroySoon();
    }
  }

  /** After the answer under way, if there is one. */
  stop(): void {
    this.#stopping = true;
    if (!this.#answering) this.#socket.destroy();
  }

  async #answer(frame: Buffer): Promise<void> {
    if (this.#stopping) return;
    const message = parseMessage(frame);
    this.#answering = true;
    try {
      const reply = await answer(message, this.#session, this.#log);
      if (!message.unanswered) await this.#write(frameReply(message, reply));
    } finally {
      this.#answering = false;
    }
  }

  /** Resolves when it has been handed to the system, so that no more than one answer waits in memory. */
  #write(parts: readonly Buffer[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.cork();
      for (const part of parts.slice(0, -1)) this.#socket.write(part);
      this.#socket.write(parts.at(-1) ?? '', (error) => (error ? reject(error) : resolve()));
      this.#socket.uncork();
    });
  }

  /** A client that goes away, in the middle of whatever, is no news. */
  #report(error: unknown): void {
    if (!(error instanceof Error && 'code' in error)) {
      const sentence =
        error instanceof ProtocolViolation
          ? 'the document store closed a connection that broke the protocol'
          : 'the document store closed a connection on which it failed';
      this.#log(sentence, { remote: this.#session.remote, error });
    }
  }
}
