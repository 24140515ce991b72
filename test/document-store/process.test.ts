/** `sluice store` as a process: ready, killed, refused, ended. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict';
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';

const SLUICE = join(import.meta.dirname, '../../runtime/bin/sluice.js');

interface Ready {
  ready: true;
  mongodb: string;
  dir: string;
  pid: number;
}

describe('sluice store', () => {
  let directory = '';
  const children: ChildProcess[] = [];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-process-'));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(directory, { recursive: true });
  });

  interface Run {
    child: ChildProcess;
    /** The first line of its output. */
    line: Promise<string>;
    /** What it has sent to its parent. */
    messages: unknown[];
    ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  }

  function run(parameters: string[], options: SpawnOptions = {}): Run {
    const child = spawn(process.execPath, [SLUICE, 'store', ...parameters], {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...options,
    });
    children.push(child);
    const messages: unknown[] = [];
    child.on('message', (message) => messages.push(message));
    let stdout = '';
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const line = new Promise<string>((resolve) => {
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        if (stdout.includes('\n')) resolve(stdout.slice(0, stdout.indexOf('\n')));
      });
    });
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
    return {
      child,
      messages,
      line: Promise.race([line, ended.then(({ stderr: text }) => Promise.reject(new Error(text)))]),
      ended,
    };
  }

  async function start(options: SpawnOptions = {}, ...more: string[]): Promise<Run & { ready: Ready }> {
    const started = run(['--dir', directory, '--port', '0', '--json', ...more], options);
    return { ...started, ready: JSON.parse(await started.line) as Ready };
  }

  async function use<T>(uri: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
    const client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: 5_000 });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  }

  it('says in one line of JSON when it is ready, and ends cleanly', async () => {
    const { child, ready, ended } = await start();
    deepStrictEqual(ready, { ready: true, mongodb: ready.mongodb, dir: directory, pid: child.pid });
    match(ready.mongodb, /^mongodb:\/\/127\.0\.0\.1:\d+\/$/);
    await use(ready.mongodb, (client) => client.db('iot').collection('things').insertOne({}));
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await ended;
    deepStrictEqual([code, stdout.trim().split('\n').length, stderr], [0, 1, '']);
    // SQLite has put away its log.
    deepStrictEqual(await readdir(directory), ['documents.sqlite']);
  });

  it('says in a sentence where it is, without --json', async () => {
    const { child, line, ended } = run(['--dir', directory, '--port', '0']);
    match(await line, /^The document store is ready at mongodb:\/\/127\.0\.0\.1:\d+\/, keeping its documents in /);
    child.kill('SIGINT');
    strictEqual((await ended).code, 0);
  });

  it('has kept every acknowledged write when it is killed', async () => {
    const acknowledged = new Set<string>();
    for (let round = 0; round < 3; round++) {
      const { child, ready, ended } = await start();
      await use(ready.mongodb, async (client) => {
        const things = client.db('iot').collection<{ _id: string; round: number }>('things');
        if (round === 0) await things.createIndex({ round: 1 });
        const write = async (worker: number): Promise<void> => {
          for (let n = 0; ; n++) {
            const batch = Array.from({ length: 20 }, (_, at) => ({ _id: `${round}-${worker}-${n}-${at}`, round }));
            await things.insertMany(batch);
            for (const { _id } of batch) acknowledged.add(_id);
            if (acknowledged.size >= 1_000 * (round + 1)) child.kill('SIGKILL');
          }
        };
        const outcomes = await Promise.allSettled([write(0), write(1), write(2), write(3)]);
        ok(outcomes.every(({ status }) => status === 'rejected'));
      });
      strictEqual((await ended).code, null);
    }
    const { ready } = await start();
    const found = await use(ready.mongodb, (client) =>
      client
        .db('iot')
        .collection<{ _id: string }>('things')
        .find({}, { projection: { _id: 1 } })
        .toArray(),
    );
    const kept = new Set(found.map(({ _id }) => _id));
    deepStrictEqual(
      [...acknowledged].filter((id) => !kept.has(id)),
      [],
    );
    const counted = await use(ready.mongodb, (client) =>
      client.db('iot').collection('things').estimatedDocumentCount(),
    );
    strictEqual(counted, found.length);
  });

  it('has its unique indexes again after a restart', async () => {
    const first = await start();
    await use(first.ready.mongodb, async (client) => {
      await client.db('iot').collection('things').createIndex({ serial: 1 }, { unique: true }, {});
      await client.db('iot').collection('things').insertOne({ serial: 'a' });
    });
    first.child.kill('SIGTERM');
    await first.ended;
    const second = await start();
    await use(second.ready.mongodb, async (client) => {
      const things = client.db('iot').collection('things');
      strictEqual((await things.indexes()).length, 2);
      const error = await things.insertOne({ serial: 'a' }).catch((reason: unknown) => reason);
      strictEqual((error as { code: number }).code, 11000);
    });
  });

  it('opens no directory that another process has open', async () => {
    await start();
    const { code, stderr } = await run(['--dir', directory, '--port', '0']).ended;
    strictEqual(code, 1);
    match(stderr, /^sluice: the directory \S+ is in use by another process: a document store opens it alone\n$/);
  });

  it('says which port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await run(['--dir', directory, '--port', String(port)]).ended;
    server.close();
    strictEqual(code, 1);
    strictEqual(
      stderr,
      `sluice: the port ${port} of 127.0.0.1 is taken by another program: choose another with --port\n`,
    );
  });

  it('listens to other machines only with a user and a password, which it does not show', async () => {
    const refused = await run(['--dir', directory, '--port', '0', '--host', '0.0.0.0']).ended;
    strictEqual(refused.code, 1);
    match(refused.stderr, /expected a user and a password, got none/);
    const env = { ...process.env, SLUICE_MONGODB_USER: 'iot', SLUICE_MONGODB_PASSWORD: 'a-secret' };
    const { child, ready, ended } = await start({ env }, '--host', '0.0.0.0');
    const { port } = new URL(ready.mongodb);
    await use(`mongodb://iot:a-secret@127.0.0.1:${port}/iot`, (client) =>
      client.db().collection('things').insertOne({}),
    );
    child.kill('SIGTERM');
    const { stdout, stderr } = await ended;
    ok(!`${stdout}${stderr}`.includes('a-secret'));
  });

  it('refuses a wrong option, a directory that is a file, and a file that is no store', async () => {
    strictEqual((await run(['--dir', directory, '--port', 'many']).ended).code, 2);
    strictEqual((await run(['--port', '0']).ended).code, 2);
    const file = join(directory, 'file');
    await writeFile(file, 'text');
    const noDirectory = await run(['--dir', file, '--port', '0']).ended;
    deepStrictEqual(
      [noDirectory.code, noDirectory.stderr],
      [1, `sluice: expected a directory, got something else: ${file}\n`],
    );
    await writeFile(join(directory, 'documents.sqlite'), 'no database, however long one looks at it');
    const noStore = await run(['--dir', directory, '--port', '0']).ended;
    strictEqual(noStore.code, 1);
    match(noStore.stderr, /^sluice: expected a document store in \S+, got a file that is none\n$/);
  });

  it('ends with its parent, and leaves Ctrl-C to it', async () => {
    const { child, ready, messages } = await start({ stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    // The signal that a terminal sends to the whole group.
    child.kill('SIGINT');
    await use(ready.mongodb, (client) => client.db('iot').collection('things').insertOne({}));
    // Node.js emits no 'close' for a child whose channel the parent has closed.
    const exited = once(child, 'exit');
    child.disconnect();
    deepStrictEqual(await exited, [0, null]);
    deepStrictEqual(messages, [{ type: 'ready', uri: ready.mongodb }]);
  });
});
