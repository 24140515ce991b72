/** The protocol byte by byte, for what a driver never sends. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Binary, BSON, MongoClient, type Document } from 'mongodb';
import { crc32c } from '../../runtime/embedded/document-store/protocol/crc32c.js';
import { Framer } from '../../runtime/embedded/document-store/protocol/wire.js';
import { startDocumentStore, type DocumentStore } from '../../runtime/embedded/document-store/server.js';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_COMPRESSED = 2012;
const OP_MSG = 2013;
const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;

function frame(opCode: number, content: Buffer, requestId = 7): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(16 + content.length, 0);
  header.writeInt32LE(requestId, 4);
  header.writeInt32LE(opCode, 12);
  return Buffer.concat([header, content]);
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function section(body: Document): Buffer {
  return Buffer.concat([Buffer.from([0]), BSON.serialize(body)]);
}

function sequence(name: string, documents: Document[]): Buffer {
  const content = Buffer.concat([Buffer.from(`${name}\0`), ...documents.map((document) => BSON.serialize(document))]);
  return Buffer.concat([Buffer.from([1]), uint32(content.length + 4), content]);
}

function msg(flags: number, ...sections: Buffer[]): Buffer {
  return frame(OP_MSG, Buffer.concat([uint32(flags), ...sections]));
}

function query(name: string, body: Document): Buffer {
  return frame(
    OP_QUERY,
    Buffer.concat([uint32(0), Buffer.from(`${name}\0`), uint32(0), uint32(0xffffffff), BSON.serialize(body)]),
  );
}

function withChecksum(message: Buffer): Buffer {
  const longer = Buffer.concat([message, uint32(0)]);
  longer.writeInt32LE(longer.length, 0);
  longer.writeUInt32LE(crc32c(longer.subarray(0, -4)), longer.length - 4);
  return longer;
}

interface RawReply {
  readonly opCode: number;
  readonly responseTo: number;
  readonly body: Document;
}

/** A connection on which anything can be said. */
class RawClient {
  readonly #framer = new Framer();
  readonly #replies: RawReply[] = [];
  #closed = false;
  #wake: () => void = () => undefined;

