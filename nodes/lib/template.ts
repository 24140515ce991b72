import { ConfigError } from './errors.js';
import { TopicLevels } from './scope.js';

/**
 * Templates are texts with fields in braces: `device/{uuid}`, `{payload.uuid}:{payload.seq}`, `{topic[0]}`.
 * A field is a path of names and indexes that reads own properties only, so no payload reaches a prototype.
 * `{{` and `}}` stand for the braces themselves.
 */
export interface Template {
  readonly text: string;
  /** The first name of each field, in the order of appearance: what the template needs of its scope. */
  readonly roots: readonly string[];
  /**
   * The text for one scope.
   *
   * @param encode - applied to each field's value, not to the fixed text
   * @returns undefined when a field is missing, null, empty, or not a string, number, boolean, bigint or Date
   */
  render(scope: object, encode?: (value: string) => string): string | undefined;
}

type Path = readonly (string | number)[];
type Part = string | Path;

/** @throws ConfigError `template` when a brace is not closed or a path is not one */
export function compileTemplate(text: string): Template {
  const parts = parseTemplate(text);
  const only = parts.length === 1 && typeof parts[0] === 'string' ? parts[0] : parts.length === 0 ? '' : undefined;
  return {
    text,
    roots: parts.filter((part) => typeof part !== 'string').map((path) => String(path[0])),
    render(scope, encode) {
      if (only !== undefined) return only;
      let out = '';
      for (const part of parts) {
        if (typeof part === 'string') {
          out += part;
          continue;
        }
        const value = fieldText(readPath(scope, part));
        if (value === undefined) return undefined;
        out += encode === undefined ? value : encode(value);
      }
      return out;
    },
  };
}

function parseTemplate(text: string): Part[] {
  const parts: Part[] = [];
  let fixed = '';
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index);
    if ((char === '{' || char === '}') && text.charAt(index + 1) === char) {
      fixed += char;
      index++;
    } else if (char === '{') {
      const end = text.indexOf('}', index);
      if (end === -1) throw invalid(text, `a } for the { at character ${index + 1}`);
      if (fixed !== '') parts.push(fixed);
      fixed = '';
      parts.push(parsePath(text.slice(index + 1, end), text));
      index = end;
    } else if (char === '}') {
      throw invalid(text, `a { before the } at character ${index + 1} (or }} for the character itself)`);
    } else {
      fixed += char;
    }
  }
  if (fixed !== '') parts.push(fixed);
  return parts;
}

/** Reads `payload.uuid`, `topic[0]`, `payload["a b"]` into its names and indexes. */
function parsePath(source: string, template?: string): Path {
  const path: (string | number)[] = [];
  const step = /(?:^|\.)([^.[\]{}"\s]+)|\[(\d+)\]|\["([^"]+)"\]/gy;
  while (step.lastIndex < source.length) {
    const match = step.exec(source);
    if (match === null) throw invalid(template ?? source, `a path such as payload.uuid or topic[0] in {${source}}`);
    if (match[2] !== undefined) path.push(Number(match[2]));
    else path.push(match[1] ?? match[3] ?? '');
  }
  if (path.length === 0) throw invalid(template ?? source, 'a field name between { and }');
  return path;
}

function invalid(text: string, expected: string): ConfigError {
  return new ConfigError(`expected ${expected}, got ${JSON.stringify(text)}`, { code: 'template' });
}

/** A compiled path: reads one value out of a scope by own properties only; undefined where it ends early. */
export function compilePath(source: string): (scope: unknown) => unknown {
  const path = parsePath(source);
  return (scope) => readPath(scope, path);
}

/** The names and indexes that a path goes through: for who writes where `compilePath` reads. */
export function pathSteps(source: string): readonly (string | number)[] {
  return parsePath(source);
}

function readPath(scope: unknown, path: Path): unknown {
  let value = scope;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    if (value instanceof TopicLevels) value = typeof step === 'number' ? value.level(step) : undefined;
    else if (Object.hasOwn(value, step)) value = (value as Record<string | number, unknown>)[step];
    else return undefined;
  }
  return value;
}

function fieldText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value === '' ? undefined : value;
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
      if (value instanceof TopicLevels) return fieldText(value.toString());
      return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : undefined;
  }
}
