import { messageOf, RejectedError } from '../lib/errors.js';
import type { JsonataEngine } from '../lib/jsonata.js';
import type { Message } from '../lib/message.js';
import type { Rule } from './config.js';
import { compileRule, type Predicate } from './rule.js';

export interface CompiledRule {
  readonly name: string;
  readonly enabled: boolean;
  readonly matches: Predicate;
}

/** Whether a rule matches a message, or why that cannot be said. */
export type Verdict = boolean | RejectedError;

/** @throws ConfigError with the path */
export function compileRules(rules: readonly Rule[], jsonata: JsonataEngine): CompiledRule[] {
  return rules.map((rule, index) => ({
    name: rule.name,
    enabled: rule.enabled,
    matches: compileRuleAt(rules, index, jsonata),
  }));
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
 * Asks the rules in their order: at once, as far as they answer at once. A rule that is off is asked only about a
 * message that no other has taken: to say that it is the reason.
 */
export function decide(rules: readonly CompiledRule[], first: boolean, message: Message): Decision | Promise<Decision> {
  const decision = new Decision();
  const on = ask(rules, message, true, (rule, index, verdict) => {
    if (verdict instanceof RejectedError) decision.failed.push({ rule: rule.name, error: verdict });
    else if (verdict) decision.taken.push(index);
    return first && verdict === true;
  });
  const off = (): Decision | Promise<Decision> => {
    if (!decision.isUnmatched) return decision;
    const asked = ask(rules, message, false, ({ name }, _index, verdict) => {
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
  note: (rule: CompiledRule, index: number, verdict: Verdict) => boolean,
  from = 0,
): Promise<void> | undefined {
  for (let index = from; index < rules.length; index++) {
    const rule = rules[index];
    if (rule === undefined || rule.enabled !== enabled) continue;
    const verdict = verdictOf(rule, message);
    if (verdict instanceof Promise) {
      return verdict.then((answer) =>
        note(rule, index, answer) ? undefined : ask(rules, message, enabled, note, index + 1),
      );
    }
    if (note(rule, index, verdict)) return undefined;
  }
  return undefined;
}

/** What a rule says of a message; it does not throw. */
export function verdictOf({ name, matches }: CompiledRule, message: Message): Verdict | Promise<Verdict> {
  try {
    const answer = matches(message);
    return answer instanceof Promise ? answer.catch((error: unknown) => ruleError(name, error)) : answer;
  } catch (error) {
    return ruleError(name, error);
  }
}

function ruleError(rule: string, error: unknown): RejectedError {
  const code = error instanceof RejectedError ? error.code : 'rule-failed';
  return new RejectedError(`rule "${rule}": ${messageOf(error)}`, { code, cause: error, details: { rule } });
}
