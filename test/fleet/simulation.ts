/** `sluice simulate` at a fleet's broker, and `sluice verify` of what the fleet has stored. */
import { join } from 'node:path';
import { runSluice, Sluice } from '../sluice.js';

/** What a run for acceptance has more of than one of every day: set `SLUICE_TEST_LONG=1`. */
export const LONG = process.env['SLUICE_TEST_LONG'] === '1';

/** The figures of a long run. */
export function figures(what: object): void {
  if (LONG) console.log(what);
}

const DEVICES = 20;

export interface SimulationOptions {
  readonly mqtt: string;
  /** Where the manifest is written. */
  readonly folder: string;
  readonly count: number;
  /** Messages a second, of all devices. */
  readonly rate: number;
  readonly qos?: 1 | 2;
}

interface Totals {
  readonly made: number;
  readonly published: number;
  readonly failed: number;
}

/** The findings of `sluice verify --json`, as far as tests ask for them. */
interface Verified {
  readonly expected: number;
  readonly stored: number;
  readonly records: number;
  readonly others: number;
  readonly missing: { readonly count: number };
  readonly twice: { readonly count: number };
}

/** Devices that publish numbered readings, each with an id of its own, at a pace. */
export class Simulation {
  readonly #process: Sluice;
  readonly #manifest: string;

  constructor({ mqtt, folder, count, rate, qos = 1 }: SimulationOptions) {
    this.#manifest = join(folder, 'manifest.ndjson');
    const load = ['--qos', String(qos), '--count', String(count), '--rate', String(rate / DEVICES)];
    const devices = ['--devices', String(DEVICES), '--seed', 'fleet', '--id', '--seq', '--ts'];
    this.#process = new Sluice([
      'simulate',
      '--broker',
      mqtt,
      ...load,
      ...devices,
      '--manifest',
      this.#manifest,
      '--json',
    ]);
  }

  /** No more than what is under way. */
  end(): void {
    this.#process.child.kill('SIGINT');
  }

  /** Resolves when the broker has all of them. */
  async published(): Promise<Totals> {
    const { stdout, stderr } = await this.#process.ended;
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Totals;
  }

  /** What is stored of them, once all are, or none has come for a while. */
  async verified(mongodb: string): Promise<Verified> {
    const url = new URL(mongodb);
    url.pathname = '/mongogw';
    const { stdout, stderr } = await runSluice([
      'verify',
      url.href,
      '--manifest',
      this.#manifest,
      '--verify-within',
      '60',
      '--json',
    ]);
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Verified;
  }
}
