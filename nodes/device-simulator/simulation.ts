import { compileTemplate, type Template } from '../lib/template.js';
import { ConfigError } from '../lib/errors.js';
import { uuidv5 } from '../lib/identity.js';
import { topicNameProblem } from '../lib/topic.js';
import type { MessageSchema } from '../message-schema/schema.js';
import type { Config } from './config.js';
import { checkFaults, DeviceFaults, type Fault } from './faults.js';
import { randomNumbers } from './random.js';
import { SchemaPayloads, type Stamp } from './schema-payloads.js';
import { valueModel, type ValueSettings } from './value-model.js';

export type SimulationSettings = ValueSettings &
  Pick<Config, 'devices' | 'topic' | 'seed' | 'seq' | 'ts' | 'messageId' | 'faults' | 'lateBy' | 'skew'>;

export interface SimulatedMessage {
  readonly topic: string;
  /** What JSON can carry; bytes that are no JSON where that is the fault. */
  readonly payload: unknown;
  /** `<uuid>:<run>:<seq>` */
  readonly messageId: string;
  readonly seq: number;
  /** What is wrong with it. */
  readonly fault?: Fault;
}

/** What the world has to say of the next message. */
export interface Turn {
  readonly now: Date;
  /** How many devices have started. */
  readonly devices: number;
  /** How many messages may be made, this one among them. */
  readonly left: number;
}

interface Device {
  readonly uuid: string;
  readonly topic: string;
  readonly payload: (stamp: Stamp) => unknown;
  readonly faults: DeviceFaults | undefined;
  seq: number;
}

/** The namespace of the devices' uuids, drawn once. */
const NAMESPACE = Buffer.from('5a1dd8f5c4335f2ba9d63b4f0dd3b6a1', 'hex');
/** Payloads in which a schema gave the fault no place. */
const MOST_ATTEMPTS = 100;

/** Devices and what they say, the same for the same seed. Makes messages; when and where they go is the runner's. */
export class Simulation {
  readonly #settings: SimulationSettings;
  readonly #run: string;
  readonly #topic: Template;
  readonly #schema: SchemaPayloads | undefined;
  readonly #devices: Device[] = [];
  #next = 0;
  /** The second of two messages that a fault has made: the copy, or the one that its neighbour has overtaken. */
  #second: SimulatedMessage | undefined;

  /**
   * @param schema - what payloads are made from, in place of the value model
   * @throws ConfigError for a topic that no device could publish to, an impossible range, faults or a schema that no
   *   payload can have
   */
  constructor(settings: SimulationSettings, run: string, schema?: MessageSchema) {
    this.#settings = settings;
    this.#run = run;
    this.#topic = compileTemplate(settings.topic);
    checkFaults(settings);
    this.#schema = schema && new SchemaPayloads(schema, settings, randomNumbers(`${settings.seed}:schema`));
    this.#device(0);
    this.#tryFaults();
  }

  /** The devices that have started take turns. @throws ConfigError when the schema gives a payload no place for a fault */
  next({ now, devices, left }: Turn): SimulatedMessage {
    const second = this.#second;
    this.#second = undefined;
    if (second !== undefined) return second;
    const device = this.#device(this.#next % devices);
    this.#next = (this.#next + 1) % devices;
    const fault = device.faults?.draw(left);
    const message = this.#make(device, now, fault);
    switch (fault) {
      case 'duplicate': {
        this.#second = message;
        const { fault: _copy, ...first } = message;
        return first;
      }
      case 'reorder':
        this.#second = message;
        return this.#make(device, now, undefined);
      default:
        return message;
    }
  }

  #make(device: Device, now: Date, fault: Fault | undefined): SimulatedMessage {
    if (fault === 'gap') device.seq++;
    const seq = ++device.seq;
    const id = `${device.uuid}:${this.#run}:${seq}`;
    const late = fault === 'late' ? -this.#settings.lateBy * 1_000 : (device.faults?.skew ?? 0);
    const ts = new Date(now.getTime() + late).toISOString();
    const payload = this.#payload(device, { uuid: device.uuid, seq, ts, id }, fault);
    return { topic: device.topic, payload, messageId: id, seq, ...(fault !== undefined && { fault }) };
  }

  #payload(device: Device, stamp: Stamp, fault: Fault | undefined): unknown {
    const { faults } = device;
    if (fault === 'malformed') return faults?.malformed(device.payload(stamp));
    if (fault !== 'missing-field' && fault !== 'out-of-range') return device.payload(stamp);
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const payload = device.payload(stamp);
      const spoilt =
        fault === 'missing-field'
          ? faults?.withoutField(payload, this.#schema)
          : faults?.outOfRange(payload, this.#schema, this.#settings);
      if (spoilt !== undefined) return spoilt;
    }
    const place = fault === 'missing-field' ? 'a field that is required' : 'a number that has limits';
    throw new ConfigError(`/faults: expected a schema with ${place} for the fault ${fault}, got one without`, {
      code: 'faults',
      path: '/faults',
    });
  }

  /** So that a fault which no payload can have shows before the first message. */
  #tryFaults(): void {
    const { seed } = this.#settings;
    const device = { ...this.#makeDevice(0), faults: new DeviceFaults(this.#settings, randomNumbers(`${seed}:trial`)) };
    for (const { fault } of this.#settings.faults) this.#make(device, new Date(0), fault);
  }

  #device(index: number): Device {
    return (this.#devices[index] ??= this.#makeDevice(index));
  }

  #makeDevice(index: number): Device {
    const { seed, faults } = this.#settings;
    const uuid = uuidv5(NAMESPACE, `${seed}:${index}`);
    const topic = this.#topic.render({ uuid, index });
    const problem =
      topic === undefined ? 'expected the fields {uuid} and {index} only, got another' : topicNameProblem(topic);
    if (topic === undefined || problem !== undefined) {
      throw new ConfigError(`/topic: ${problem ?? ''}`, { code: 'topic', path: '/topic' });
    }
    return {
      uuid,
      topic,
      payload: this.#payloadsOf(index),
      faults:
        faults.length === 0 ? undefined : new DeviceFaults(this.#settings, randomNumbers(`${seed}:${index}:faults`)),
      seq: 0,
    };
  }

  #payloadsOf(index: number): Device['payload'] {
    const settings = this.#settings;
    const random = randomNumbers(`${settings.seed}:${index}`);
    const schema = this.#schema;
    if (schema !== undefined) return (stamp) => schema.make(random, stamp);
    const value = valueModel(settings, random);
    return ({ uuid, seq, ts, id }) => ({
      uuid,
      value: value(),
      ...(settings.seq && { seq }),
      ...(settings.ts && { ts }),
      ...(settings.messageId && { id }),
    });
  }
}
