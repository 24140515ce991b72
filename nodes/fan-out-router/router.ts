import type { Behaviour, NodeContext, Send } from '../adapter/define-node.js';
import { ConfigError, messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { Config } from './config.js';
import { compileRule, type Predicate } from './rule.js';

/** The output for messages that no rule takes: it follows those of the rules. */
export function noMatchOutput({ rules }: Pick<Config, 'rules'>): number {
  return rules.length;
}

/** The output for messages on which a rule failed: the last one. */
export function errorOutput({ rules }: Pick<Config, 'rules'>): number {
  return rules.length + 1;
}

/** Sends each message to the outputs of the rules that match it. */
export class FanOutRouter implements Behaviour {
  readonly #context: NodeContext<Config, unknown>;
  readonly #rules: readonly { readonly name: string; readonly matches: Predicate }[];

  constructor(context: NodeContext<Config, unknown>) {
    this.#context = context;
    refuseSameNames(context.config);
    this.#rules = context.config.rules.map((rule, index) => ({
      name: rule.name,
      matches: compileRule(rule, `/rules/${index}`),
    }));
    this.#showStatus();
  }

  input(message: Message, send: Send): void {
    const { config, counters } = this.#context;
    const outputs: number[] = [];
    let failed: RejectedError | undefined;
    for (const [index, { name, matches }] of this.#rules.entries()) {
      try {
        if (!matches(message)) continue;
      } catch (error) {
        failed ??= ruleError(name, error);
        counters.add('rule-failed', 1, name);
        continue;
      }
      outputs.push(index);
      counters.add('matched', 1, name);
      if (config.mode === 'first') break;
    }
    if (outputs.length === 0 && failed === undefined) {
      counters.add('no-match');
      outputs.push(noMatchOutput(config));
    }
    if (outputs.length > 0) send(message, ...outputs);
    this.#showStatus();
    // The rules that match have their message by now: one that fails does not stop the others.
    if (failed !== undefined) throw failed;
  }

  #showStatus(): void {
    const { counters, config, status } = this.#context;
    status('ok', () => {
      const counts = counters.snapshot();
      return config.rules
        .map(({ name }) => `${name} ${(counts[`matched{${name}}`] ?? 0).toLocaleString('en')}`)
        .join(', ');
    });
  }
}

/** A rule's name is that of its count and of its errors. */
function refuseSameNames({ rules }: Pick<Config, 'rules'>): void {
  for (const [index, { name }] of rules.entries()) {
    if (rules.findIndex((rule) => rule.name === name) === index) continue;
    const path = `/rules/${index}/name`;
    throw new ConfigError(`${path}: expected a name that no other rule has, got ${JSON.stringify(name)}`, {
      code: 'rule-name',
      path,
    });
  }
}

function ruleError(rule: string, error: unknown): RejectedError {
  const code = error instanceof RejectedError ? error.code : 'rule-failed';
  return new RejectedError(`rule "${rule}": ${messageOf(error)}`, { code, cause: error, details: { rule } });
}
