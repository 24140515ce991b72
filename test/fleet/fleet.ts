/** `sluice fleet up` and `sluice join` as real processes, on a real broker. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import type { FleetStatus, SlotStatus } from '../../runtime/fleet/launcher/status.js';
import { documents, runSluice, Sluice, until, type Result } from '../sluice.js';

/** Stores `{date, deviceUID, value, gatewayID}` in `devices`; gatewayID is the name of the instance. */
export const GATEWAY = join(import.meta.dirname, '../../flows/article-gateway.json');

export const SECRET = 'a secret for tests only';

interface FleetReady {
  readonly ready: true;
  readonly fleet: string;
  readonly editor: string;
  readonly mqtt: string;
  readonly mongodb: string;
  readonly userDir: string;
  readonly control: string;
  readonly pid: number;
  readonly workers: readonly {
    readonly slot: number;
    readonly name: string;
    readonly state: string;
    readonly pid: number;
  }[];
}

type Environment = Readonly<Record<string, string>>;

/** A fleet that is ready. */
export class TestFleet extends Sluice {
  ready!: FleetReady;

  static async up(
    userDir: string,
    mqtt: string,
    parameters: readonly string[] = [GATEWAY, '-n', '2'],
    environment: Environment = {},
  ): Promise<TestFleet> {
    const ports = ['--port', '0', '--mongodb-port', '0'];
    const fleet = new TestFleet(['fleet', 'up', ...parameters, '--json', '--user-dir', userDir, ...ports], {
      MQTT_URL: mqtt,
      SLUICE_FLEET_SECRET: SECRET,
      ...environment,
    });
    fleet.ready = JSON.parse(await fleet.line()) as FleetReady;
    return fleet;
  }

  /** `sluice fleet <command> …` on this fleet. */
  run(...parameters: string[]): Promise<Result> {
    const [command = '', ...rest] = parameters;
    return runSluice(['fleet', command, '--user-dir', this.ready.userDir, ...rest]);
  }

  /** The sentence of a command that does what it should. */
  async done(...parameters: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...parameters);
    if (code !== 0) throw new Error(`${parameters.join(' ')} ended with ${String(code)}: ${stderr}\n${this.stderr}`);
    return stdout.trim();
  }

  /** Deploys as the editor does. */
  async deploy(flows: readonly object[]): Promise<void> {
    const response = await fetch(`${this.ready.editor}flows`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Node-RED-API-Version': 'v2' },
      body: JSON.stringify({ flows }),
    });
    if (!response.ok) throw new Error(`expected the deploy to be taken, got ${response.status}`);
  }

  async status(): Promise<FleetStatus> {
    const { stdout, stderr } = await this.run('status', '--json');
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as FleetStatus;
  }

  async slot(slot: number): Promise<SlotStatus | undefined> {
    return (await this.status()).slots.find((one) => one.slot === slot);
  }

  /** Resolves when a slot is as it should be. */
  async untilSlot(slot: number, holds: (status: SlotStatus) => boolean, withinMs = 30_000): Promise<SlotStatus> {
    const found = await until(
      () => this.slot(slot),
      (status) => status !== undefined && holds(status),
      withinMs,
    );
    if (found === undefined) throw new Error('expected a slot');
    return found;
  }

  /** The process of a slot. */
  async pid(slot: number): Promise<number> {
    return (await this.slot(slot))?.report?.pid ?? 0;
  }

  /** The slots that are held, as the folder keeps them. */
  get held(): number[] {
    const text = readFileSync(join(this.ready.userDir, 'slots.json'), 'utf8');
    const { slots } = JSON.parse(text) as { slots: Record<string, { state: string }> };
    return Object.entries(slots)
      .filter(([, { state }]) => state === 'held')
      .map(([slot]) => Number(slot));
  }

  /** `deviceUID`s that are stored, and by which instance. */
  async stored(): Promise<{ id: string; by: string }[]> {
    const url = new URL(this.ready.mongodb);
    url.pathname = '/mongogw';
    const found = await documents(url.href, 'devices');
    return found.map(({ deviceUID, gatewayID }) => ({ id: String(deviceUID), by: String(gatewayID) }));
  }
}

/** A worker that has joined, and is ready. */
export class TestWorker extends Sluice {
  ready!: { readonly slot: number; readonly name: string; readonly userDir: string };

  static join(mqtt: string, userDir: string, ...parameters: string[]): Promise<TestWorker> {
    return TestWorker.joinFrom([], mqtt, userDir, ...parameters);
  }

  /** @param machine - what starts a command there */
  static async joinFrom(
    machine: readonly string[],
    mqtt: string,
    userDir: string,
    ...parameters: string[]
  ): Promise<TestWorker> {
    const worker = new TestWorker(
      ['join', mqtt, '--user-dir', userDir, '--json', ...parameters],
      { SLUICE_FLEET_SECRET: SECRET },
      machine,
    );
    worker.ready = JSON.parse(await worker.line()) as TestWorker['ready'];
    return worker;
  }
}

/** Publishes readings, each with an id of its own, and resolves when the broker has all of them. */
export async function publish(mqtt: string, ids: readonly string[]): Promise<void> {
  const client = await connectAsync(mqtt);
  await Promise.all(
    ids.map((uuid) => client.publishAsync(`device/${uuid}`, JSON.stringify({ uuid, value: 21 }), { qos: 1 })),
  );
  await client.endAsync();
}

export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_none, index) => `${prefix}-${index}`);
}
