import assert from 'node:assert/strict';
import { MongoClient } from 'mongodb';
import { Counters } from '../../nodes/lib/counters.js';
import { ConfigError } from '../../nodes/lib/errors.js';
import { compileSettings } from '../../nodes/lib/settings.js';
import { config as connectionSchema, type Config, type Credentials } from '../../nodes/mongo-connection/config.js';
import { type ConnectionState, MongoConnection } from '../../nodes/mongo-connection/connection.js';
import mongoConnection from '../../nodes/mongo-connection/mongo-connection.js';
import { redactor } from '../../nodes/mongo-connection/redact.js';
import { config as sinkSchema, type Config as SinkConfig } from '../../nodes/mongo-sink/config.js';
import mongoSink from '../../nodes/mongo-sink/mongo-sink.js';
import { MongoSink } from '../../nodes/mongo-sink/sink.js';
import { useNodeRed } from '../node-red.js';
import { type EmbeddedStore, mongoServers, startEmbeddedStore } from '../servers/mongo.js';
import { describeWithServer, freePort } from '../servers/server.js';
import { startTcpGate } from '../tcp-gate.js';

const settings = compileSettings<Config>(connectionSchema);
const sinkSettings = compileSettings<SinkConfig>(sinkSchema);

/** A connection as its node makes it, without Node-RED. */
function connect(raw: Record<string, unknown>, credentials: Credentials = {}, log: string[] = []): MongoConnection {
  return new MongoConnection(
    settings.resolve({ database: 'iot', ...raw }, (name) => process.env[name]),
    credentials,
    {
      status: (level, text) => log.push(`${level} ${text}`),
      log: (level, sentence, fields) => log.push(`${level} ${sentence} ${JSON.stringify(fields)}`),
    },
  );
}

function stateOf(connection: MongoConnection, kind: ConnectionState['kind']): Promise<ConnectionState> {
  return new Promise((resolve) => {
    const stop = connection.onState((state) => {
      if (state.kind !== kind) return;
      stop();
      resolve(state);
    });
  });
}

describe('mongo-connection: settings', () => {
  const at = (path: string, sentence: RegExp) => (error: unknown) =>
    error instanceof ConfigError && error.path === path && sentence.test(error.message);

  it('takes the database of the form, else of the URI, and never the driver’s own default', async () => {
    const address = async (raw: Record<string, unknown>): Promise<string> => {
      const connection = connect({ database: '', ...raw });
      await connection.close();
      return connection.address;
    };
    assert.equal(await address({ uri: 'mongodb://a:1/one', database: 'two' }), 'a:1/two');
    assert.equal(await address({ uri: 'mongodb://user:p%40ss@a:1,b:2/one?replicaSet=r' }), 'a:1,b:2/one');
    assert.equal(await address({ uri: 'mongodb+srv://user:pw@cluster.example.net/one' }), 'cluster.example.net/one');
    for (const uri of ['mongodb://a:1', 'mongodb://a:1/', 'mongodb://a:1/?replicaSet=r']) {
      assert.throws(() => connect({ uri, database: '' }), at('/database', /expected a name, here or in the path/));
    }
  });

  it('gives every write the write concern of the form, whatever the URI says', async () => {
    const connection = connect({ uri: 'mongodb://a:1/one?w=0', writeTimeout: 1_234 });
    const { w, journal, wtimeoutMS } = connection.database().collection('x').writeConcern ?? {};
    assert.deepEqual({ w, journal, wtimeoutMS }, { w: 'majority', journal: true, wtimeoutMS: 1_234 });
    await connection.close();
    const two = connect({ uri: 'mongodb://a:1/one', writeConcern: '2', journal: false });
    assert.equal(two.database().writeConcern?.w, 2);
    await two.close();
  });

  it('refuses unacknowledged writes', () => {
    assert.throws(() => connect({ uri: 'mongodb://a:1/one', writeConcern: '0' }), at('/writeConcern', /got "0"/));
  });

  it('refuses names that no collection of data has', async () => {
    const connection = connect({ uri: 'mongodb://a:1/one' });
    for (const name of ['', 'a$b', 'system.users', '.a', 'a.', 'a..b', 'a\0b', 'x'.repeat(191)]) {
      assert.throws(() => connection.collection(name), ConfigError, name);
    }
    assert.equal(connection.collection('a.b').collectionName, 'a.b');
    await connection.close();
  });

  const SECRET = ['hunter', 'tiger'];
  for (const uri of [
    'mongodb://user:hunter@tiger@host:1/db',
    'mongodb://user:hunter/tiger@host:1/db',
    'mongodb://user:hunter:tiger@host:1/db',
    'mongodb://user:hunter?tiger@host:1/db',
    'mongodb://user:hunter%zztiger@host:1/db',
    'mongodb://user:hunter#tiger@host:1/db?unknownOption=1',
    'postgres://user:hunter-tiger@host:1/db',
    'user:hunter-tiger@host:1/db',
    'mongodb://user:hunter-tiger@host:99999/db',
    'mongodb://user:hunter-tiger@host:1/db?tls=maybe',
  ]) {
    it(`refuses ${uri} without repeating the password`, () => {
      assert.throws(
        () => connect({ uri }),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError);
          assert.match(error.message, /^\/(uri|database): expected/);
          for (const part of SECRET) assert.ok(!`${error.message}${String(error.cause)}`.includes(part), error.message);
          return true;
        },
      );
    });
  }
});

