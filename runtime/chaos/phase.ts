import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UserError } from '../launcher/user-error.js';
import { addressOf, findBroker, type Broker } from './broker.js';
import { ChaosInstance } from './instance.js';
import { Listener } from './listener.js';
import { placeFlow, type PlacedFlow } from './places.js';
import { FAULT_KINDS, type FaultKind } from './plan.js';
import { ReadBack } from './read-back.js';
import { SmallDisk } from './small-disk.js';
import { findStore, type DocumentStore } from './store.js';
import { TcpProxy } from './tcp-proxy.js';
import type { ChaosFlow } from './flow.js';

export interface PhaseSettings {
  readonly flow: ChaosFlow;
  /** `calm` or `chaos`; part of the instance's name, and so of its sessions. */
  readonly name: string;
  readonly run: string;
  /** Its own, and empty. */
  readonly folder: string;
  readonly broker: string | undefined;
  readonly qos: 0 | 1 | 2;
  /** The size of the user folder's own disk; undefined: it is on the one that all is on. */
  readonly diskBytes: number | undefined;
  /** A folder with a package.json, and the nodes that the flow needs in its node_modules. */
  readonly nodes: string | undefined;
  readonly collections: readonly string[];
}

/** Everything that a flow runs with, as processes that can be killed, and clients that read back what it stored. */
export interface Phase {
  readonly instance: ChaosInstance;
  readonly broker: Broker;
  readonly store: DocumentStore;
  /** Before the broker and before the store; undefined where the runtime speaks to it without one. */
  readonly lines: { readonly broker: TcpProxy | undefined; readonly store: TcpProxy | undefined };
  readonly disk: SmallDisk | undefined;
  readonly flow: PlacedFlow;
  readonly readBack: ReadBack;
  readonly available: readonly FaultKind[];
  /** Why others are not. */
  readonly leftOut: readonly string[];
  /** In order: the runtime, then what it needs. */
  stop(): Promise<void>;
}

/** Long enough for every subscription to be made. */
const QUIET_MS = 500;
const STORE_PORT = 27_017;
const BROKER_PORT = 1_883;

