import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startOwnMosquitto, type OwnMosquitto } from '../../test/servers/mosquitto.js';
import { freePort } from '../../test/servers/server.js';
import { InsertClock } from './insert-clock.js';
import { cpuUsOf, MeasuredProcess } from './process.js';

const root = join(import.meta.dirname, '../..');
export const SLUICE = join(root, 'runtime/bin/sluice.js');

/** What a consumer stands between: a broker and a store, each a process of its own, and a clock before the store. */
export class Servers {
  /** Empty when it is made, and removed with all that is in it. */
  readonly folder: string;
  readonly broker: OwnMosquitto;
  readonly clock: InsertClock;
  readonly #storePort: number;
  #store: MeasuredProcess;

  private constructor(
    folder: string,
    broker: OwnMosquitto,
    clock: InsertClock,
    storePort: number,
    store: MeasuredProcess,
  ) {
    this.folder = folder;
    this.broker = broker;
    this.clock = clock;
    this.#storePort = storePort;
    this.#store = store;
  }

  static async start(): Promise<Servers> {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    // With its own bound a QoS 2 backlog of mosquitto 2.0 stops.
    const broker = await startOwnMosquitto({ maxInflightMessages: 0, lines: ['max_queued_messages 0'] });
    const port = await freePort();
    const store = await startStore(folder, port);
    return new Servers(folder, broker, await InsertClock.before(port), port, store);
  }

  /** For a consumer: the store behind the clock. */
  get environment(): Readonly<Record<'MQTT_URL' | 'MONGODB_URI' | 'S3_URL', string>> {
    return {
      MQTT_URL: this.broker.url,
      MONGODB_URI: `mongodb://127.0.0.1:${this.clock.port}/bench`,
      S3_URL: `file://${join(this.folder, 'objects')}`,
    };
  }

  /** CPU time so far, in µs: of the broker, the store, and this process, which publishes. */
  get cpuUs(): Readonly<Record<'broker' | 'store' | 'publisher', number>> {
    const { user, system } = process.cpuUsage();
    const broker = this.broker.pid();
    return { broker: broker === undefined ? NaN : cpuUsOf(broker), store: this.#store.cpuUs, publisher: user + system };
  }

  async killStore(): Promise<void> {
    await this.#store.stop('SIGKILL');
  }

  async restartStore(): Promise<void> {
    this.#store = await startStore(this.folder, this.#storePort);
  }

  async stop(): Promise<void> {
    this.clock.close();
    await Promise.all([this.#store.stop(), this.broker.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function startStore(folder: string, port: number): Promise<MeasuredProcess> {
  const directory = join(folder, 'store');
  mkdirSync(directory, { recursive: true });
  const parameters = [SLUICE, 'store', '--dir', directory, '--port', String(port), '--json'];
  const store = new MeasuredProcess(process.execPath, parameters);
  await store.line();
  return store;
}
