import type { Behaviour, CheckPorts, NodeContext, Send } from '../adapter/define-node.js';
import { ConfigError, UnavailableError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { Config } from './config.js';
import { compileRuleAt, compileRules, decide, RulesByTopic, type CompiledRule, type Decision } from './decide.js';

/** Messages that wait for a JSONata rule to say what becomes of one before them. */
const MOST_WAITING = 1_000;

/** The output for messages that no rule takes: it follows those of the rules. */
export function noMatchOutput({ rules }: Pick<Config, 'rules'>): number {
  return rules.length;
}

/** The output for messages on which a rule failed: the last one. */
export function errorOutput({ rules }: Pick<Config, 'rules'>): number {
  return rules.length + 1;
}

/** Sends each message to the outputs of the rules that match it, in the order in which the messages came. */
export class FanOutRouter implements Behaviour {
  readonly #context: NodeContext<Config, unknown>;
  readonly #rules: readonly CompiledRule[];
  readonly #byTopic: RulesByTopic;
  /** Settles, never rejects, when the last message that came has gone. */
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** Made once: it is given for every message. */
  readonly #counts = (): string => {
    const { counters, config } = this.#context;
    const counts = counters.snapshot();
    return config.rules
      .map(({ name, enabled }) =>
        enabled ? `${name} ${(counts[`matched{${name}}`] ?? 0).toLocaleString('en')}` : `${name} off`,
      )
      .join(', ');
  };

  constructor(context: NodeContext<Config, unknown>) {
    this.#context = context;
    for (const index of context.config.rules.keys()) refuseSameName(context.config, index);
    this.#rules = compileRules(context.config.rules, context.jsonata);
    this.#byTopic = new RulesByTopic(this.#rules);
    this.#showStatus();
  }

  input(message: Message, send: Send): void | Promise<void> {
    if (this.#waiting > 0) return this.#inTurn(() => this.#decide(message), message, send);
    const decision = this.#decide(message);
    if (decision instanceof Promise) return this.#inTurn(() => decision, message, send);
    this.#carryOut(decision, message, send);
  }

  #decide(message: Message): Decision | Promise<Decision> {
    return decide(this.#byTopic.for(message), this.#context.config.mode === 'first', message);
  }

  /** No message overtakes one that came before it. */
  #inTurn(decided: () => Decision | Promise<Decision>, message: Message, send: Send): Promise<void> {
    const { counters, closing } = this.#context;
    if (this.#waiting >= MOST_WAITING) {
      counters.add('refused', 1, 'queue-full');
      throw new UnavailableError(`expected at most ${MOST_WAITING} messages that wait for a JSONata rule, got more`, {
        code: 'queue-full',
      });
    }
    this.#waiting++;
    const turn = this.#last.then(async () => {
      try {
        const decision = await decided();
        // From then on the nodes behind it may be gone, and Node-RED drops what is sent to them without a word.
        if (closing.aborted) {
          counters.add('abandoned', 1, 'closed');
          throw closedError();
        }
        this.#carryOut(decision, message, send);
      } finally {
        this.#waiting--;
      }
    });
    this.#last = turn.then(
      () => undefined,
      () => undefined, // whoever waits for this turn hears of it
    );
    return turn;
  }

  #carryOut({ taken, failed, switchedOff, isUnmatched }: Decision, message: Message, send: Send): void {
    const { config, counters } = this.#context;
    const [firstFailed] = failed;
    const outputs = isUnmatched ? [noMatchOutput(config)] : taken;
    for (const index of taken) counters.add('matched', 1, this.#rules[index]?.name);
    for (const { rule } of failed) counters.add('rule-failed', 1, rule);
    if (isUnmatched) counters.add('no-match');
    if (switchedOff !== undefined) counters.add('switched-off', 1, switchedOff);
    if (outputs.length > 0) send(message, ...outputs);
    this.#showStatus();
    // The rules that match have their message by now: one that fails does not stop the others.
    if (firstFailed !== undefined) throw firstFailed.error;
  }

  #showStatus(): void {
    this.#context.status('ok', this.#counts);
  }
}

function closedError(): UnavailableError {
  return new UnavailableError('expected the rules to answer before the node was closed, got no answer', {
    code: 'closed',
  });
}

/** What `sluice check` says of the rules, each by itself. */
export function checkRules(config: Config, { jsonata }: CheckPorts): (() => unknown)[] {
  return [
    ...config.rules.flatMap((_rule, index) => [
      () => refuseSameName(config, index),
      () => compileRuleAt(config.rules, index, jsonata),
    ]),
    () => refuseOtherOutputs(config),
  ];
}

/** A rule's name is that of its count and of its errors. */
function refuseSameName({ rules }: Pick<Config, 'rules'>, index: number): void {
  const name = rules[index]?.name;
  if (rules.findIndex((rule) => rule.name === name) === index) return;
  const path = `/rules/${index}/name`;
  throw new ConfigError(`${path}: expected a name that no other rule has, got ${JSON.stringify(name)}`, {
    code: 'rule-name',
    path,
  });
}

/** The form keeps the number; by hand it is forgotten, and the editor then draws other outputs than there are. */
function refuseOtherOutputs(config: Pick<Config, 'rules' | 'outputs'>): void {
  const expected = errorOutput(config) + 1;
  if (config.outputs === expected) return;
  throw new ConfigError(
    `/outputs: expected ${expected} (one for each rule, one for no match, one for errors), got ${config.outputs}`,
    { code: 'outputs', path: '/outputs' },
  );
}
