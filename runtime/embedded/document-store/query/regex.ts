/**
 * MongoDB's regular expressions are PCRE's; JavaScript's look alike and differ. What means the same is translated,
 * the rest is refused: JavaScript's `u` mode rejects what it does not know, where without it `\A` silently means `A`.
 */
import { CommandError, notImplemented } from '../errors.js';

/** Escapes that both read alike (with `u` and without PCRE's UCP). */
const SAME_ESCAPES = /^[dDwWbBnrtfpPx]$/;
/** PCRE's `\s` is ASCII, JavaScript's is Unicode's. */
const SPACE = '\\t-\\r ';
const SYNTAX_CHARACTER = /^[\^$\\.*+?()[\]{}|/]$/;

/** Throws BadValue for an expression that is none, NotImplemented for one that JavaScript reads differently. */
export function compileRegex(pattern: string, options: string): RegExp {
  const inline = /^\(\?([ims]+)\)/.exec(pattern);
  const body = inline === null ? pattern : pattern.slice(inline[0].length);
  const flags = new Set(options + (inline?.[1] ?? ''));
  for (const flag of flags) {
    if (!'imsu'.includes(flag)) throw notImplemented(`the regular expression option '${flag}'`);
  }
  try {
    return new RegExp(translate(body, flags), flags.has('i') ? 'iu' : 'u');
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(
      'BadValue',
      `Regular expression is invalid or not supported: /${pattern}/: ${String(error)}`,
    );
  }
}

/** The flags m and s are written out: JavaScript's also take \r, U+2028 and U+2029 for ends of lines, PCRE only \n. */
function translate(pattern: string, flags: ReadonlySet<string>): string {
  const start = flags.has('m') ? '(?<![^\\n])' : '^';
  const end = flags.has('m') ? '(?![^\\n])' : '(?=\\n?$)';
  const any = flags.has('s') ? '[^]' : '[^\\n]';
  let out = '';
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    if (character === '\\') {
      out += translateEscape(pattern.charAt(++at), inClass);
    } else if (inClass) {
      if (character === '[' && /^\[[:.=]/.test(pattern.slice(at))) throw notImplemented('a POSIX character class');
      inClass = character !== ']';
      out += character === '[' ? '\\[' : character;
    } else if (character === '[') {
      inClass = true;
      const negated = pattern.charAt(at + 1) === '^';
      if (negated) at++;
      // PCRE takes a `]` that comes first as itself, JavaScript as the end of an empty class.
      if (pattern.charAt(at + 1) === ']') throw notImplemented("a character class that begins with ']'");
      out += negated ? '[^' : '[';
    } else if (character === '^') out += start;
    else if (character === '$') out += end;
    else if (character === '.') out += any;
    else out += character;
  }
  return out;
}

function translateEscape(character: string, inClass: boolean): string {
  if (SAME_ESCAPES.test(character)) return `\\${character}`;
  if (character === 's') return inClass ? SPACE : `[${SPACE}]`;
  if (character === 'S' && !inClass) return `[^${SPACE}]`;
  if (character === '' || /[A-Za-z0-9]/.test(character))
    throw notImplemented(`the regular expression escape '\\${character}'`);
  if (inClass && /[-^]/.test(character)) return `\\${character}`;
  return SYNTAX_CHARACTER.test(character) ? `\\${character}` : character;
}
