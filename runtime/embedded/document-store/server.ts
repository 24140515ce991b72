/**
 * The embedded document store: a subset of MongoDB's wire protocol over one SQLite file, for a laptop, a demo, or a
 * gateway on which mongod does not run. Drivers and shells take it for a standalone MongoDB 7.0. What it has not it
 * refuses; `MONGODB_URI` puts the real one in its place.
 */
import { once } from 'node:events';
import { createServer, isIPv6, type AddressInfo, type Server, type Socket } from 'node:net';
import { isLoopback } from '../../launcher/loopback.js';
import type { Log } from './commands/dispatch.js';
import { Cursors } from './cursors.js';
import { StartError } from './errors.js';
import { Connection } from './protocol/connection.js';
import { Authenticator } from './protocol/scram.js';
import { Catalog } from './storage/catalog.js';
import { sweep, SWEEP_MS } from './storage/expiry.js';
import { StoreFile } from './storage/file.js';

export interface DocumentStoreOptions {
  /** Made when it is not there. One process at a time. */
  directory: string;
  /** 0 takes any that is free. */
  port: number;
  /** `127.0.0.1` by default. An address that other machines reach needs a user and a password. */
  host?: string;
  /** With a password, clients must log in as this user (SCRAM-SHA-256 or SCRAM-SHA-1). */
  user?: string;
  password?: string;
  /** Nothing is reported by default. */
  log?: Log;
}

export interface DocumentStore {
  readonly port: number;
  /** Without user and password. */
  readonly uri: string;
  /** Answers what has begun, then closes every connection and the file. */
  stop(): Promise<void>;
}

/**
 * Resolves when clients can connect. Rejects with `StartError` where a setting is wrong or the directory in use, and
 * with the system's error (EADDRINUSE) where the port is.
 */
export async function startDocumentStore(options: DocumentStoreOptions): Promise<DocumentStore> {
  const { directory, port, host = '127.0.0.1', log = () => undefined } = options;
  const authenticator = authenticatorFor(options);
  if (authenticator === undefined && !isLoopback(host)) {
    throw new StartError(
      `other machines reach the document store at ${host}: expected a user and a password, got none`,
    );
  }
  const file = StoreFile.open(directory);
  const connections = new Map<Connection, Promise<void>>();
  const catalog = new Catalog(file);
  const cursors = new Cursors();
  let connectionId = 0;
  const server = createServer((socket) => {
    const session = {
      catalog,
      cursors,
      authenticator,
      connectionId: ++connectionId,
      remote: remoteOf(socket),
      authenticated: authenticator === undefined,
      conversation: undefined,
    };
    const connection = new Connection(socket, session, log);
    const served = connection.serve().finally(() => connections.delete(connection));
    connections.set(connection, served);
  });
  try {
    await listen(server, port, host);
  } catch (error) {
    file.close();
    throw error;
  }
  server.on('error', (error) => log('the document store cannot accept connections', { error }));

  let sweeping: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    cursors.closeIdle();
    sweeping = sweeping
      .then(() => sweep(catalog, Date.now()))
      .catch((error: unknown) => log('the document store could not remove what has expired', { error }));
  }, SWEEP_MS);
  timer.unref();

  const { port: bound } = server.address() as AddressInfo;
  return {
    port: bound,
    uri: `mongodb://${isIPv6(host) ? `[${host}]` : host}:${bound}/`,
    stop: async () => {
      clearInterval(timer);
      const closed = once(server, 'close');
      server.close();
      for (const connection of connections.keys()) connection.stop();
      await Promise.all([...connections.values(), sweeping, closed]);
      file.close();
    },
  };
}

function authenticatorFor({ user, password }: DocumentStoreOptions): Authenticator | undefined {
  if (user === undefined && password === undefined) return undefined;
  if (!user || !password)
    throw new StartError('expected a user and a password for the document store, got one of the two');
  return new Authenticator({ user, password });
}

function remoteOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

async function listen(server: Server, port: number, host: string): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}
