/** One level of the filters: what follows it by name, by `+`, and what ends here, or with `#` below here. */
interface Level<T> {
  readonly named: Map<string, Level<T>>;
  any: Level<T> | undefined;
  readonly here: T[];
  readonly below: T[];
}

/**
 * Topic filters by their levels, as brokers keep them: to find those that match a topic takes as long as it has levels, and
 * not as long as there are filters. Matches as `topicMatches` (MQTT 5.0 section 4.7).
 */
export class TopicTree<T> {
  readonly #root = level<T>();

  add(filter: string, value: T): void {
    let at = this.#root;
    for (const name of filter.split('/')) {
      if (name === '#') {
        at.below.push(value);
        return;
      }
      at = next(at, name);
    }
    at.here.push(value);
  }

  /** Of the filters that match a topic, what was added with them, in no order. */
  matching(topic: string): T[] {
    const found: T[] = [];
    const names = topic.split('/');
    // A filter that begins with a wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1].
    if (topic.startsWith('$')) collect(this.#root.named.get(names[0] ?? ''), names, 1, found);
    else collect(this.#root, names, 0, found);
    return found;
  }
}

function level<T>(): Level<T> {
  return { named: new Map(), any: undefined, here: [], below: [] };
}

function next<T>(at: Level<T>, name: string): Level<T> {
  if (name === '+') return (at.any ??= level());
  let found = at.named.get(name);
  if (found === undefined) at.named.set(name, (found = level()));
  return found;
}

function collect<T>(at: Level<T> | undefined, names: readonly string[], depth: number, found: T[]): void {
  if (at === undefined) return;
  // `sport/#` also matches `sport` itself (section 4.7.1.2).
  found.push(...at.below);
  const name = names[depth];
  if (name === undefined) {
    found.push(...at.here);
    return;
  }
  collect(at.named.get(name), names, depth + 1, found);
  collect(at.any, names, depth + 1, found);
}
