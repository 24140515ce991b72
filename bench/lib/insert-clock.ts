import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { deserialize } from 'bson';

/** The header of a message of MongoDB's wire protocol: length, request id, response to, op code, each an int32. */
const HEADER_BYTES = 16;
const OP_MSG = 2013;

interface Insert {
  readonly documents: number;
  /** When they were published, where that is asked for: milliseconds of `performance.now()`, as the documents carry it. */
  readonly sent: readonly number[];
}

/**
 * Stands between a consumer and its store, and sees when the store has answered for what was inserted: the same clock for
 * every consumer, and the moment at which it knows that a document is stored.
 */
export class InsertClock {
  /** Documents that the store has answered for. */
  stored = 0;
  /** Of each document since it was asked for, from when it was published until it was stored, in milliseconds. */
  latencies: number[] | undefined;
  readonly #server: Server;
  readonly #storePort: number;
  readonly #sockets = new Set<Socket>();
  #changed: (() => void)[] = [];

  private constructor(storePort: number) {
    this.#storePort = storePort;
    this.#server = createServer((client) => this.#serve(client));
  }

  static async before(storePort: number): Promise<InsertClock> {
    const clock = new InsertClock(storePort);
    clock.#server.listen(0, '127.0.0.1');
    await once(clock.#server, 'listening');
    return clock;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when something more is stored. */
  change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(client: Socket): void {
    const store = connect(this.#storePort, '127.0.0.1');
    const open = new Map<number, Insert>();
    for (const [from, to] of [
      [client, store],
      [store, client],
    ] as const) {
      from.setNoDelay(true);
      this.#sockets.add(from);
      from.on('error', () => from.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    client.on(
      'data',
      eachMessage((message) => {
        const insert = this.#insertOf(message);
        if (insert !== undefined) open.set(message.readInt32LE(4), insert);
      }),
    );
    client.pipe(store);
    store.on(
      'data',
      eachMessage((message) => {
        const answered = message.readInt32LE(8);
        const insert = open.get(answered);
        if (insert === undefined) return;
        open.delete(answered);
        this.#note(insert);
      }),
    );
    store.pipe(client);
  }

  #note({ documents, sent }: Insert): void {
    this.stored += documents;
    const now = performance.now();
    for (const at of sent) this.latencies?.push(now - at);
    const changed = this.#changed;
    this.#changed = [];
    for (const resolve of changed) resolve();
  }

  /** Of an insert, its documents: drivers send them as a section of kind 1, one command of its own where there is one. */
  #insertOf(message: Buffer): Insert | undefined {
    if (message.readInt32LE(12) !== OP_MSG) return undefined;
    let at = HEADER_BYTES + 4; // flags
    let isInsert = false;
    const documents: Buffer[] = [];
    while (at < message.length) {
      const kind = message.readUInt8(at);
      const size = message.readInt32LE(at + 1);
      if (kind === 0) {
        // The first element of a command is its name: type, then a C string.
        isInsert = message.toString('latin1', at + 6, at + 13) === 'insert\0';
        if (isInsert) documents.push(...inlineDocuments(message.subarray(at + 1, at + 1 + size)));
      } else {
        const end = at + 1 + size;
        let next = message.indexOf(0, at + 5) + 1;
        while (next < end) {
          const length = message.readInt32LE(next);
          documents.push(message.subarray(next, next + length));
          next += length;
        }
      }
      at += 1 + size;
    }
    if (!isInsert) return undefined;
    const sent = this.latencies === undefined ? [] : documents.flatMap(publishedAt);
    return { documents: documents.length, sent };
  }
}

function inlineDocuments(body: Buffer): Buffer[] {
  const { documents } = deserialize(body, { raw: true, fieldsAsRaw: { documents: true } }) as { documents?: Buffer[] };
  return documents ?? [];
}

function publishedAt(document: Buffer): number[] {
  const { sentAt } = deserialize(document) as { sentAt?: unknown };
  return typeof sentAt === 'number' ? [sentAt] : [];
}

/** Cuts a stream of bytes into messages. */
function eachMessage(take: (message: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER_BYTES) {
      const length = rest.readInt32LE(0);
      if (rest.length < length) return;
      take(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}
