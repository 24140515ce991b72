/**
 * Topic aliases of what goes out on one connection (MQTT 5.0 section 3.3.2.3.4): a topic goes once with a number, and then
 * as the number. When the server's numbers are used up, the topic that was used longest ago gives its own away.
 *
 * Not those of mqtt.js: it keeps them in an object, so that the topic `constructor` has an alias from the start.
 */
export class TopicAliases {
  readonly #maximum: number;
  /** The least recently used first. */
  readonly #aliases = new Map<string, number>();

  /** @param maximum - the server's topicAliasMaximum; 0: it takes none */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** What PUBLISH carries for a topic. The server must be given the packets in the order of these calls. */
  use(topic: string): { topic: string; topicAlias?: number } {
    if (this.#maximum === 0) return { topic };
    const known = this.#aliases.get(topic);
    if (known !== undefined) {
      this.#aliases.delete(topic);
      this.#aliases.set(topic, known);
      return { topic: '', topicAlias: known };
    }
    const topicAlias = this.#vacant();
    this.#aliases.set(topic, topicAlias);
    return { topic, topicAlias };
  }

  #vacant(): number {
    const [oldest] = this.#aliases;
    if (oldest === undefined || this.#aliases.size < this.#maximum) return this.#aliases.size + 1;
    this.#aliases.delete(oldest[0]);
    return oldest[1];
  }
}
