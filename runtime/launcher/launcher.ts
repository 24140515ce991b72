import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { EmbeddedBroker } from '../embedded/broker.js';
import { Child } from './child.js';
import type { InstanceReply, InstanceRequest } from './instance-protocol.js';
import { Supervisor } from './supervisor.js';
import { messageOf, UserError } from './user-error.js';
import { UserFolder, type InstanceFile } from './user-folder.js';

export interface LaunchOptions {
  /** A flow file; undefined for the default flow, where the folder has none. */
  readonly flow: string | undefined;
  readonly replace: boolean;
  readonly userDir: string;
  readonly name: string | undefined;
  readonly host: string;
  /** 0 means any free one, here and below. */
  readonly port: number;
  readonly mqttPort: number;
  readonly mongodbPort: number;
  /** Tells the person who watches; constant sentences with what varies in them. */
  readonly say: (sentence: string) => void;
}

/** Where everything is, once it runs. None of it holds a password. */
export interface Running {
  readonly editor: string;
  readonly mqtt: string;
  readonly mongodb: string;
  readonly objects: string;
  readonly userDir: string;
  readonly embedded: { readonly broker: boolean; readonly store: boolean; readonly objects: boolean };
  /** Resolves when the instance has ended by itself and will not be started again. */
  readonly failed: Promise<string>;
  /** Stops in order: devices, until quiet, ingest, sinks, broker, store. @returns whether all of it ended as it should */
  stop(): Promise<boolean>;
}

type InstanceChild = Child<InstanceReply, InstanceRequest>;
type StoreChild = Child<{ readonly type: 'ready'; readonly uri: string }>;

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
const DATABASE = 'sluice';
/** Longer than Node-RED gives a node to close (15 s), and the drain before it. */
const STOP_LIMIT_MS = 40_000;
const STORE_STOP_LIMIT_MS = 5_000;
/** Starts what is embedded and one instance, and keeps them running. @throws UserError */
export async function launch(options: LaunchOptions): Promise<Running> {
  if (!LOOPBACK.has(options.host) && environment('SLUICE_ADMIN_PASSWORD_HASH') === undefined) {
    throw new UserError(
      `expected SLUICE_ADMIN_PASSWORD_HASH to be set before the editor listens on ${options.host}, got nothing: ` +
        'whoever reaches it could run code. Make one with: sluice password',
    );
  }
  const name = options.name ?? environment('SLUICE_NAME') ?? hostname();
  const folder = new UserFolder(options.userDir);
  const file = await folder.claim(name);
  // What has been started, the last first: the order of stopping.
  const stops: (() => Promise<boolean>)[] = [
    () => {
      folder.release();
      return Promise.resolve(true);
    },
  ];
  try {
    folder.installFlow(options.flow, defaultFlow(), options.replace);
    const store =
      environment('MONGODB_URI') === undefined
        ? embeddedStore(await freeStorePort(options), options.say, folder)
        : undefined;
    if (store !== undefined) stops.unshift(() => stopStore(store.supervisor));
    const broker = environment('MQTT_URL') === undefined ? await startBroker(options) : undefined;
    if (broker !== undefined) stops.unshift(() => broker.stop().then(() => true));
    await store?.supervisor.start();
    const services = {
      MQTT_URL: broker?.url ?? environment('MQTT_URL') ?? '',
      MONGODB_URI: store?.uri() ?? environment('MONGODB_URI') ?? '',
      S3_URL: environment('S3_URL') ?? objectsUrl(folder),
    };
    const instance = superviseInstance(options, folder, file, { ...process.env, ...services, SLUICE_NAME: name });
    stops.unshift(() => stopInstance(instance.supervisor, options.say));
    await instance.supervisor.start();
    return {
      editor: instance.url(),
      mqtt: withoutSecrets(services.MQTT_URL),
      mongodb: withoutSecrets(services.MONGODB_URI),
      objects: environment('S3_URL') === undefined ? folder.objects : withoutSecrets(services.S3_URL),
      userDir: folder.path,
      embedded: {
        broker: broker !== undefined,
        store: store !== undefined,
        objects: environment('S3_URL') === undefined,
      },
      failed: Promise.race([instance.supervisor.failed, ...(store === undefined ? [] : [store.supervisor.failed])]),
      stop: () => stopAll(stops, options.say),
    };
  } catch (error) {
    await stopAll(stops, options.say);
    throw error;
  }
}

/** @returns whether all of it ended as it should */
async function stopAll(stops: readonly (() => Promise<boolean>)[], say: (sentence: string) => void): Promise<boolean> {
  let clean = true;
  for (const stop of stops) {
    try {
      clean = (await stop()) && clean;
    } catch (error) {
      say(messageOf(error));
      clean = false;
    }
  }
  return clean;
}

