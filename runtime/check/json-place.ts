/** A place in a text, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
  /** The character there; undefined at the end of the text. */
  readonly character: string | undefined;
}

/** Numbers and words, as JSON writes them [RFC 8259]. */
const ATOM = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end' | 'nothing';

/**
 * Where a text that JSON.parse refuses stops being JSON. JSON.parse says it for some texts only, and repeats parts of
 * the text, which may be a secret.
 */
export function placeOfError(text: string): Place {
  const at = offsetOfError(text);
  const before = text.slice(0, at);
  const line = before.split('\n').length;
  const character = at < text.length ? String.fromCodePoint(text.codePointAt(at) ?? 0) : undefined;
  return { line, column: at - before.lastIndexOf('\n'), character };
}

function offsetOfError(text: string): number {
  const open: ('[' | '{')[] = [];
  let expected: Expected = 'value';
  let at = 0;
  for (;;) {
    while (' \t\n\r'.includes(text.charAt(at)) && at < text.length) at++;
    const char = text.charAt(at);
    const isValue: boolean = expected === 'value' || expected === 'value or ]';
    if (expected === 'nothing' || char === '') return at;
    if (char === '"' && (isValue || expected === 'name' || expected === 'name or }')) {
      const end = endOfString(text, at);
      if (end.isError) return end.at;
      at = end.at;
      expected = isValue ? afterValue(open) : ':';
    } else if ((char === '[' || char === '{') && isValue) {
      open.push(char);
      expected = char === '[' ? 'value or ]' : 'name or }';
      at++;
    } else if (closes(char, open.at(-1), expected)) {
      open.pop();
      expected = afterValue(open);
      at++;
    } else if (char === ':' && expected === ':') {
      expected = 'value';
      at++;
    } else if (char === ',' && expected === ', or end') {
      expected = open.at(-1) === '[' ? 'value' : 'name';
      at++;
    } else if (isValue) {
      ATOM.lastIndex = at;
      const atom = ATOM.exec(text)?.[0];
      if (atom === undefined) return at;
      at += atom.length;
      expected = afterValue(open);
    } else return at;
  }
}

function afterValue(open: readonly string[]): Expected {
  return open.length === 0 ? 'nothing' : ', or end';
}

function closes(char: string, open: string | undefined, expected: Expected): boolean {
  if (char === ']') return open === '[' && (expected === ', or end' || expected === 'value or ]');
  return char === '}' && open === '{' && (expected === ', or end' || expected === 'name or }');
}

function endOfString(text: string, start: number): { at: number; isError: boolean } {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '"') return { at: at + 1, isError: false };
    if (char < ' ') return { at, isError: true };
    if (char !== '\\') continue;
    ESCAPE.lastIndex = at;
    const escape = ESCAPE.exec(text)?.[0];
    if (escape === undefined) return { at, isError: true };
    at += escape.length - 1;
  }
  return { at: text.length, isError: true };
}
