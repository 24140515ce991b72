import { ConfigError, describeValue, RejectedError } from './errors.js';
import type { Message } from './message.js';
import { compilePattern, type Pattern, type PatternMatch } from './pattern.js';

/** Makes an expression of a text. @throws what JSONata says of it: an object with `message` and `position` */
export type JsonataEngine = (text: string) => JsonataExpression;

/** An expression of JSONata 2, bound to what evaluates it: Node-RED's runtime, or the editor's page. */
export interface JsonataExpression {
  assign(name: string | symbol, value: unknown): void;
  /** Its parts: among them the regular expressions, as RegExp. */
  ast(): unknown;
  evaluate(message: Message): Promise<unknown>;
}

/** The part of JSONata's environment that its hook sees. */
interface Environment {
  readonly base: { readonly depth: number; RegexEngine: unknown };
}

const MOST_LEVELS = 500;
const MOST_MILLISECONDS = 1_000;

/**
 * A condition in JSONata. What is true matches; what is false, or nothing, does not; anything else is an error, because
 * a text or a number was hardly meant as a condition.
 *
 * @returns the condition, which rejects with a RejectedError `jsonata`, `jsonata-result`, or `jsonata-limit`: JSONata
 *   has no end of its own to a recursion or a loop
 * @throws ConfigError `jsonata` with the position
 */
export function compileExpression(
  text: string,
  engine: JsonataEngine,
  path: string,
): (message: Message) => Promise<boolean> {
  let expression: JsonataExpression;
  let patterns: ReadonlyMap<RegExp, Pattern>;
  try {
    expression = engine(text);
    patterns = new Map(regexesIn(expression.ast()).map((regex) => [regex, linear(regex)]));
  } catch (error) {
    const { message, position } = sentenceOf(error);
    throw new ConfigError(
      `${path}: expected a JSONata expression, got ${describeValue(text)}: ${message}${position === undefined ? '' : ` (character ${position})`}`,
      { code: 'jsonata', path, cause: error },
    );
  }
  /** What JSONata uses of a RegExp, in linear time. */
  class RegexEngine {
    lastIndex = 0;
    readonly #pattern: Pattern;

    constructor(regex: RegExp) {
      this.#pattern = patterns.get(regex) ?? linear(regex);
    }

    exec(text: string): PatternMatch | null {
      const match = this.#pattern.find(text, this.lastIndex);
      this.lastIndex = match === null ? 0 : match.index + (match[0]?.length ?? 0);
      return match;
    }
  }

  let deadline = Infinity;
  // The hooks that JSONata has for it (https://github.com/jsonata-js/jsonata, test/run-test-suite.js, "timeboxExpression").
  expression.assign(
    Symbol.for('jsonata.__evaluate_entry'),
    (_part: unknown, _input: unknown, { base }: Environment) => {
      base.RegexEngine = RegexEngine;
      if (base.depth > MOST_LEVELS) throw limit(`at most ${MOST_LEVELS} levels of evaluation`);
      if (performance.now() > deadline) throw limit(`an answer within ${MOST_MILLISECONDS} ms`);
    },
  );

  return async (message) => {
    deadline = performance.now() + MOST_MILLISECONDS;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(limit(`an answer within ${MOST_MILLISECONDS} ms`)), MOST_MILLISECONDS);
    let result: unknown;
    try {
      result = await Promise.race([expression.evaluate(message), late.promise]);
    } catch (error) {
      if (error instanceof RejectedError) throw error;
      throw new RejectedError(sentenceOf(error).message, { code: 'jsonata', cause: error });
    } finally {
      clearTimeout(timer);
    }
    if (result === undefined || typeof result === 'boolean') return result === true;
    throw new RejectedError(
      `expected true, false or nothing, got ${describeValue(result)}: $boolean() makes a condition of any value`,
      { code: 'jsonata-result' },
    );
  };
}

function limit(expected: string): RejectedError {
  return new RejectedError(`expected ${expected}, got none`, { code: 'jsonata-limit' });
}

function sentenceOf(error: unknown): { message: string; position: number | undefined } {
  const { message, position } = (typeof error === 'object' && error !== null ? error : {}) as {
    message?: unknown;
    position?: unknown;
  };
  return {
    message: typeof message === 'string' ? message : String(error),
    position: typeof position === 'number' ? position : undefined,
  };
}

function linear({ source, flags }: RegExp): Pattern {
  return compilePattern(source, flags.replace('g', ''));
}

function regexesIn(part: unknown, seen = new Set<unknown>()): RegExp[] {
  if (typeof part !== 'object' || part === null || seen.has(part)) return [];
  seen.add(part);
  return part instanceof RegExp ? [part] : Object.values(part).flatMap((inner) => regexesIn(inner, seen));
}
