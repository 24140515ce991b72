import { messageOf, RejectedError } from '../lib/errors.js';
import type { JsonataEngine } from '../lib/jsonata.js';
import type { Message } from '../lib/message.js';
import { TopicTree } from '../lib/topic-tree.js';
import type { Rule } from './config.js';
import { compileRule, type Predicate } from './rule.js';

export interface CompiledRule {
  readonly name: string;
  /** Among the rules, from 0. */
  readonly place: number;
  readonly enabled: boolean;
  /** A topic filter; undefined for every message, with a topic or without. */
  readonly topic: string | undefined;
  /** What it asks beside that. */
  readonly holds: Predicate;
}

/** Whether a rule matches a message, or why that cannot be said. */
export type Verdict = boolean | RejectedError;

/** @throws ConfigError with the path */
export function compileRules(rules: readonly Rule[], jsonata: JsonataEngine): CompiledRule[] {
  return rules.map(({ name, enabled, topic }, place) => ({
    name,
    place,
    enabled,
    topic,
    holds: compileRuleAt(rules, place, jsonata),
  }));
}

/** Finds the rules that the topic of a message is for, however many there are for others. */
export class RulesByTopic {
  readonly #rules: readonly CompiledRule[];
  readonly #always: readonly CompiledRule[];
  readonly #byTopic = new TopicTree<CompiledRule>();

  constructor(rules: readonly CompiledRule[]) {
    this.#rules = rules;
    this.#always = rules.filter(({ topic }) => topic === undefined);
    for (const rule of rules) if (rule.topic !== undefined) this.#byTopic.add(rule.topic, rule);
  }

  /** In their order. */
  for({ topic }: Message): readonly CompiledRule[] {
    if (this.#always.length === this.#rules.length || typeof topic !== 'string') return this.#always;
    const found = this.#byTopic.matching(topic);
    if (this.#always.length > 0) found.push(...this.#always);
    return found.length > 1 ? found.sort((one, other) => one.place - other.place) : found;
  }
}

/** @throws ConfigError with the path */
export function compileRuleAt(rules: readonly Rule[], index: number, jsonata: JsonataEngine): Predicate {
  const rule = rules[index];
  if (rule === undefined) throw new RangeError(`expected one of ${rules.length} rules, got the place ${index}`);
  return compileRule(rule, `/rules/${index}`, jsonata);
}

/** What becomes of one message. */
export class Decision {
  /** The rules that it goes to, by their places. */
  readonly taken: number[] = [];
  /** The rules that failed on it. */
  readonly failed: { readonly rule: string; readonly error: RejectedError }[] = [];
  /** The first rule that would have taken it, were it on. */
  switchedOff: string | undefined;

  get isUnmatched(): boolean {
    return this.taken.length === 0 && this.failed.length === 0 && this.switchedOff === undefined;
  }
}

/**
 * Asks rules whose topic fits in their order: at once, as far as they answer at once. A rule that is off is asked only about a
 * message that no other has taken: to say that it is the reason.
 */
export function decide(rules: readonly CompiledRule[], first: boolean, message: Message): Decision | Promise<Decision> {
  const decision = new Decision();
  const on = ask(rules, message, true, (rule, verdict) => {
    if (verdict instanceof RejectedError) decision.failed.push({ rule: rule.name, error: verdict });
    else if (verdict) decision.taken.push(rule.place);
    return first && verdict === true;
  });
  const off = (): Decision | Promise<Decision> => {
    if (!decision.isUnmatched) return decision;
    const asked = ask(rules, message, false, ({ name }, verdict) => {
      if (verdict === true) decision.switchedOff = name;
      return verdict === true;
    });
    return asked === undefined ? decision : asked.then(() => decision);
  };
  return on === undefined ? off() : on.then(off);
}

/** @param note - takes a verdict; true ends it */
function ask(
  rules: readonly CompiledRule[],
  message: Message,
  enabled: boolean,
  note: (rule: CompiledRule, verdict: Verdict) => boolean,
  from = 0,
): Promise<void> | undefined {
  for (let index = from; index < rules.length; index++) {
    const rule = rules[index];
    if (rule === undefined || rule.enabled !== enabled) continue;
    const verdict = verdictOf(rule, message);
    if (verdict instanceof Promise) {
      return verdict.then((answer) => (note(rule, answer) ? undefined : ask(rules, message, enabled, note, index + 1)));
    }
    if (note(rule, verdict)) return undefined;
  }
  return undefined;
}

/** What a rule says of a message with a topic that fits; it does not throw. */
export function verdictOf({ name, holds }: CompiledRule, message: Message): Verdict | Promise<Verdict> {
  try {
    const answer = holds(message);
    return answer instanceof Promise ? answer.catch((error: unknown) => ruleError(name, error)) : answer;
  } catch (error) {
    return ruleError(name, error);
  }
}

function ruleError(rule: string, error: unknown): RejectedError {
  const code = error instanceof RejectedError ? error.code : 'rule-failed';
  return new RejectedError(`rule "${rule}": ${messageOf(error)}`, { code, cause: error, details: { rule } });
}