  private constructor(readonly socket: Socket) {
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      this.#replies.push(...Array.from(this.#framer.push(piece), parseReply));
      this.#wake();
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  send(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** The next answer; `undefined` when the connection is closed instead. */
  async receive(): Promise<RawReply | undefined> {
    while (this.#replies.length === 0 && !this.#closed) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#replies.shift();
  }

  async ask(bytes: Buffer): Promise<Document | undefined> {
    this.send(bytes);
    return (await this.receive())?.body;
  }

  close(): void {
    this.socket.destroy();
  }
}

function parseReply(message: Buffer): RawReply {
  const opCode = message.readInt32LE(12);
  return {
    opCode,
    responseTo: message.readInt32LE(8),
    body: BSON.deserialize(message.subarray(opCode === OP_REPLY ? 36 : 21)),
  };
}

describe('the wire protocol of the embedded document store', () => {
  let directory = '';
  let store: DocumentStore | undefined;
  let client: RawClient | undefined;
  const logged: string[] = [];

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-wire-'));
    store = await startDocumentStore({ directory, port: 0, log: (sentence) => logged.push(sentence) });
  });
  beforeEach(async () => {
    client = await RawClient.connect(store?.port ?? 0);
  });
  afterEach(() => {
    client?.close();
    logged.length = 0;
  });
  after(async () => {
    await store?.stop();
    await rm(directory, { recursive: true });
  });
  const raw = (): RawClient => {
    if (client === undefined) throw new Error('not connected');
    return client;
  };
  const ping = { ping: 1, $db: 'admin' };

  it("answers an old client's OP_QUERY with an OP_REPLY", async () => {
    raw().send(query('admin.$cmd', { isMaster: 1, helloOk: true }));
    const reply = await raw().receive();
    deepStrictEqual([reply?.opCode, reply?.responseTo], [OP_REPLY, 7]);
    deepStrictEqual([reply?.body['ismaster'], reply?.body['helloOk'], reply?.body['ok']], [true, true, 1]);
    strictEqual(reply?.body['setName'], undefined);
  });

  it('refuses any other OP_QUERY', async () => {
    const reply = await raw().ask(query('admin.$cmd', { find: 'things' }));
    deepStrictEqual([reply?.['ok'], reply?.['code'], reply?.['codeName']], [0, 352, 'UnsupportedOpQueryCommand']);
  });

  it('answers messages in their order, however they are cut', async () => {
    const bytes = Buffer.concat([
      msg(0, section(ping)),
      msg(0, section({ hello: 1, $db: 'admin' })),
      msg(0, section(ping)),
    ]);
    for (const byte of bytes.subarray(0, 40)) {
      raw().send(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    raw().send(bytes.subarray(40));
    deepStrictEqual((await raw().receive())?.body, { ok: 1 });
    strictEqual((await raw().receive())?.body['isWritablePrimary'], true);
    deepStrictEqual((await raw().receive())?.body, { ok: 1 });
  });

  it('reads sequences of documents, before or after the body', async () => {
    const documents = [{ _id: 1 }, { _id: 2 }];
    const body = section({ insert: 'sequences', $db: 'wire' });
    deepStrictEqual(await raw().ask(msg(0, body, sequence('documents', documents))), { n: 2, ok: 1 });
    const update = sequence('updates', [{ q: { _id: 2 }, u: { $set: { a: 1 } } }]);
    deepStrictEqual(await raw().ask(msg(0, update, section({ update: 'sequences', $db: 'wire' }))), {
      n: 1,
      nModified: 1,
      ok: 1,
    });
    deepStrictEqual(await raw().ask(msg(0, section({ count: 'sequences', $db: 'wire' }))), { n: 2, ok: 1 });
  });

  it('checks a checksum where there is one', async () => {
    strictEqual(crc32c(Buffer.from('123456789')), 0xe3069283);
    deepStrictEqual(await raw().ask(withChecksum(msg(CHECKSUM_PRESENT, section(ping)))), { ok: 1 });
    const damaged = withChecksum(msg(CHECKSUM_PRESENT, section(ping)));
    damaged[30] = (damaged[30] ?? 0) ^ 1;
    strictEqual(await raw().ask(damaged), undefined);
  });

  it('does not answer a write with w: 0, and does it', async () => {
    const insert = (_id: number) =>
      msg(MORE_TO_COME, section({ insert: 'unanswered', documents: [{ _id }], writeConcern: { w: 0 }, $db: 'wire' }));
    raw().send(Buffer.concat([insert(1), insert(1), insert(2)]));
    deepStrictEqual(await raw().ask(msg(0, section({ count: 'unanswered', $db: 'wire' }))), { n: 2, ok: 1 });
  });

  it('is used by the driver for w: 0', async () => {
    const driver = await MongoClient.connect(store?.uri ?? '', { maxPoolSize: 1 });
    try {
      const things = driver.db('wire').collection('driver');
      const { acknowledged } = await things.insertOne({}, { writeConcern: { w: 0 } });
      deepStrictEqual([acknowledged, await things.countDocuments()], [false, 1]);
    } finally {
      await driver.close();
    }
  });

  it('answers a command that is damaged inside its frame, and goes on', async () => {
    const body = Buffer.from(BSON.serialize({ insert: 'things', $db: 'wire', documents: [{ a: 'text' }] }));
    body[body.indexOf('text') - 4] = 200;
    const reply = await raw().ask(msg(0, Buffer.concat([Buffer.from([0]), body])));
    deepStrictEqual([reply?.['ok'], reply?.['codeName']], [0, 'InvalidBSON']);
    deepStrictEqual(await raw().ask(msg(0, section(ping))), { ok: 1 });
  });

  it('refuses a document of which a part is damaged, and stores the others', async () => {
    const damaged = Buffer.from(BSON.serialize({ _id: 2, a: 'text' }));
    damaged[damaged.indexOf('text') + 1] = 0xff;
    const documents = Buffer.concat([BSON.serialize({ _id: 1 }), damaged, BSON.serialize({ _id: 3 })]);
    const content = Buffer.concat([Buffer.from('documents\0'), documents]);
    const bytes = Buffer.concat([Buffer.from([1]), uint32(content.length + 4), content]);
    const reply = await raw().ask(msg(0, section({ insert: 'damaged', ordered: false, $db: 'wire' }), bytes));
    deepStrictEqual(
      [reply?.['n'], (reply?.['writeErrors'] as Document[]).map(({ index, code }) => [index, code] as unknown)],
      [2, [[1, 22]]],
    );
  });

  it('refuses a document of more than 16 MiB', async () => {
    const document = { _id: 1, blob: new Binary(Buffer.alloc(16 * 2 ** 20)) };
    const reply = await raw().ask(
      msg(0, section({ insert: 'things', $db: 'wire' }), sequence('documents', [document])),
    );
    deepStrictEqual(
      (reply?.['writeErrors'] as Document[]).map(({ code }) => code as unknown),
      [10334],
    );
  });

  const violations: [string, Buffer][] = [
    ['a length that is less than a header', Buffer.concat([uint32(15), Buffer.alloc(60)])],
    ['a negative length', Buffer.concat([uint32(0xffffffff), Buffer.alloc(60)])],
    ['a length beyond the limit', Buffer.concat([uint32(48_000_001), Buffer.alloc(60)])],
    ['an opcode that there is not', frame(99, Buffer.alloc(20))],
    ['an OP_INSERT of old', frame(2002, Buffer.alloc(20))],
    ['a compressed message', frame(OP_COMPRESSED, Buffer.alloc(20))],
    ['an OP_MSG without flags', frame(OP_MSG, Buffer.alloc(2))],
    ['a flag that must be known', msg(1 << 5, section(ping))],
    ['a section of an unknown kind', msg(0, Buffer.from([2, 5, 0, 0, 0, 0]))],
    ['a message without a body', msg(0, sequence('documents', [{}]))],
    ['two bodies', msg(0, section(ping), section(ping))],
    ['a sequence twice', msg(0, section(ping), sequence('a', []), sequence('a', []))],
    ['a document that is longer than its message', msg(0, Buffer.from([0, 100, 0, 0, 0, 0]))],
    ['a sequence whose documents are longer than it', msg(0, Buffer.from([1, 12, 0, 0, 0, 97, 0, 9, 0, 0, 0, 0]))],
    ['a sequence without the end of its name', msg(0, Buffer.from([1, 6, 0, 0, 0, 97, 97]))],
    ['a checksum that does not fit', msg(CHECKSUM_PRESENT)],
    ['an OP_QUERY without a document', frame(OP_QUERY, Buffer.from([0, 0, 0, 0, 97, 0]))],
  ];
  for (const [name, bytes] of violations) {
    it(`closes the connection for ${name}, and goes on for others`, async () => {
      strictEqual(await raw().ask(bytes), undefined);
      deepStrictEqual(logged, ['the document store closed a connection that broke the protocol']);
      const other = await RawClient.connect(store?.port ?? 0);
      deepStrictEqual(await other.ask(msg(0, section(ping))), { ok: 1 });
      other.close();
    });
  }

  it('does not mind a client that leaves in the middle of a message', async () => {
    raw().send(msg(0, section(ping)).subarray(0, 20));
    raw().close();
    const other = await RawClient.connect(store?.port ?? 0);
    deepStrictEqual(await other.ask(msg(0, section(ping))), { ok: 1 });
    other.close();
    deepStrictEqual(logged, []);
  });

  it('answers what is under way when it stops, and then closes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-wire-'));
    const other = await startDocumentStore({ directory: folder, port: 0 });
    const idle = await RawClient.connect(other.port);
    const busy = await RawClient.connect(other.port);
    await busy.ask(
      msg(
        0,
        section({ insert: 'things', $db: 'wire' }),
        sequence(
          'documents',
          Array.from({ length: 50_000 }, (_, _id) => ({ _id, n: _id })),
        ),
      ),
    );
    // Both come in one piece: with the first answered, the second is under way. A scan makes pauses, so the store stops
    // within it.
    const count = section({ count: 'things', query: { n: { $gte: 0 } }, $db: 'wire' });
    deepStrictEqual(await busy.ask(Buffer.concat([msg(0, section(ping)), msg(0, count)])), { ok: 1 });
    await other.stop();
    deepStrictEqual((await busy.receive())?.body, { n: 50_000, ok: 1 });
    strictEqual(await idle.receive(), undefined);
    strictEqual(await busy.receive(), undefined);
    await rm(folder, { recursive: true });
  });
});
