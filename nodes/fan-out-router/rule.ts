import { ConfigError, describeValue, messageOf, RejectedError } from '../lib/errors.js';
import { compileExpression, type JsonataEngine } from '../lib/jsonata.js';
import type { Message } from '../lib/message.js';
import { compilePattern, type Pattern } from '../lib/pattern.js';
import { templateScope } from '../lib/scope.js';
import { compilePath } from '../lib/template.js';
import type { Condition as ConditionRow, Rule } from './config.js';

/**
 * Whether a message matches: at once, or with JSONata later.
 *
 * @throws RejectedError when it cannot be said, as `not-comparable`: a property is of a type that the comparison cannot take
 */
export type Predicate = (message: Message) => boolean | Promise<boolean>;
type Condition = (message: Message) => boolean;

/**
 * What a rule asks of a message beside its topic.
 *
 * @throws ConfigError with the path: `condition` for a value that the comparison cannot take, `jsonata` for an
 *   expression that is none
 */
export function compileRule(rule: Rule, path: string, jsonata: JsonataEngine): Predicate {
  return rule.match === 'jsonata' ? expression(rule, path, jsonata) : conditions(rule, rule.match, path);
}

function expression({ expression: text = '' }: Rule, path: string, jsonata: JsonataEngine): Predicate {
  return compileExpression(text, jsonata, `${path}/expression`);
}

function conditions({ conditions: rows }: Rule, match: 'all' | 'any', path: string): Condition {
  return combine(
    rows.map((row, index) => compileCondition(row, `${path}/conditions/${index}`)),
    match,
  );
}

function combine(predicates: readonly Condition[], match: 'all' | 'any'): Condition {
  const [only, ...more] = predicates;
  if (only === undefined) return () => true;
  if (more.length === 0) return only;
  return match === 'all'
    ? (message) => predicates.every((holds) => holds(message))
    : (message) => predicates.some((holds) => holds(message));
}

function compileCondition({ property, comparison, value: text = '' }: ConditionRow, place: string): Condition {
  const path = compilePath(property);
  const read: Read = property.startsWith('topic[') ? (message) => path(templateScope(message)) : path;
  const value = literal(text);
  switch (comparison) {
    case 'exists':
      return (message) => read(message) !== undefined;
    case 'missing':
      return (message) => read(message) === undefined;
    case 'eq':
      return (message) => read(message) === value;
    case 'ne':
      return (message) => {
        const actual = read(message);
        return actual !== undefined && actual !== value;
      };
    case 'in': {
      const values = new Set(text.split(',').map((part) => literal(part.trim())));
      return (message) => values.has(read(message));
    }
    case 'gt':
      return ordered(read, value, property, place, (a, b) => a > b);
    case 'ge':
      return ordered(read, value, property, place, (a, b) => a >= b);
    case 'lt':
      return ordered(read, value, property, place, (a, b) => a < b);
    case 'le':
      return ordered(read, value, property, place, (a, b) => a <= b);
    case 'contains':
      return contains(read, value, property);
    case 'starts':
      return textual(read, property, (actual) => actual.startsWith(asText(value)));
    case 'ends':
      return textual(read, property, (actual) => actual.endsWith(asText(value)));
    case 'matches': {
      const pattern = regex(text, place);
      return textual(read, property, (actual) => pattern.test(actual));
    }
  }
}

type Read = (message: Message) => unknown;

/** Numbers with numbers, texts with texts (by code point, as ISO dates are compared). A missing property does not match. */
function ordered(
  read: Read,
  value: unknown,
  property: string,
  path: string,
  holds: (a: number | string, b: number | string) => boolean,
): Condition {
  if (typeof value !== 'number' && typeof value !== 'string') {
    throw new ConfigError(`${path}/value: expected a number or a text to compare with, got ${describeValue(value)}`, {
      code: 'condition',
      path: `${path}/value`,
    });
  }
  return (message) => {
    const actual = read(message);
    if (actual === undefined) return false;
    if (typeof actual === typeof value) return holds(actual as number | string, value);
    throw notComparable(property, `a ${typeof value}`, actual);
  };
}

function textual(read: Read, property: string, holds: (actual: string) => boolean): Condition {
  return (message) => {
    const actual = read(message);
    if (actual === undefined) return false;
    if (typeof actual === 'string') return holds(actual);
    throw notComparable(property, 'a text', actual);
  };
}

function contains(read: Read, value: unknown, property: string): Condition {
  return (message) => {
    const actual = read(message);
    if (actual === undefined) return false;
    if (typeof actual === 'string') return actual.includes(asText(value));
    if (Array.isArray(actual)) return actual.includes(value);
    throw notComparable(property, 'a text or an array', actual);
  };
}

function notComparable(property: string, expected: string, actual: unknown): RejectedError {
  return new RejectedError(`${property}: expected ${expected}, got ${describeValue(actual)}`, {
    code: 'not-comparable',
  });
}

/** What was typed as a value: JSON's numbers, booleans, null and quoted texts; anything else is a text as it stands. */
function literal(text: string): unknown {
  if (!/^(?:-?\d|true$|false$|null$|")/.test(text)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // `2026-01-01`, `3rd floor`
  }
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function regex(source: string, path: string): Pattern {
  try {
    return compilePattern(source);
  } catch (error) {
    throw new ConfigError(`${path}/value: ${messageOf(error)}`, {
      code: 'condition',
      path: `${path}/value`,
      cause: error,
    });
  }
}