describe('mongo-connection: redaction', () => {
  it('hides a password as it is, decoded and encoded, and secret options', () => {
    const redact = redactor('mongodb://u:p%40ss@h/db?tlsCertificateKeyFilePassword=s3cret&appName=me', 'Tr/icky');
    assert.equal(
      redact('p%40ss p@ss s3cret Tr/icky Tr%2Ficky mongodb+srv://a:b@c/d me'),
      '*** *** *** *** *** mongodb+srv://***@c/d me',
    );
  });

  it('leaves a sentence alone where there is no password', () => {
    assert.equal(redactor('mongodb://h/db')('connect ECONNREFUSED 127.0.0.1:1'), 'connect ECONNREFUSED 127.0.0.1:1');
  });
});

describe('mongo-connection: in a flow', () => {
  const red = useNodeRed();
  const PASSWORD = 'p@ss/w0rd:x';
  const ENCODED = encodeURIComponent(PASSWORD);
  afterEach(() => {
    delete process.env['SLUICE_TEST_MONGODB_URI'];
  });

  async function load(connection: Record<string, unknown>, credentials: Record<string, string> = {}): Promise<void> {
    await red.load(
      [mongoConnection, mongoSink],
      [
        { id: 'connection', type: 'mongo-connection', database: 'iot', serverSelectionTimeout: 300, ...connection },
        { id: 'sink', type: 'mongo-sink', connection: 'connection', wires: [['stored'], ['rejected']] },
        { id: 'stored', type: 'helper' },
        { id: 'rejected', type: 'helper' },
      ],
      { connection: credentials },
    );
  }

  /** Everything that the nodes show from now on: statuses, and the log. */
  function shown(): () => string {
    const statuses: string[] = [];
    for (const id of ['sink', 'connection']) {
      red.node(id).on('call:status', (call: { args: unknown[] }) => statuses.push(JSON.stringify(call.args)));
    }
    return () => [...statuses, ...red.logged()].join('\n');
  }

  function holdsNoPassword(text: string): void {
    for (const secret of [PASSWORD, ENCODED]) assert.ok(!text.includes(secret), text);
  }

  it('says that the server cannot be reached, without the password of the environment', async () => {
    process.env['SLUICE_TEST_MONGODB_URI'] = `mongodb://user:${ENCODED}@127.0.0.1:${await freePort()}/iot`;
    await load({ uri: '${SLUICE_TEST_MONGODB_URI}' });
    const all = shown();
    const outage = red.status('sink', /1 waiting.*ECONNREFUSED/);
    red.send('sink', { payload: {} });
    assert.equal((await outage).fill, 'red');
    assert.match(all(), /server unavailable/);
    holdsNoPassword(all());
  }).timeout(30_000);

  it('says that the password is wrong, without it', async () => {
    const store = await startEmbeddedStore({ user: 'user', password: 'another' });
    try {
      for (const [connection, credentials] of [
        [{ uri: store.url.replace('//', `//user:${ENCODED}@`) }, {}],
        [{ uri: store.url }, { user: 'user', password: PASSWORD }],
      ] as const) {
        await load(connection, credentials);
        const all = shown();
        const outage = red.status('sink', /[Aa]uthentication/);
        assert.equal((await outage).fill, 'red');
        holdsNoPassword(all());
        await red.unload();
      }
    } finally {
      await red.unload();
      await store.stop();
    }
  }).timeout(60_000);

  it('takes user and password from the URI or from the credentials', async () => {
    const store = await startEmbeddedStore({ user: 'user', password: PASSWORD });
    try {
      process.env['SLUICE_TEST_MONGODB_URI'] = store.url.replace('//', `//user:${ENCODED}@`);
      for (const [uri, credentials] of [
        ['${SLUICE_TEST_MONGODB_URI}', {}],
        [store.url, { user: 'user', password: PASSWORD }],
        [store.url.replace('//', '//somebody:else@'), { user: 'user', password: PASSWORD }],
      ] as const) {
        await load({ uri }, credentials);
        const all = shown();
        const stored = red.messages('stored');
        red.send('sink', { payload: { a: 1 } });
        await stored;
        holdsNoPassword(all());
        await red.unload();
      }
    } finally {
      await store.stop();
    }
  });

  it('names the variable that is not set', async () => {
    await load({ uri: '${SLUICE_TEST_MONGODB_URI}' });
    assert.ok(
      red.logged().some((line) => line.includes('/uri: expected the environment variable SLUICE_TEST_MONGODB_URI')),
    );
  });

  it('says of a node that uses it that its settings are wrong', async () => {
    await load({ uri: 'localhost' });
    const log = red.logged().join('\n');
    assert.match(log, /mongo-connection "mongo-connection" \/uri: expected a MongoDB connection string/);
    assert.match(log, /mongo-sink "mongo-sink" \/connection: expected .* got one whose own settings are wrong/);
  });
});