/** Starts it all; resolves when the flow has its subscriptions. @throws UserError for what is missing or does not start */
export async function startPhase(settings: PhaseSettings, signal: AbortSignal): Promise<Phase> {
  const { folder, flow, qos, run, name } = settings;
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0)) await one();
  };
  try {
    const broker = await findBroker(settings.broker ?? process.env['MQTT_URL'], join(folder, 'broker'));
    const { own } = broker;
    if (own !== undefined) {
      stops.unshift(() => own.stop());
      await own.start();
    }
    const given = process.env['MONGODB_URI'];
    const store = await findStore(given, join(folder, 'store'));
    stops.unshift(() => store.own?.stop() ?? Promise.resolve());
    signal.throwIfAborted();

    const brokerLine = isPlain(broker.url, 'mqtt:')
      ? await TcpProxy.start(addressOf(broker.url, BROKER_PORT))
      : undefined;
    stops.unshift(() => brokerLine?.cut() ?? Promise.resolve());
    const storeLine = isPlain(store.uri, 'mongodb:')
      ? await TcpProxy.start(addressOf(store.uri, STORE_PORT))
      : undefined;
    stops.unshift(() => storeLine?.cut() ?? Promise.resolve());

    const userFolder = join(folder, 'user');
    mkdirSync(userFolder, { recursive: true });
    const mounted =
      settings.diskBytes === undefined ? undefined : await SmallDisk.mount(userFolder, settings.diskBytes);
    const disk = mounted instanceof SmallDisk ? mounted : undefined;
    if (disk !== undefined) stops.unshift(() => disk.unmount());

    if (settings.nodes !== undefined) addNodes(settings.nodes, userFolder);

    const mqttUrl = through(broker.url, brokerLine);
    const placed = placeFlow(flow.nodes, {
      qos,
      broker: addressOf(mqttUrl, BROKER_PORT),
      folder,
      collections: settings.collections,
      bucket: bucketOf(process.env['S3_URL'], `${run}/${name}`),
    });
    const flowFile = join(folder, 'flow.json');
    writeFileSync(flowFile, JSON.stringify(placed.nodes));
    const filters = placed.places.flatMap((place) => (place.kind === 'published' ? [place.filter] : []));
    const listener = new Listener(broker.url.href, filters, qos);
    stops.unshift(() => listener.close());
    await listener.start();

    const instance = new ChaosInstance({
      flow: flowFile,
      userFolder,
      environment: {
        MQTT_URL: mqttUrl.href,
        MONGODB_URI: through(store.uri, storeLine, { directConnection: 'true' }).href,
        S3_URL: 'file:///nowhere', // each sink has its own
        SLUICE_NAME: `chaos-${run}-${name}`,
      },
    });
    stops.unshift(() => instance.stop());
    await instance.start();
    await brokerLine?.quiet(QUIET_MS, signal);
    const { available, leftOut } = faultsFor(broker, store, { broker: brokerLine, store: storeLine }, mounted);
    const readBack = new ReadBack({
      flow: placed,
      uri: store.uri.href,
      credentials: given === undefined ? {} : storeLogin(),
      deadLetterFolder: join(userFolder, 'dead-letters'),
      listener,
    });
    const lines = { broker: brokerLine, store: storeLine };
    return { instance, broker, store, lines, disk, flow: placed, readBack, available, leftOut, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where Node-RED looks for the nodes that a user has installed. */
function addNodes(nodes: string, userFolder: string): void {
  const installed = resolve(nodes, 'node_modules');
  if (!existsSync(installed)) {
    throw new UserError(`expected nodes installed in ${resolve(nodes)}, got none: run npm install there`);
  }
  symlinkSync(installed, join(userFolder, 'node_modules'));
  copyFileSync(resolve(nodes, 'package.json'), join(userFolder, 'package.json'));
}

function faultsFor(
  broker: Broker,
  store: DocumentStore,
  lines: Phase['lines'],
  disk: SmallDisk | string | undefined,
): Pick<Phase, 'available' | 'leftOut'> {
  const leftOut: string[] = [];
  const without = new Set<FaultKind>(['kill-broker', 'restart-broker']);
  if (broker.own === undefined) leftOut.push(`the ${broker.name} is not this run's to end`);
  else without.delete(broker.own.fault);
  if (broker.own?.fault === 'restart-broker') {
    leftOut.push('kill -9 of the broker: mosquitto loses what it has acknowledged; it is restarted by SIGTERM');
  }
  if (store.own === undefined) {
    without.add('kill-store').add('stop-store');
    leftOut.push(`the ${store.name} is not this run's to end or to stop`);
  }
  for (const [what, line] of Object.entries(lines) as [keyof Phase['lines'], TcpProxy | undefined][]) {
    if (line !== undefined) continue;
    without.add(`cut-${what}`);
    leftOut.push(`connections to the ${what} cut: a proxy takes plain connections to one host`);
  }
  if (!(disk instanceof SmallDisk)) without.add('full-disk');
  if (typeof disk === 'string') leftOut.push(`no room on the disk: ${disk}`);
  return { available: FAULT_KINDS.filter((kind) => !without.has(kind)), leftOut };
}

function isPlain(url: URL, protocol: string): boolean {
  const encrypted = url.searchParams.get('tls') === 'true' || url.searchParams.get('ssl') === 'true';
  return url.protocol === protocol && !url.host.includes(',') && !encrypted;
}

function through(url: URL, line: TcpProxy | undefined, parameters: Readonly<Record<string, string>> = {}): URL {
  if (line === undefined) return url;
  const proxied = new URL(url);
  proxied.hostname = '127.0.0.1';
  proxied.port = String(line.port);
  for (const [name, value] of Object.entries(parameters)) proxied.searchParams.set(name, value);
  return proxied;
}

function bucketOf(given: string | undefined, prefix: string): string | undefined {
  if (given?.startsWith('s3:') !== true) return undefined;
  const url = new URL(given);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/chaos-${prefix}`;
  return url.href;
}

function storeLogin(): { readonly user?: string; readonly password?: string } {
  const { SLUICE_MONGODB_USER: user, SLUICE_MONGODB_PASSWORD: password } = process.env;
  return { ...(user !== undefined && { user }), ...(password !== undefined && { password }) };
}
