/**
 * MQTT topic names and topic filters, as MQTT 5.0 section 4.7 writes them.
 */

const MAX_BYTES = 65_535; // [MQTT-1.5.4]: a UTF-8 string carries its length in two bytes

/** What is wrong with a topic filter, as `expected …, got …`; undefined when nothing is. */
export function topicFilterProblem(filter: string): string | undefined {
  const common = stringProblem(filter, 'a topic filter');
  if (common !== undefined) return common;
  const levels = filter.split('/');
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) {
      return `expected # only as the whole last level [MQTT-4.7.1-1], got ${JSON.stringify(filter)}`;
    }
    if (level.includes('+') && level !== '+') {
      return `expected + only as a whole level [MQTT-4.7.1-2], got ${JSON.stringify(filter)}`;
    }
  }
  if (levels[0] === '$share') {
    return `expected the shared subscription's group in its own field, got ${JSON.stringify(filter)}`;
  }
  return undefined;
}

/** What is wrong with a topic name to publish to; undefined when nothing is. */
export function topicNameProblem(topic: string): string | undefined {
  const common = stringProblem(topic, 'a topic');
  if (common !== undefined) return common;
  if (/[+#]/.test(topic)) return `expected a topic without wildcards [MQTT-3.3.2-2], got ${JSON.stringify(topic)}`;
  return undefined;
}

/** What is wrong with the group of a shared subscription; undefined when nothing is. */
export function shareNameProblem(group: string): string | undefined {
  const common = stringProblem(group, 'a group');
  if (common !== undefined) return common;
  if (/[/+#]/.test(group)) return `expected a group without /, + or # [MQTT-4.8.2-2], got ${JSON.stringify(group)}`;
  return undefined;
}

function stringProblem(text: string, what: string): string | undefined {
  if (text === '') return `expected ${what} of at least one character [MQTT-4.7.3-1], got ""`;
  if (text.includes('\0')) return `expected ${what} without U+0000 [MQTT-4.7.3-2], got ${JSON.stringify(text)}`;
  if (!text.isWellFormed()) return `expected ${what} in Unicode [MQTT-1.5.4-1], got half a surrogate pair in it`;
  const bytes = new TextEncoder().encode(text).length; // the editor has no Buffer
  if (bytes > MAX_BYTES) return `expected ${what} of at most ${MAX_BYTES} bytes [MQTT-4.7.3-3], got ${bytes}`;
  return undefined;
}

/**
 * Whether a topic name matches a topic filter (MQTT 5.0 section 4.7). A filter that begins with a wildcard does not
 * match a topic that begins with `$` [MQTT-4.7.2-1].
 */
export function topicMatches(filter: string, topic: string): boolean {
  return compileTopicFilter(filter)(topic);
}

/** The same as `topicMatches`, with the work on the filter done once. */
export function compileTopicFilter(filter: string): (topic: string) => boolean {
  if (filter === '#') return (topic) => !topic.startsWith('$');
  if (!/[+#]/.test(filter)) return (topic) => topic === filter;
  const levels = filter.split('/');
  const open = levels.at(-1) === '#';
  if (open) levels.pop();
  const wildFirst = levels[0] === '+';
  return (topic) => {
    if (wildFirst && topic.startsWith('$')) return false;
    const names = topic.split('/');
    // `sport/#` also matches `sport` itself (section 4.7.1.2).
    if (open ? names.length < levels.length : names.length !== levels.length) return false;
    return levels.every((level, index) => level === '+' || level === names[index]);
  };
}