/** The Node-RED process. Its address is known, and stands in the folder's file, when it has started. */
function superviseInstance(
  options: LaunchOptions,
  folder: UserFolder,
  file: InstanceFile,
  childEnvironment: NodeJS.ProcessEnv,
): { supervisor: Supervisor<InstanceChild>; url: () => string } {
  const passwordHash = environment('SLUICE_ADMIN_PASSWORD_HASH');
  const credentialSecret = folder.credentialSecret();
  let { port } = options;
  let url = '';
  const launchChild = (): InstanceChild => {
    const child: InstanceChild = new Child('the instance', sibling('instance-process.js'), [], childEnvironment);
    child.onMessage((message) => {
      if (message.type === 'port-taken') options.say(taken('the editor', message.port));
    });
    child.send({
      type: 'start',
      options: {
        userDir: folder.path,
        host: options.host,
        port,
        credentialSecret,
        token: file.token,
        ...(passwordHash !== undefined && { passwordHash }),
      },
    });
    return child;
  };
  const ready = async (child: InstanceChild): Promise<void> => {
    const answer = await child.next('ready');
    url = answer.url;
    port = Number(new URL(url).port || 80);
    folder.write({ ...file, url });
    if (answer.problem !== undefined) options.say(`${answer.problem}: open the editor at ${url}`);
  };
  return { supervisor: new Supervisor('the instance', launchChild, ready, options.say), url: () => url };
}

async function stopInstance(supervisor: Supervisor<InstanceChild>, say: (sentence: string) => void): Promise<boolean> {
  const child = supervisor.release();
  if (child === undefined) return true;
  child.send({ type: 'drain' });
  const clean = await child.endedWithin(STOP_LIMIT_MS);
  if (!clean) say('the instance did not stop as it should: what it held is lost');
  return clean;
}

/** The embedded document store. Its address is known when it has started, and stays the same over restarts. */
function embeddedStore(
  wanted: number,
  say: (sentence: string) => void,
  folder: UserFolder,
): { supervisor: Supervisor<StoreChild>; uri: () => string } {
  mkdirSync(folder.store, { recursive: true });
  let port = wanted;
  let uri = '';
  const launchChild = (): StoreChild =>
    new Child(
      'the embedded document store',
      sibling('../../bin/sluice.js'),
      ['store', '--dir', folder.store, '--port', String(port), '--json'],
      process.env,
    );
  const ready = async (child: StoreChild): Promise<void> => {
    const answer = await child.next('ready');
    uri = storeUri(answer.uri);
    port = Number(new URL(answer.uri).port);
  };
  return { supervisor: new Supervisor('the embedded document store', launchChild, ready, say), uri: () => uri };
}

async function freeStorePort({ mongodbPort, say }: LaunchOptions): Promise<number> {
  if (mongodbPort === 0 || (await isFree(mongodbPort))) return mongodbPort;
  say(taken('the embedded document store', mongodbPort));
  return 0;
}

async function stopStore(supervisor: Supervisor<StoreChild>): Promise<boolean> {
  const child = supervisor.release();
  child?.release();
  return (await child?.endedWithin(STORE_STOP_LIMIT_MS)) ?? true;
}

async function startBroker({ mqttPort, say }: LaunchOptions): Promise<EmbeddedBroker> {
  try {
    return await EmbeddedBroker.start(mqttPort);
  } catch (error) {
    if (!isTaken(error) || mqttPort === 0) throw error;
    say(taken('the embedded broker', mqttPort));
    return EmbeddedBroker.start(0);
  }
}

/** The store's address with the database, and the login where one is set. */
function storeUri(uri: string): string {
  const url = new URL(uri);
  url.pathname = `/${DATABASE}`;
  const user = environment('SLUICE_MONGODB_USER');
  const password = environment('SLUICE_MONGODB_PASSWORD');
  if (user !== undefined && password !== undefined) {
    url.username = encodeURIComponent(user);
    url.password = encodeURIComponent(password);
    url.searchParams.set('authSource', 'admin');
  }
  return url.href;
}

function objectsUrl(folder: UserFolder): string {
  mkdirSync(folder.objects, { recursive: true });
  return pathToFileURL(folder.objects).href;
}

/** The flow that a new folder gets: beside this package's code when it is installed, in the repository's folder else. */
function defaultFlow(): string {
  const file = 'flows/devices-to-mongo-and-s3.json';
  const installed = join(import.meta.dirname, '../..', file);
  return existsSync(installed) ? installed : join(import.meta.dirname, '../../..', file);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function isTaken(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

function taken(what: string, port: number): string {
  return `port ${port} for ${what} is taken by another program: using a free one`;
}

function environment(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

/** What a URL may show of its query: everything else may be a secret. */
const SHOWN = new Set(['endpoint', 'region', 'pathStyle', 'replicaSet', 'authSource', 'directConnection', 'tls', 'w']);

/** A URL as it may be shown: without user and password (whatever is before the last @), and without unknown options. */
function withoutSecrets(url: string): string {
  const [address = '', query] = url.split(/\?(.*)/s);
  const shown = new URLSearchParams([...new URLSearchParams(query)].filter(([name]) => SHOWN.has(name))).toString();
  return `${address.replace(/^([a-z0-9+.-]+:\/\/).*@/is, '$1')}${shown === '' ? '' : `?${shown}`}`;
}

/** A file beside this one. */
function sibling(file: string): string {
  return join(import.meta.dirname, file);
}
