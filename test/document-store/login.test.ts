/** SCRAM, as drivers do it, and what is open without it. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { MongoClient, MongoServerError, type AuthMechanism, type MongoClientOptions } from 'mongodb';
import { Authenticator } from '../../runtime/embedded/document-store/protocol/scram.js';
import { startDocumentStore } from '../../runtime/embedded/document-store/server.js';
import { startEmbeddedStore, type EmbeddedStore } from '../servers/mongo.js';
import { rejection } from './database.js';

const USER = 'gateway-1';
// With what SASLprep changes: a space that is not ASCII's, and a Roman numeral of one character.
const PASSWORD = 'p\u00e4\u00dfword\u00a0\u2168 %/@:';

describe('logging in to the embedded document store', () => {
  let store: EmbeddedStore | undefined;
  before(async () => {
    store = await startEmbeddedStore({ user: USER, password: PASSWORD });
  });
  after(async () => store?.stop());

  async function withClient<T>(options: MongoClientOptions, use: (client: MongoClient) => Promise<T>): Promise<T> {
    const client = new MongoClient(store?.url ?? '', { serverSelectionTimeoutMS: 5_000, ...options });
    try {
      return await use(client);
    } finally {
      await client.close();
    }
  }
  const insert = (client: MongoClient) => client.db('iot').collection('things').insertOne({});
  const login = (password = PASSWORD, username = USER) => ({ auth: { username, password } });

  for (const authMechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1', undefined] as (AuthMechanism | undefined)[]) {
    for (const authSource of ['admin', 'iot']) {
      it(`by ${authMechanism ?? 'the mechanism that is negotiated'}, against ${authSource}`, async () => {
        const options = { ...login(), authSource, ...(authMechanism === undefined ? {} : { authMechanism }) };
        const { acknowledged } = await withClient(options, insert);
        strictEqual(acknowledged, true);
      });
    }

    it(`fails with another password or user, by ${authMechanism ?? 'the mechanism that is negotiated'}`, async () => {
      for (const wrong of [login('wrong'), login(PASSWORD, 'other'), login(`${PASSWORD} `)]) {
        const options = { ...wrong, ...(authMechanism === undefined ? {} : { authMechanism }) };
        const error = await rejection(withClient(options, insert), MongoServerError);
        deepStrictEqual([error.code, error.codeName], [18, 'AuthenticationFailed']);
      }
    });
  }

  it('takes a name with the characters that SCRAM escapes', async () => {
    const escaped = await startEmbeddedStore({ user: 'a=b,c', password: 'word' });
    try {
      // The driver's SCRAM-SHA-1 digests the escaped name, which no server accepts.
      const options = { auth: { username: 'a=b,c', password: 'word' }, authMechanism: 'SCRAM-SHA-256' } as const;
      const client = await MongoClient.connect(escaped.url, options);
      await insert(client);
      await client.close();
    } finally {
      await escaped.stop();
    }
  });

  it('is needed for all but the handshake', async () => {
    await withClient({}, async (client) => {
      strictEqual((await client.db('admin').command({ ping: 1 }))['ok'], 1);
      strictEqual((await client.db('admin').command({ buildInfo: 1 }))['ok'], 1);
      for (const command of [
        { find: 'things' },
        { insert: 'things', documents: [{}] },
        { listCollections: 1 },
        { dropDatabase: 1 },
      ]) {
        const error = await rejection(client.db('iot').command(command), MongoServerError);
        deepStrictEqual([error.code, error.codeName], [13, 'Unauthorized']);
      }
    });
  });

  it('names the user afterwards', async () => {
    await withClient(login(), async (client) => {
      const { authInfo } = (await client.db('admin').command({ connectionStatus: 1 })) as {
        authInfo: { authenticatedUsers: unknown };
      };
      deepStrictEqual(authInfo.authenticatedUsers, [{ user: USER, db: 'admin' }]);
    });
  });

  it('keeps no password in what the server holds', () => {
    const held = JSON.stringify(new Authenticator({ user: 'u', password: 'secret-word' }));
    ok(!held.includes('secret-word'));
  });

  it('cannot be half set, nor left out where other machines can connect', async () => {
    for (const options of [{ user: 'u' }, { password: 'p' }, { host: '0.0.0.0' }, { host: '::' }]) {
      const error = await rejection(startDocumentStore({ directory: '/nonexistent', port: 0, ...options }), Error);
      ok(error.name === 'StartError' && error.message.includes('expected a user and a password'), error.message);
    }
  });
});
