import { createServer } from 'node:net';
import { hostname } from 'node:os';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { EmbeddedBroker } from '../embedded/broker.js';
import { Child } from './child.js';
import type { InstanceOptions, InstanceReply, InstanceRequest } from './instance-protocol.js';
import { UserError } from './user-error.js';
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
  /** Stops in order: devices, until quiet, ingest, sinks, broker, store. */
  stop(): Promise<void>;
}

type InstanceChild = Child<InstanceReply, InstanceRequest>;
type StoreReply = { readonly type: 'ready'; readonly uri: string };

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
const DATABASE = 'sluice';
/** Longer than Node-RED gives a node to close (15 s), and the drain before it. */
const STOP_LIMIT_MS = 40_000;
const STORE_STOP_LIMIT_MS = 5_000;
/** This many crashes within this time are a loop, and no restart helps. */
const CRASHES = { most: 5, withinMs: 60_000 };

/** Starts what is embedded and one instance, and keeps them running. @throws UserError */
export async function launch(options: LaunchOptions): Promise<Running> {
  const passwordHash = process.env['SLUICE_ADMIN_PASSWORD_HASH'];
  if (!LOOPBACK.has(options.host) && (passwordHash === undefined || passwordHash === '')) {
    throw new UserError(
      `expected SLUICE_ADMIN_PASSWORD_HASH to be set before the editor listens on ${options.host}, got nothing: ` +
        'whoever reaches it could run code. Make one with: sluice password',
    );
  }
  const name = options.name ?? environment('SLUICE_NAME') ?? hostname();
  const folder = new UserFolder(options.userDir);
  const file = folder.claim(name);
  const started: (() => Promise<void>)[] = [
    () => {
      folder.release();
      return Promise.resolve();
    },
  ];
  try {
    folder.installFlow(options.flow, defaultFlow(), options.replace);
    const [broker, store] = await Promise.all([startBroker(options), startStore(options, folder)]);
    if (store !== undefined) started.unshift(() => store.child.stop('SIGTERM', STORE_STOP_LIMIT_MS));
    if (broker !== undefined) started.unshift(() => broker.stop());
    const services = {
      MQTT_URL: broker?.url ?? environment('MQTT_URL') ?? '',
      MONGODB_URI: store?.uri ?? environment('MONGODB_URI') ?? '',
      S3_URL: environment('S3_URL') ?? objectsUrl(folder),
    };
    const instance = new Supervisor(options, instanceOptions(options, folder, file, passwordHash), {
      ...process.env,
      ...services,
      SLUICE_NAME: name,
    });
    started.unshift(() => instance.stop());
    const editor = await instance.start();
    folder.write({ ...file, url: editor });
    return {
      editor,
      mqtt: withoutPassword(services.MQTT_URL),
      mongodb: withoutPassword(services.MONGODB_URI),
      objects: environment('S3_URL') === undefined ? folder.objects : withoutPassword(services.S3_URL),
      userDir: folder.path,
      embedded: {
        broker: broker !== undefined,
        store: store !== undefined,
        objects: environment('S3_URL') === undefined,
      },
      failed: instance.failed,
      stop: () => stopAll(started),
    };
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

async function stopAll(started: readonly (() => Promise<void>)[]): Promise<void> {
  for (const stop of started) await stop();
}

/** The instance process: started again when it crashes, with a pause that grows. */
class Supervisor {
  readonly failed: Promise<string>;
  readonly #fail: (reason: string) => void;
  readonly #options: LaunchOptions;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #crashes: number[] = [];
  #instance: InstanceOptions;
  #child: InstanceChild | undefined;
  #stopping = false;

  constructor(options: LaunchOptions, instance: InstanceOptions, environment: NodeJS.ProcessEnv) {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.failed = promise;
    this.#fail = resolve;
    this.#options = options;
    this.#instance = instance;
    this.#environment = environment;
  }

  /** @returns the editor's URL */
  async start(): Promise<string> {
    const child: InstanceChild = new Child(
      'the instance',
      join(import.meta.dirname, 'instance-process.js'),
      [JSON.stringify(this.#instance)],
      this.#environment,
    );
    this.#child = child;
    child.process.on('message', (message: InstanceReply) => {
      if (message.type === 'port-taken') this.#options.say(taken('the editor', message.port));
    });
    const { url, problem } = await child.next('ready');
    if (problem !== undefined) this.#options.say(`${problem}: open the editor at ${url}`);
    this.#instance = { ...this.#instance, port: Number(new URL(url).port || 80) };
    void child.ended.then((how) => this.#onEnd(how));
    return url;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || !child.running) return;
    child.send({ type: 'drain' });
    const ended = await Promise.race([child.ended, delay(STOP_LIMIT_MS, 'late' as const, { ref: false })]);
    if (ended === 'late') {
      this.#options.say('the instance did not stop in time and was ended');
      await child.stop('SIGKILL', 0);
    }
  }

  async #onEnd(how: number | string): Promise<void> {
    if (this.#stopping) return;
    const now = Date.now();
    this.#crashes.push(now);
    const recent = this.#crashes.filter((time) => time > now - CRASHES.withinMs).length;
    if (recent >= CRASHES.most) {
      this.#fail(`the instance ended ${recent} times within a minute (last: ${how})`);
      return;
    }
    const wait = 500 * 2 ** (recent - 1);
    this.#options.say(`the instance ended (${how}) and is started again in ${wait / 1_000} s`);
    await delay(wait);
    if (this.#isStopping()) return;
    await this.start().catch((error: unknown) =>
      this.#options.say(error instanceof Error ? error.message : String(error)),
    );
  }

  #isStopping(): boolean {
    return this.#stopping;
  }
}

function instanceOptions(
  options: LaunchOptions,
  folder: UserFolder,
  { token }: InstanceFile,
  passwordHash: string | undefined,
): InstanceOptions {
  const { host, port } = options;
  return {
    userDir: folder.path,
    host,
    port,
    credentialSecret: folder.credentialSecret(),
    token,
    passwordHash: passwordHash === '' ? undefined : passwordHash,
  };
}

async function startBroker({ mqttPort, say }: LaunchOptions): Promise<EmbeddedBroker | undefined> {
  if (environment('MQTT_URL') !== undefined) return undefined;
  try {
    return await EmbeddedBroker.start(mqttPort);
  } catch (error) {
    if (!isTaken(error) || mqttPort === 0) throw error;
    say(taken('the embedded broker', mqttPort));
    return EmbeddedBroker.start(0);
  }
}

async function startStore(
  { mongodbPort, say }: LaunchOptions,
  folder: UserFolder,
): Promise<{ uri: string; child: Child<StoreReply, never> } | undefined> {
  if (environment('MONGODB_URI') !== undefined) return undefined;
  mkdirSync(folder.store, { recursive: true });
  const free = mongodbPort === 0 || (await isFree(mongodbPort));
  if (!free) say(taken('the embedded document store', mongodbPort));
  const child = new Child<StoreReply, never>(
    'the embedded document store',
    join(import.meta.dirname, '../../bin/sluice.js'),
    ['store', '--dir', folder.store, '--port', String(free ? mongodbPort : 0), '--json'],
    process.env,
  );
  const { uri } = await child.next('ready');
  return { uri: storeUri(uri), child };
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

/** A URL as it may be shown: without user, password and what a query may carry. */
function withoutPassword(url: string): string {
  return url.replace(/^([a-z0-9+.-]+:\/\/)[^@/]*@/i, '$1');
}
