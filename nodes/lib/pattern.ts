import { RE2JS } from '../bundled/re2js.js';
import { ConfigError, messageOf } from './errors.js';

/** A regular expression whose time grows with the length of the text, whatever the text is. */
export interface Pattern {
  readonly source: string;
  test(text: string): boolean;
  /** ajv tells patterns apart by it. */
  toString(): string;
  /** The first match at or after an index, as `RegExp.exec` gives it: its groups, the whole one first, and `index`. */
  find(text: string, from: number): PatternMatch | null;
}

export interface PatternMatch extends Array<string | undefined> {
  index: number;
}

/** What a pattern's own quantifiers may multiply its time by, for it to go to the engine of the language. */
const MOST_STEPS = 1_000;

/**
 * ECMAScript's engine backtracks: `^(a+)+$` takes time that doubles with each character. So it gets the patterns only
 * that `isPlain` is certain of, because it is sixteen times as fast on them; all others go to RE2, which has neither
 * look-around nor back-references.
 *
 * @param flags - `i` and `m` as in ECMAScript; `u` is what JSON Schema asks for
 * @throws ConfigError `pattern`, as `expected …, got …`
 */
export function compilePattern(source: string, flags = 'u'): Pattern {
  let native: RegExp;
  try {
    native = new RegExp(source, `${flags}g`);
  } catch (error) {
    throw refused(source, 'a regular expression', error);
  }
  if (isPlain(source)) return new PlainPattern(native);
  let re2: RE2JS;
  try {
    const options = (flags.includes('i') ? RE2JS.CASE_INSENSITIVE : 0) | (flags.includes('m') ? RE2JS.MULTILINE : 0);
    re2 = RE2JS.compile(RE2JS.translateRegExp(asRe2(source)), options);
  } catch (error) {
    throw refused(
      source,
      'a pattern that can be matched in linear time (no look-around, no back-reference, no repetition over 1,000)',
      error,
    );
  }
  return new Re2Pattern(source, flags, re2);
}

function refused(source: string, expected: string, cause: unknown): ConfigError {
  return new ConfigError(`expected ${expected}, got ${JSON.stringify(source)}: ${messageOf(cause)}`, {
    code: 'pattern',
    cause,
  });
}

class PlainPattern implements Pattern {
  readonly source: string;
  readonly #regex: RegExp;

  constructor(regex: RegExp) {
    this.source = regex.source;
    this.#regex = regex;
  }

  toString(): string {
    return String(this.#regex);
  }

  test(text: string): boolean {
    this.#regex.lastIndex = 0;
    return this.#regex.test(text);
  }

  find(text: string, from: number): PatternMatch | null {
    this.#regex.lastIndex = from;
    return this.#regex.exec(text);
  }
}

class Re2Pattern implements Pattern {
  readonly source: string;
  readonly #flags: string;
  readonly #re2: RE2JS;

  constructor(source: string, flags: string, re2: RE2JS) {
    this.source = source;
    this.#flags = flags;
    this.#re2 = re2;
  }

  toString(): string {
    return `/${this.source}/${this.#flags}`;
  }

  test(text: string): boolean {
    return this.#re2.test(text);
  }

  find(text: string, from: number): PatternMatch | null {
    const matcher = this.#re2.matcher(text);
    if (from > text.length || !matcher.find(from)) return null;
    const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? undefined);
    return Object.assign(groups, { index: matcher.start() });
  }
}

const ATOM = /\\[dDwWsStnrfv]|\\[^\w\s]|\[\^?(?:[^\]\\[]|\\[dDwWsStnrfv]|\\[^\w\s])+\]|[^\\()[\]{}|*+?^$]/y;
const QUANTIFIER = /(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/y;

/**
 * Whether a pattern is a plain row of characters and classes, without groups and alternatives, in which backtracking
 * cannot multiply: at most one `*` or `+`, and that only behind `^`; and few choices by all other quantifiers together.
 */
function isPlain(source: string): boolean {
  const start = source.startsWith('^') ? 1 : 0;
  const end = source.endsWith('$') && !source.endsWith('\\$') ? source.length - 1 : source.length;
  let unbounded = 0;
  let choices = 1;
  let length = 0;
  for (let at = start; at < end;) {
    ATOM.lastIndex = at;
    if (!ATOM.test(source) || ATOM.lastIndex > end) return false;
    at = ATOM.lastIndex;
    QUANTIFIER.lastIndex = at;
    const quantifier = QUANTIFIER.exec(source);
    if (quantifier === null) {
      length++;
      continue;
    }
    at = QUANTIFIER.lastIndex;
    const [text, least, comma, most] = quantifier;
    const minimum = least === undefined ? (text.startsWith('+') ? 1 : 0) : Number(least);
    const maximum =
      least === undefined
        ? text.startsWith('?')
          ? 1
          : Infinity
        : comma === undefined
          ? minimum
          : most === undefined || most === ''
            ? Infinity
            : Number(most);
    if (maximum === Infinity) unbounded++;
    else choices *= maximum - minimum + 1;
    length += maximum === Infinity ? minimum + 1 : maximum;
  }
  return unbounded <= start && choices * Math.max(length, 1) <= MOST_STEPS;
}

const SPACES = '\\t-\\r \\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff';
const OTHERS =
  '\\0-\\x08\\x0e-\\x1f!-\\u009f\\u00a1-\\u167f\\u1681-\\u1fff\\u200b-\\u2027\\u202a-\\u202e\\u2030-\\u205e\\u2060-\\u2fff\\u3001-\\ufefe\\uff00-\\u{10ffff}';

/** What RE2 reads otherwise than ECMAScript: `.` stops at four line ends, and `\s` is more than ASCII's. */
function asRe2(source: string): string {
  let inClass = false;
  return source.replace(/\\[\s\S]|[[\].]/g, (part) => {
    if (part === '[') inClass = true;
    else if (part === ']') inClass = false;
    else if (part === '.') return inClass ? part : '[^\\n\\r\\u2028\\u2029]';
    else if (part === '\\s') return inClass ? SPACES : `[${SPACES}]`;
    else if (part === '\\S') return inClass ? OTHERS : `[${OTHERS}]`;
    else if (part === '\\-') return '\\x2d';
    else if (part === '\\k') throw new Error('invalid escape sequence: `\\k`'); // RE2JS would take it for a k
    return part;
  });
}
