import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { compilePath } from '../lib/template.js';
import { MessageSchema } from '../message-schema/schema.js';
import type { Config } from './config.js';

/** A payload can be wrong in a million places; a rejection names the first of them. */
const MOST_ERRORS = 20;

/** Lets through what matches a schema. */
export class SchemaFilter implements Behaviour {
  readonly #context: NodeContext<Config, unknown>;
  readonly #schema: MessageSchema;
  readonly #read: (message: unknown) => unknown;

  constructor(context: NodeContext<Config, unknown>) {
    this.#context = context;
    this.#schema = context.use(context.config.schema, MessageSchema, '/schema');
    this.#read = compilePath(context.config.property);
    this.#showStatus();
  }

  input(message: Message, send: Send): void {
    const findings = this.#schema.findings(this.#read(message));
    const [first] = findings;
    if (first === undefined) {
      this.#context.counters.add('valid');
      send(message);
      this.#showStatus();
      return;
    }
    const { name, version } = this.#schema;
    this.#showStatus();
    throw new RejectedError(`${name} ${version}: ${first.path || '/'}: ${first.message}`, {
      code: `schema-${first.keyword}`,
      details: { schema: { name, version }, errors: findings.slice(0, MOST_ERRORS) },
    });
  }

  #showStatus(): void {
    const { counters, status } = this.#context;
    const count = (name: string): string => counters.total(name).toLocaleString('en');
    status('ok', () => `${count('valid')} valid, ${count('rejected')} rejected`);
  }
}
