import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { describeValue, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { compilePath, pathSteps } from '../lib/template.js';
import { compileTopicFilter } from '../lib/topic.js';
import { MessageSchema, type Check, type Outcome } from '../message-schema/schema.js';
import type { Config } from './config.js';

/** A payload can be wrong in a million places; a rejection names the first of them. */
const MOST_ERRORS = 20;

interface Checked {
  readonly schema: MessageSchema;
  readonly check: Check;
}

/** Lets through what matches a schema: that of the first row whose topic filter matches, or that for all others. */
export class SchemaFilter implements Behaviour {
  readonly #context: NodeContext<Config, unknown>;
  readonly #rows: readonly { readonly matches: (topic: string) => boolean; readonly checked: Checked }[];
  readonly #others: Checked | undefined;
  readonly #read: (message: unknown) => unknown;
  readonly #steps: readonly (string | number)[];
  /** Made once: it is given for every message. */
  readonly #counts = (): string => {
    const { counters } = this.#context;
    const count = (name: string): string => counters.total(name).toLocaleString('en');
    const passed = counters.total('passed') === 0 ? '' : `, ${count('passed')} unchecked`;
    return `${count('valid')} valid, ${count('rejected')} rejected${passed}`;
  };

  constructor(context: NodeContext<Config, unknown>) {
    this.#context = context;
    const { property, schemas, schema = '', unmatched } = context.config;
    this.#rows = schemas.map((row, index) => ({
      matches: compileTopicFilter(row.topic),
      checked: this.#use(row.schema, `/schemas/${index}/schema`),
    }));
    this.#others = unmatched === 'schema' ? this.#use(schema, '/schema') : undefined;
    this.#read = compilePath(property);
    this.#steps = pathSteps(property);
    this.#showStatus();
  }

  input(message: Message, send: Send): void {
    const { config, counters } = this.#context;
    this.#showStatus();
    const checked = this.#checkedFor(message.topic);
    if (checked !== undefined) {
      send(this.#valid(message, checked));
      counters.add('valid');
      return;
    }
    if (config.unmatched !== 'pass') throw unknownTopic(message.topic);
    send(message);
    counters.add('passed', 1, 'unknown-topic');
  }

  #use(id: string, path: string): Checked {
    const { coerce, defaults, strip } = this.#context.config;
    const schema = this.#context.use(id, MessageSchema, path);
    return { schema, check: schema.check({ coerce, defaults, strip }) };
  }

  #checkedFor(topic: unknown): Checked | undefined {
    if (typeof topic === 'string') {
      for (const { matches, checked } of this.#rows) if (matches(topic)) return checked;
    }
    return this.#others;
  }

  /** The message as it leaves. The one that came stays as it is: it may be shared, and it is what is rejected. */
  #valid(message: Message, { schema: { name, version }, check }: Checked): Message {
    const given = this.#read(message);
    let outcome: Outcome;
    try {
      outcome = check(given);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      throw new RejectedError(`${name} ${version}: ${error.message}`, {
        code: error.code,
        cause: error,
        details: { schema: { name, version } },
      });
    }
    const [first] = outcome.findings;
    if (first === undefined) {
      return outcome.value === given ? message : withValueAt(message, this.#steps, outcome.value);
    }
    throw new RejectedError(`${name} ${version}: ${first.path || '/'}: ${first.message}`, {
      code: `schema-${first.keyword}`,
      details: { schema: { name, version }, errors: outcome.findings.slice(0, MOST_ERRORS) },
    });
  }

  #showStatus(): void {
    this.#context.status('ok', this.#counts);
  }
}

function unknownTopic(topic: unknown): RejectedError {
  return new RejectedError(`topic: expected one that a row of this filter is for, got ${describeValue(topic)}`, {
    code: 'unknown-topic',
  });
}

/** A copy of the way to a place, with another value there; what lies beside the way is shared. */
function withValueAt<T extends object>(whole: T, steps: readonly (string | number)[], value: unknown): T {
  const [step, ...more] = steps;
  if (step === undefined) return whole;
  const copy = (Array.isArray(whole) ? [...(whole as unknown[])] : { ...whole }) as Record<string | number, unknown>;
  const next = copy[step];
  copy[step] = more.length === 0 || typeof next !== 'object' || next === null ? value : withValueAt(next, more, value);
  return copy as T;
}
