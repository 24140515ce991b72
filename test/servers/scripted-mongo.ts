/**
 * A server that speaks just enough of MongoDB's wire protocol for the driver to write, and answers writes as a test says:
 * for answers that no small server can be brought to give (a step-down in the middle of a batch, a write concern that is
 * not met). https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { BSON, type Document } from 'mongodb';

/** A write as it arrived: `insert`, `update` or `delete`, and its documents or statements. */
interface WriteCommand {
  readonly name: string;
  readonly items: readonly Document[];
}

/** The reply to a write; `hang up` ends the connection without one. */
export type WriteReply = Document | 'hang up';

export interface ScriptedMongo {
  readonly url: string;
  /** Every write so far. */
  readonly writes: readonly WriteCommand[];
  /** Answers writes from now on. */
  answer(reply: (command: WriteCommand, nth: number) => WriteReply): void;
  /** Every other command so far, but those of the handshake. */
  readonly commands: readonly Document[];
  /** Answers a command that is no write from now on; without it the answer is `ok`. */
  respond(name: string, reply: (command: Document, nth: number) => Document): void;
  stop(): Promise<void>;
}

/** A cursor with all that it has, as `listCollections` answers. */
export function listed(...items: Document[]): Document {
  return { ok: 1, cursor: { id: BSON.Long.ZERO, ns: 'iot.$cmd.listCollections', firstBatch: items } };
}

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;

/** @param maxWriteBatchSize - what the server says that it takes at once: the driver sends more in parts */
export async function startScriptedMongo(maxWriteBatchSize = 100_000): Promise<ScriptedMongo> {
  const sockets = new Set<Socket>();
  const writes: WriteCommand[] = [];
  const commands: Document[] = [];
  const replies = new Map<string, (command: Document, nth: number) => Document>();
  let reply: (command: WriteCommand, nth: number) => WriteReply = ({ items }) => ({ ok: 1, n: items.length });
  const hello = (): Document => ({
    ok: 1,
    isWritablePrimary: true,
    helloOk: true,
    minWireVersion: 0,
    maxWireVersion: 21,
    maxWriteBatchSize,
  });
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    let buffered = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      buffered = Buffer.concat([buffered, chunk]);
      while (buffered.length >= 4 && buffered.length >= buffered.readInt32LE(0)) {
        const length = buffered.readInt32LE(0);
        receive(socket, buffered.subarray(0, length));
        buffered = buffered.subarray(length);
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  function receive(socket: Socket, message: Buffer): void {
    const requestId = message.readInt32LE(4);
    if (message.readInt32LE(12) === OP_QUERY) {
      const reply = Buffer.alloc(20);
      reply.writeInt32LE(8, 0); // AwaitCapable
      reply.writeInt32LE(1, 16); // one document
      send(socket, requestId, OP_REPLY, Buffer.concat([reply, BSON.serialize(hello())]));
      return;
    }
    const { command, items } = readMessage(message);
    const name = Object.keys(command)[0] ?? '';
    let answer: WriteReply = name === 'hello' || name === 'ismaster' ? hello() : { ok: 1 };
    if (name === 'find') answer = { ok: 1, cursor: { id: BSON.Long.ZERO, ns: 'iot.devices', firstBatch: [] } };
    if (name === 'insert' || name === 'update' || name === 'delete') {
      writes.push({ name, items });
      answer = reply({ name, items }, writes.length);
    } else if (name !== 'hello' && name !== 'ismaster') {
      commands.push(command);
      const nth = commands.filter((one) => name in one).length;
      answer = replies.get(name)?.(command, nth) ?? answer;
    }
    if (answer === 'hang up') socket.destroy();
    else send(socket, requestId, OP_MSG, Buffer.concat([Buffer.alloc(5), BSON.serialize(answer)]));
  }

  const { port } = server.address() as AddressInfo;
  return {
    url: `mongodb://127.0.0.1:${port}/`,
    writes,
    commands,
    respond: (name, next) => void replies.set(name, next),
    answer: (next) => {
      reply = next;
    },
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function send(socket: Socket, responseTo: number, opCode: number, body: Buffer): void {
  const header = Buffer.alloc(16);
  header.writeInt32LE(16 + body.length, 0);
  header.writeInt32LE(responseTo, 8);
  header.writeInt32LE(opCode, 12);
  socket.write(Buffer.concat([header, body]));
}

/** OP_MSG: one command document, and the sequences of documents that belong to it. */
function readMessage(message: Buffer): { command: Document; items: Document[] } {
  if (message.readInt32LE(12) !== OP_MSG) throw new Error(`expected OP_MSG, got ${message.readInt32LE(12)}`);
  let command: Document = {};
  const items: Document[] = [];
  let offset = 20;
  while (offset < message.length) {
    const kind = message.readUInt8(offset++);
    const end = offset + message.readInt32LE(offset);
    if (kind === 0) {
      command = BSON.deserialize(message.subarray(offset, end));
    } else {
      let at = message.indexOf(0, offset + 4) + 1;
      while (at < end) {
        const size = message.readInt32LE(at);
        items.push(BSON.deserialize(message.subarray(at, at + size)));
        at += size;
      }
    }
    offset = end;
  }
  return { command, items: items.length > 0 ? items : ((command['documents'] ?? []) as Document[]) };
}