describe('mongo-connection: state', () => {
  it('connects when it is first asked for, and tells of each change', async () => {
    const store: EmbeddedStore = await startEmbeddedStore();
    const gate = await startTcpGate(Number(new URL(store.url).port));
    const log: string[] = [];
    const connection = connect({ uri: `mongodb://127.0.0.1:${gate.port}/iot`, serverSelectionTimeout: 300 }, {}, log);
    try {
      assert.equal(gate.accepted(), 0);
      assert.equal(connection.state.kind, 'connecting');
      await stateOf(connection, 'connected');
      const lost = stateOf(connection, 'unavailable');
      await gate.shut();
      assert.match(JSON.stringify(await lost), /127\.0\.0\.1/);
      const back = stateOf(connection, 'connected');
      await gate.open();
      await back;
      assert.deepEqual(
        log.filter((line) => line.startsWith('info') || line.startsWith('warn')).map((line) => line.split(' {')[0]),
        ['info connected', 'warn server unavailable', 'info connected'],
      );
    } finally {
      await connection.close();
      await gate.stop();
      await store.stop();
    }
  }).timeout(30_000);
});

for (const { name, start } of mongoServers) {
  describeWithServer(`mongo-sink's counters on ${name}`, start, (server) => {
    it('tell what became of each message', async () => {
      const client = new MongoClient(server().url);
      const connection = connect({ uri: server().url, database: 'counters' });
      const counters = new Counters();
      const closing = new AbortController();
      const statuses: string[] = [];
      const sink = new MongoSink(
        {
          config: sinkSettings.resolve(
            { connection: 'c', maxQueue: 3, maxBatchCount: 2, maxInFlight: 1 },
            () => undefined,
          ),
          id: 'sink',
          instance: 'gateway-1',
          runId: '',
          userDir: undefined,
          origin: () => assert.fail(),
          counters,
          closing: closing.signal,
          reject: () => assert.fail(),
          drained: () => assert.fail(),
          foundSpooled: () => assert.fail(),
          status: (level, text) => statuses.push(`${level} ${typeof text === 'function' ? text() : text}`),
          log: () => undefined,
          isWired: () => false,
        },
        connection,
      );
      const send = async (identity: string, payload: unknown): Promise<string> => {
        try {
          await sink.input({ identity, payload }, () => undefined);
          return 'stored';
        } catch (error) {
          return (error as { code: string }).code;
        }
      };
      try {
        assert.deepEqual(await Promise.all([send('a', {}), send('b', {}), send('a', {}), send('c', {})]), [
          'stored',
          'stored',
          'stored',
          'queue-full',
        ]);
        assert.equal(await send('d', 'text'), 'not-a-document');
        assert.deepEqual(counters.snapshot(), {
          stored: 3,
          duplicate: 1,
          batches: 2,
          refused: 1,
          'refused{queue-full}': 1,
        });
        assert.equal(statuses.at(-1), 'ok 3 stored');
        assert.equal(await client.db('counters').collection('devices').countDocuments(), 2);
      } finally {
        await sink.close();
        await connection.close();
        await client.close();
      }
    });
  });
}
