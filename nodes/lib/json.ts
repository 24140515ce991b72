import { messageOf, RejectedError } from './errors.js';
import { shownPointer } from './json-pointer.js';

/** MongoDB's limit for nested documents, too: https://www.mongodb.com/docs/manual/reference/limits/#bson-documents */
export const MOST_LEVELS = 100;
/** A number with fewer characters than this needs an exponent to come out as 0. */
const SHORTEST_UNDERFLOW = 324;

/**
 * JSON → value, where the value is what the text says. `JSON.parse` changes integers beyond 2^53 - 1 and numbers outside of
 * a double without a word, and makes a property `__proto__`, which code that copies properties takes for the prototype.
 *
 * Ordinary texts are parsed, and the value looked over; only one that may hold such a thing is read a second time.
 *
 * @param strict - also refuses what I-JSON forbids: a name that stands twice in one object, half of a surrogate pair
 *   [RFC 7493, section 2]
 * @throws RejectedError `invalid-json`, `too-deep`, `unsafe-integer`, `number-range`, `proto-name`; with `strict` also
 *   `duplicate-name`, `lone-surrogate`; with the place as a JSON Pointer in the sentence and in `details.path`
 */
export function parseJson(text: string, strict: boolean): unknown {
  const value = parsed(text);
  const doubts = typeof value === 'object' ? (value === null ? 0 : survey(value, 1)) : SUSPECT;
  if (doubts === 0 && !strict) return value;
  if ((doubts & SUSPECT) !== 0 || ((doubts & ZERO) !== 0 && mayUnderflow(text)) || (strict && mayHide(text, value))) {
    new Reader(text, strict).read();
  }
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RejectedError(`expected JSON, got ${text.length} characters that are not: ${messageOf(error)}`, {
      code: 'invalid-json',
      cause: error,
    });
  }
}

/** The value has a number or a name that may not be what the text says. */
const SUSPECT = 1;
/** The value has a 0, which a number that is too small becomes. */
const ZERO = 2;

/**
 * What speaks for a second reading, as bits. Once for every message: so a loop without calls for what is not nested.
 *
 * @throws RejectedError `too-deep`
 */
function survey(value: object, level: number): number {
  if (level > MOST_LEVELS) throw tooDeep();
  let doubts = 0;
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) {
      if (typeof item === 'number') doubts |= doubtOf(item);
      else if (typeof item === 'object' && item !== null) doubts |= survey(item, level + 1);
    }
    return doubts;
  }
  for (const name in value) {
    const item = (value as Record<string, unknown>)[name];
    if (typeof item === 'number') doubts |= doubtOf(item);
    else if (typeof item === 'object' && item !== null) doubts |= survey(item, level + 1);
    if (name === '__proto__') doubts |= SUSPECT;
  }
  return doubts;
}

function tooDeep(): RejectedError {
  return new RejectedError(`expected JSON with at most ${MOST_LEVELS} levels, got more`, { code: 'too-deep' });
}

function doubtOf(number: number): number {
  if (number === 0) return ZERO;
  return number > Number.MAX_SAFE_INTEGER || number < -Number.MAX_SAFE_INTEGER ? SUSPECT : 0;
}

function mayUnderflow(text: string): boolean {
  return text.includes('e-') || text.includes('E-') || text.length >= SHORTEST_UNDERFLOW;
}

/**
 * Whether a name may stand twice, or half of a surrogate pair be escaped. Each name has a colon behind it: where all other
 * colons stand in strings that were kept, no name was dropped.
 */
function mayHide(text: string, value: unknown): boolean {
  return text.includes('\\') || !text.isWellFormed() || count(text, ':') !== colonsOf(value);
}

/** The colons that a text without escapes has for a value: one a name, and those in names and strings. */
function colonsOf(value: unknown): number {
  if (typeof value === 'string') return count(value, ':');
  if (typeof value !== 'object' || value === null) return 0;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + colonsOf(item), 0);
  let colons = 0;
  for (const name in value) colons += 1 + count(name, ':') + colonsOf((value as Record<string, unknown>)[name]);
  return colons;
}

