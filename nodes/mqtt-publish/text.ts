import { ConfigError, describeValue, RejectedError } from '../lib/errors.js';
import { compileTemplate } from '../lib/template.js';
import { topicNameProblem } from '../lib/topic.js';

/** The text of a field for one message; undefined where the form has none. */
type TextOf = (scope: object) => string | undefined;

/** Texts and binary data carry their length in two bytes (MQTT 5.0 sections 1.5.4 and 1.5.6). */
export const MAX_BYTES = 65_535;

/**
 * A template of the form.
 *
 * @param problemOf - what is wrong with a text that is the same for every message
 * @throws ConfigError `setting` for such a text
 */
export function compileText(
  text: string | undefined,
  field: string,
  problemOf?: (text: string) => string | undefined,
): TextOf {
  if (text === undefined) return () => undefined;
  const template = compileTemplate(text);
  const fixed = template.roots.length === 0 ? template.render({}) : undefined;
  const problem = fixed === undefined ? undefined : problemOf?.(fixed);
  if (problem !== undefined) throw new ConfigError(`/${field}: ${problem}`, { code: 'setting', path: `/${field}` });
  return (scope) => {
    const rendered = template.render(scope);
    if (rendered !== undefined) return rendered;
    throw new RejectedError(`expected a message with every field of ${text} (${field}), got one without`, {
      code: 'missing-field',
    });
  };
}

export function checkedTopic(topic: unknown, code: 'topic' | 'response-topic'): string {
  const problem = typeof topic === 'string' ? topicNameProblem(topic) : `expected a text, got ${describeValue(topic)}`;
  if (problem === undefined) return topic as string;
  throw new RejectedError(`${code === 'topic' ? 'topic' : 'response topic'}: ${problem}`, { code });
}

/** What is wrong with a text of MQTT (MQTT 5.0 section 1.5.4); undefined when nothing is. */
export function textProblem(text: string): string | undefined {
  if (text.includes('\0')) return 'expected a text without U+0000 [MQTT-1.5.4-2], got one with it';
  if (!text.isWellFormed()) return 'expected a text in Unicode [MQTT-1.5.4-1], got one with half a surrogate pair';
  const bytes = Buffer.byteLength(text);
  return bytes > MAX_BYTES ? `expected a text of at most ${MAX_BYTES} bytes, got ${bytes}` : undefined;
}
