import { createHash } from 'node:crypto';
import { compileTemplate, type Template } from '../lib/template.js';
import { ConfigError } from '../lib/errors.js';
import { uuidv5 } from '../lib/identity.js';
import { topicNameProblem } from '../lib/topic.js';
import type { Config } from './config.js';
import { valueModel, type ValueModel, type ValueSettings } from './value-model.js';

export type SimulationSettings = ValueSettings &
  Pick<Config, 'devices' | 'topic' | 'seed' | 'seq' | 'ts' | 'messageId'>;

export interface SimulatedMessage {
  readonly topic: string;
  readonly payload: {
    readonly uuid: string;
    readonly value: number;
    readonly seq?: number;
    readonly ts?: string;
    readonly id?: string;
  };
  /** `<uuid>:<run>:<seq>` */
  readonly messageId: string;
}

interface Device {
  readonly uuid: string;
  readonly topic: string;
  readonly value: ValueModel;
  seq: number;
}

/** The namespace of the devices' uuids, drawn once. */
const NAMESPACE = Buffer.from('5a1dd8f5c4335f2ba9d63b4f0dd3b6a1', 'hex');

/** Devices and what they say, the same for the same seed. Makes messages; when and where they go is the runner's. */
export class Simulation {
  readonly #settings: SimulationSettings;
  readonly #run: string;
  readonly #topic: Template;
  readonly #devices: Device[] = [];
  #next = 0;

  /** @throws ConfigError for a topic that no device could publish to, or an impossible range */
  constructor(settings: SimulationSettings, run: string) {
    this.#settings = settings;
    this.#run = run;
    this.#topic = compileTemplate(settings.topic);
    this.#device(0);
  }

  /** The devices take turns. */
  next(now: Date): SimulatedMessage {
    const device = this.#device(this.#next);
    this.#next = (this.#next + 1) % this.#settings.devices;
    const seq = ++device.seq;
    const messageId = `${device.uuid}:${this.#run}:${seq}`;
    return {
      topic: device.topic,
      payload: {
        uuid: device.uuid,
        value: device.value(),
        ...(this.#settings.seq && { seq }),
        ...(this.#settings.ts && { ts: now.toISOString() }),
        ...(this.#settings.messageId && { id: messageId }),
      },
      messageId,
    };
  }

  #device(index: number): Device {
    return (this.#devices[index] ??= this.#makeDevice(index));
  }

  #makeDevice(index: number): Device {
    const { seed } = this.#settings;
    const uuid = uuidv5(NAMESPACE, `${seed}:${index}`);
    const topic = this.#topic.render({ uuid, index });
    const problem =
      topic === undefined ? 'expected the fields {uuid} and {index} only, got another' : topicNameProblem(topic);
    if (topic === undefined || problem !== undefined) {
      throw new ConfigError(`/topic: ${problem ?? ''}`, { code: 'topic', path: '/topic' });
    }
    return { uuid, topic, value: valueModel(this.#settings, randomNumbers(`${seed}:${index}`)), seq: 0 };
  }
}

/** sfc32 (PractRand, Chris Doty-Humphrey): small, fast, and the same everywhere. Numbers in [0, 1). */
function randomNumbers(seed: string): () => number {
  const digest = createHash('sha256').update(seed).digest();
  let [a, b, c, d] = [digest.readInt32LE(0), digest.readInt32LE(4), digest.readInt32LE(8), 1];
  const next = (): number => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 4_294_967_296;
  };
  for (let round = 0; round < 12; round++) next();
  return next;
}
