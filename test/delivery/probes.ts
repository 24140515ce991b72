/**
 * Nodes for tests, made by the palette's own `defineNode`: one begins deliveries, one passes messages on, one keeps what
 * it gets until it is told to let go.
 */
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import type * as Adapter from '../../nodes/adapter/define-node.js';
import type * as Errors from '../../nodes/lib/errors.js';
import type { Delivery } from '../../nodes/lib/delivery/delivery.js';
import type { Outcome } from '../../nodes/lib/delivery/outcome.js';
import type { Message } from '../../nodes/lib/message.js';

const dist = join(import.meta.dirname, '../../dist');
const { RejectedError, UnavailableError } = (await import(join(dist, 'lib/errors.js'))) as typeof Errors;
const { defineNode } = (await import(join(dist, 'adapter/define-node.js'))) as typeof Adapter;

/** What the probes tell: `arrived`, `refused`, `settled`. */
export const events = new EventEmitter();

export interface Arrival {
  /** The sink that has it. */
  readonly sink: string;
  readonly payload: unknown;
}

interface Kept extends Arrival {
  readonly letGo: PromiseWithResolvers<Outcome | void>;
}

const config = Type.Object({
  configVersion: Type.Literal(1, { default: 1 }),
  deadLetters: Type.Optional(Type.String()),
  timeLimit: Type.Optional(Type.Number()),
  /** Of a sink: how it refuses a message, and how often (each of them) before it keeps it. */
  refuses: Type.Optional(Type.String()),
  refusals: Type.Optional(Type.Number()),
});
type Config = Static<typeof config>;

const sources = new Map<string, ProbeSource>();
const kept: Kept[] = [];

class ProbeSource {
  readonly #context: Adapter.NodeContext<Config, unknown>;

  constructor(context: Adapter.NodeContext<Config, unknown>) {
    this.#context = context;
    sources.set(context.id, this);
  }

  begin(message: Message): void {
    const { id, deliveries, send, type } = this.#context;
    const { payload } = message;
    const delivery: Delivery = deliveries.begin(message, () => events.emit('settled', { source: id, payload }));
    send(message, 0);
    delivery.close(type);
  }
}

class ProbeSink {
  readonly #id: string;
  readonly #config: Config;
  readonly #refused = new Map<string, number>();

  constructor({ id, config: settings, status }: Adapter.NodeContext<Config, unknown>) {
    this.#id = id;
    this.#config = settings;
    status('ok', 'made');
  }

  input({ payload }: Message): Promise<Outcome | void> {
    const arrival = { sink: this.#id, payload };
    const { refuses, refusals = Infinity } = this.#config;
    const key = JSON.stringify(payload);
    const refused = this.#refused.get(key) ?? 0;
    if (refuses !== undefined && refused < refusals) {
      this.#refused.set(key, refused + 1);
      events.emit('refused', arrival);
      throw errorOf(refuses);
    }
    const letGo = Promise.withResolvers<Outcome | void>();
    kept.push({ ...arrival, letGo });
    events.emit('arrived', arrival);
    return letGo.promise;
  }
}

/** Begins a delivery for each payload. */
export function begin(source: string, messages: readonly Message[]): void {
  const node = sources.get(source);
  if (node === undefined) throw new Error(`no probe-source ${source}`);
  for (const message of messages) node.begin(message);
}

/** Lets go of what sinks have, whose ids begin so: it is stored, or has failed. */
export function letGo(sinks: string, error: string | undefined): void {
  for (const entry of kept.splice(0)) {
    if (!entry.sink.startsWith(sinks)) kept.push(entry);
    else if (error === undefined) entry.letGo.resolve('stored');
    else entry.letGo.reject(errorOf(error));
  }
}

function errorOf(name: string): Error {
  if (name === 'unavailable') return new UnavailableError('away', { code: 'away' });
  if (name === 'rejected') return new RejectedError('never', { code: 'never' });
  return new Error(name);
}

export const probeSource = defineNode({
  type: 'probe-source',
  config,
  checks: () => [],
  create: (context) => new ProbeSource(context),
});

export const probeSink = defineNode({
  type: 'probe-sink',
  config,
  checks: () => [],
  create: (context) => new ProbeSink(context),
});

export const probePass = defineNode({
  type: 'probe-pass',
  config,
  checks: () => [],
  create: () => ({ input: (message: Message, send: Adapter.Send) => send(message, 0) }),
});