function count(text: string, character: string): number {
  let found = 0;
  for (let index = text.indexOf(character); index !== -1; index = text.indexOf(character, index + 1)) found++;
  return found;
}

interface Level {
  /** Of an object: the names so far. Of an array: undefined. */
  readonly names: Set<string> | undefined;
  /** The name or index of what is being read. */
  at: string | number;
}

/** Reads a text that is known to be JSON, of at most `MOST_LEVELS`, for what a parser would change or hide. */
class Reader {
  readonly #text: string;
  readonly #strict: boolean;
  readonly #levels: Level[] = [];
  #index = 0;

  constructor(text: string, strict: boolean) {
    this.#text = text;
    this.#strict = strict;
  }

  read(): void {
    while (this.#index < this.#text.length) {
      const level = this.#levels.at(-1);
      const character = this.#text.charAt(this.#index);
      if (character === '{') this.#enter({ names: new Set(), at: '' });
      else if (character === '[') this.#enter({ names: undefined, at: 0 });
      else if (character === '}' || character === ']') this.#leave();
      else if (character === '"') this.#readString(level);
      else if (character === '-' || (character >= '0' && character <= '9')) this.#readNumber();
      else {
        if (character === ',' && typeof level?.at === 'number') level.at++;
        this.#index++; // white space, punctuation, true, false, null
      }
    }
  }

  #enter(level: Level): void {
    this.#levels.push(level);
    this.#index++;
  }

  #leave(): void {
    this.#levels.pop();
    this.#index++;
  }

  #readString(level: Level | undefined): void {
    const start = this.#index;
    let end = start + 1;
    while (this.#text.charAt(end) !== '"') end += this.#text.charAt(end) === '\\' ? 2 : 1;
    this.#index = end + 1;
    const raw = this.#text.slice(start, end + 1);
    const decode = (): string => (raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1));
    if (level?.names !== undefined && this.#isName()) {
      level.at = decode();
      this.#checkName(level.at, level.names);
    }
    if (this.#strict && !decode().isWellFormed()) {
      throw this.#error('lone-surrogate', 'text in whole characters', 'half of a surrogate pair');
    }
  }

  /** Whether a colon follows: no value has one behind it. */
  #isName(): boolean {
    let index = this.#index;
    while (' \t\n\r'.includes(this.#text.charAt(index))) index++;
    return this.#text.charAt(index) === ':';
  }

  #checkName(name: string, names: Set<string>): void {
    if (name === '__proto__') throw this.#error('proto-name', 'no property of the name __proto__', 'one');
    if (this.#strict && names.has(name)) throw this.#error('duplicate-name', 'each name once', 'it twice');
    names.add(name);
  }

  #readNumber(): void {
    const start = this.#index;
    while (this.#index < this.#text.length && '+-.eE0123456789'.includes(this.#text.charAt(this.#index))) this.#index++;
    const literal = this.#text.slice(start, this.#index);
    const number = Number(literal);
    if (/^-?\d+$/.test(literal)) {
      if (!Number.isSafeInteger(number)) {
        throw this.#error('unsafe-integer', `an integer from -(2^53 - 1) to 2^53 - 1`, short(literal));
      }
    } else if (!Number.isFinite(number) || (number === 0 && /^[^eE]*[1-9]/.test(literal))) {
      throw this.#error('number-range', 'a number that a double holds', short(literal));
    }
  }

  #error(code: string, expected: string, got: string): RejectedError {
    const shown = shownPointer(this.#levels.map(({ at }) => at));
    return new RejectedError(`${shown || '/'}: expected ${expected}, got ${got}`, { code, details: { path: shown } });
  }
}

function short(literal: string): string {
  return literal.length <= 40 ? literal : `${literal.slice(0, 40)}… (${literal.length} characters)`;
}
