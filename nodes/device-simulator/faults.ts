import { ConfigError } from '../lib/errors.js';
import type { Config } from './config.js';
import { pick, shuffled, type Random } from './random.js';
import { isObject, type SchemaPayloads } from './schema-payloads.js';

export type Fault = Config['faults'][number]['fault'];

export type FaultSettings = Pick<
  Config,
  'faults' | 'lateBy' | 'skew' | 'ts' | 'model' | 'minimum' | 'maximum' | 'values'
>;

/** All of them. */
export const FAULTS: readonly Fault[] = [
  'malformed',
  'missing-field',
  'out-of-range',
  'duplicate',
  'gap',
  'reorder',
  'late',
  'clock-skew',
  'disconnect',
];
/** What a fault makes two messages of. */
const OF_TWO: ReadonlySet<Fault> = new Set(['duplicate', 'reorder']);
const OF_THE_CLOCK: ReadonlySet<Fault> = new Set(['late', 'clock-skew']);
const LIMITS = new Set(['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']);
/** How far a value lies beyond its limit, as a multiple of the width of its range. */
const BEYOND = 10;
const FAR_BEYOND = [1e12, -1e12];

/**
 * What the messages of one device have wrong with them: at most one fault each, so that a label says all of it. A device
 * whose clock is off has no other.
 */
export class DeviceFaults {
  readonly #random: Random;
  readonly #shares: readonly (readonly [Fault, number])[];
  /** Milliseconds. */
  readonly skew: number;

  constructor({ faults, skew }: FaultSettings, random: Random) {
    this.#random = random;
    const off = random() < (faults.find(({ fault }) => fault === 'clock-skew')?.share ?? 0);
    this.skew = off ? skew * 1_000 * (random() < 0.5 ? -1 : 1) : 0;
    this.#shares = faults.filter(({ fault }) => fault !== 'clock-skew').map(({ fault, share }) => [fault, share]);
  }

  /** @param left - how many messages may still be made */
  draw(left: number): Fault | undefined {
    if (this.skew !== 0) return 'clock-skew';
    let drawn = this.#random();
    for (const [fault, share] of this.#shares) {
      if (drawn < share) return OF_TWO.has(fault) && left < 2 ? undefined : fault;
      drawn -= share;
    }
    return undefined;
  }

  /** The text of a payload, as bytes that are no JSON. */
  malformed(payload: unknown): Buffer {
    const text = JSON.stringify(payload);
    switch (pick(this.#random, 3)) {
      case 0:
        return Buffer.from(isObject(payload) ? text.slice(0, 1 + pick(this.#random, text.length - 1)) : `${text}}`);
      case 1:
        return Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text)]); // no UTF-8, either
      default:
        return Buffer.from(`${text}}`);
    }
  }

  /** Without one of the fields that it must have; undefined when it has none. */
  withoutField(payload: unknown, schema: SchemaPayloads | undefined): unknown {
    if (!isObject(payload)) return undefined;
    const fields = schema === undefined ? ['uuid', 'value'] : Object.keys(payload).filter((field) => field !== 'id');
    for (const field of shuffled(this.#random, fields)) {
      const { [field]: _left, ...rest } = payload;
      if (schema === undefined || schema.findings(rest).length > 0) return rest;
    }
    return undefined;
  }

  /** With a number beyond its limits; undefined when none of its numbers has some. */
  outOfRange(payload: unknown, schema: SchemaPayloads | undefined, settings: FaultSettings): unknown {
    if (schema === undefined) return { ...(payload as object), value: beyond(settings, this.#random() < 0.5) };
    for (const path of shuffled(this.#random, numbersIn(payload))) {
      for (const number of shuffled(this.#random, FAR_BEYOND)) {
        const spoilt = withNumber(payload, path, number);
        if (schema.findings(spoilt).some(({ keyword }) => LIMITS.has(keyword))) return spoilt;
      }
    }
    return undefined;
  }
}

/** @throws ConfigError `faults` for shares that cannot be, and faults that the messages have no place for */
export function checkFaults({ faults, ts }: FaultSettings): void {
  const problem = (path: string, sentence: string): ConfigError =>
    new ConfigError(`${path}: ${sentence}`, { code: 'faults', path });
  for (const [index, { fault }] of faults.entries()) {
    if (faults.findIndex((other) => other.fault === fault) !== index) {
      throw problem(`/faults/${index}/fault`, `expected each fault once, got ${fault} twice`);
    }
    if (OF_THE_CLOCK.has(fault) && !ts) {
      throw problem(`/faults/${index}/fault`, `expected ts in the payload for the fault ${fault}, got none: add ts`);
    }
  }
  const sum = faults.reduce((all, { fault, share }) => (fault === 'clock-skew' ? all : all + share), 0);
  if (sum > 1 + Number.EPSILON * faults.length) {
    throw problem(
      '/faults',
      `expected shares of messages that add up to 1 at most, got ${Math.round(sum * 1e6) / 1e6}`,
    );
  }
}

/** @throws ConfigError for a fault that only a connection can have, without one */
export function checkBroker({ broker, faults }: Pick<Config, 'broker' | 'faults'>): void {
  const index = broker === undefined ? faults.findIndex(({ fault }) => fault === 'disconnect') : -1;
  if (index === -1) return;
  const path = `/faults/${index}/fault`;
  throw new ConfigError(`${path}: expected a broker for the fault disconnect, got none`, { code: 'faults', path });
}

function beyond({ model, minimum, maximum, values }: FaultSettings, above: boolean): number {
  const listed = model === 'constant' || model === 'sequence';
  const [lowest, highest] = listed ? [Math.min(...values), Math.max(...values)] : [minimum, maximum];
  const distance = BEYOND * Math.max(highest - lowest, 1);
  return above ? highest + distance : lowest - distance;
}

type Path = readonly (string | number)[];

function numbersIn(value: unknown, path: Path = []): Path[] {
  if (typeof value === 'number') return [path];
  if (Array.isArray(value)) return value.flatMap((item, index) => numbersIn(item, [...path, index]));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([name, item]) => numbersIn(item, [...path, name]));
}

function withNumber(value: unknown, [step, ...rest]: Path, number: number): unknown {
  if (step === undefined) return number;
  if (Array.isArray(value))
    return (value as unknown[]).map((item, index) => (index === step ? withNumber(item, rest, number) : item));
  const object = value as Record<string, unknown>;
  return { ...object, [step]: withNumber(object[step], rest, number) };
}
