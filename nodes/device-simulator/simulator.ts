import { randomUUID } from 'node:crypto';
import type { Behaviour, NodeContext } from '../adapter/define-node.js';
import { ConfigError, describeValue, messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { MessageSchema } from '../message-schema/schema.js';
import { MqttBroker } from '../sluice-mqtt-broker/broker.js';
import type { ConnectionState } from '../sluice-mqtt-broker/connection.js';
import type { Config } from './config.js';
import { checkBroker } from './faults.js';
import { Publisher } from './publisher.js';
import { SimulationRunner } from './runner.js';
import { Simulation, type SimulatedMessage } from './simulation.js';

/** Devices in a flow: they publish through a broker, or send to the output. */
export class DeviceSimulator implements Behaviour {
  readonly stage = 'device';
  readonly #context: NodeContext<Config, unknown>;
  readonly #broker: MqttBroker | undefined;
  readonly #publisher: Publisher | undefined;
  readonly #runner: SimulationRunner;
  readonly #forget: (() => void) | undefined;
  #brokerState: ConnectionState | undefined;
  /** Whether it was told what to do: by the flow's start, a message or its button. */
  #told: boolean;
  /** Why no more messages can be made. */
  #broken: string | undefined;

  constructor(context: NodeContext<Config, unknown>) {
    const { config } = context;
    this.#context = context;
    this.#told = !config.autoStart;
    this.#broker = config.broker === undefined ? undefined : context.use(config.broker, MqttBroker, '/broker');
    checkBroker(config);
    if (this.#broker !== undefined) this.#publisher = new Publisher(this.#broker, config.qos);
    const schema = config.schema === undefined ? undefined : context.use(config.schema, MessageSchema, '/schema');
    this.#runner = new SimulationRunner(new Simulation(config, config.run ?? randomUUID(), schema), {
      rate: config.devices * config.rate,
      devices: config.devices,
      ramp: config.ramp,
      limit: config.limit,
      deliver: (message) => this.#deliver(message),
      settled: ({ fault }, delivered) => {
        if (delivered) context.counters.add('sent', 1, fault);
      },
      changed: () => this.#showStatus(),
      broken: (error) => this.#onBroken(error),
    });
    this.#forget = this.#broker?.onState((state) => {
      this.#brokerState = state;
      if (state.level === 'ok') this.#runner.retry();
      this.#showStatus();
    });
    this.#showStatus();
  }

  start(): void {
    if (!this.#told) this.action('start', undefined);
  }

  input(message: Message): void {
    const { payload } = message;
    try {
      if (typeof payload === 'string') this.action(payload, undefined);
      else if (typeof payload === 'object' && payload !== null && 'burst' in payload) this.action('burst', payload);
      else throw unknownCommand(payload);
    } catch (error) {
      throw new RejectedError(error instanceof Error ? error.message : String(error), {
        code: 'unknown-command',
        cause: error,
      });
    }
  }

  action(name: string, body: unknown): { message: string } {
    const { name: node, config } = this.#context;
    switch (name) {
      case 'button':
        return this.action(config.button, undefined);
      case 'toggle':
        return this.action(this.#runner.running ? 'stop' : 'start', undefined);
      case 'start':
        this.#told = true;
        this.#runner.start();
        this.#showStatus();
        return { message: this.#runner.running ? `${node}: started` : `${node}: done, all ${config.limit} are made` };
      case 'stop':
        this.#told = true;
        this.#runner.pause();
        this.#showStatus();
        return { message: `${node}: stopped` };
      case 'burst': {
        const given = (body as { burst?: unknown } | undefined)?.burst ?? config.burst;
        if (typeof given !== 'number' || !Number.isSafeInteger(given) || given < 1) {
          throw new ConfigError(`expected burst to be a whole number from 1, got ${describeValue(given)}`, {
            code: 'burst',
          });
        }
        this.#runner.burst(given);
        return { message: `${node}: a burst of ${given}` };
      }
      default:
        throw unknownCommand(name);
    }
  }

  async stop(): Promise<void> {
    await this.#runner.stop(this.#broker?.disconnected());
    await this.#publisher?.close();
    this.#forget?.();
  }

  #deliver(message: SimulatedMessage): void | Promise<void> {
    const { topic, payload, messageId, fault } = message;
    if (this.#publisher !== undefined) return this.#publisher.publish(message);
    this.#context.send({
      topic,
      payload,
      qos: this.#context.config.qos,
      retain: false,
      identity: messageId,
      receivedAt: Date.now(),
      ...(fault !== undefined && { fault }),
    });
  }

  #onBroken(error: unknown): void {
    this.#broken = messageOf(error);
    this.#context.log('error', 'no further message can be made', { reason: this.#broken });
    this.#showStatus();
  }

  #showStatus(): void {
    const { failed } = this.#runner.totals;
    const { counters, status } = this.#context;
    const sent = counters.total('sent').toLocaleString('en');
    const what = `${sent} sent${failed === 0 ? '' : `, ${failed.toLocaleString('en')} failed`}`;
    if (this.#broken !== undefined) status('error', this.#broken);
    else if (this.#brokerState?.level === 'error') status('error', this.#brokerState.text);
    else if (!this.#told) status('busy', 'waiting for the ingests to subscribe');
    else if (this.#runner.stalled) status('busy', `waiting for the broker, ${what}`);
    else if (this.#runner.running) status('ok', what);
    else if (this.#runner.atLimit) status('off', `done, ${what}`);
    else status('off', `stopped, ${what}`);
  }
}

function unknownCommand(got: unknown): ConfigError {
  return new ConfigError(
    `expected the payload "start", "stop", "toggle", "burst" or {"burst": N}, got ${describeValue(got)}`,
    { code: 'unknown-command' },
  );
}
