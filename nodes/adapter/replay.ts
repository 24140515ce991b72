import {
  type DeadLetter,
  DeadLetters,
  type EncodedValue,
  decode,
  type LetterFilter,
  messageOfLetter,
} from '../lib/dead-letter.js';
import { ConfigError, messageOf } from '../lib/errors.js';
import type { Deliveries } from './deliveries.js';
import type { RunningNode } from './instance.js';
import { partOf } from './part.js';
import type { Red } from './red.js';
import { atMost } from './waiting.js';

export interface ReplayPorts {
  readonly red: Pick<Red, 'nodes'>;
  readonly deliveries: Deliveries;
  readonly lastResort: DeadLetters;
  /** Our nodes that are part of the running flows. */
  nodes(): Iterable<RunningNode>;
}

/** What `POST /sluice/dead-letters/replay` answers. */
export interface ReplayReport {
  /** Whose messages are settled: stored, or a dead letter again. */
  readonly replayed: readonly string[];
  /** Whose messages are still under way. They are marked when they are settled. */
  readonly pending: readonly string[];
  /** Why the others were not replayed, by letter. */
  readonly refused: Readonly<Record<string, string>>;
}

/** In the ledger, where what is replayed comes from. */
const SOURCE = 'dead-letters';
const MOST_AT_ONCE = 1_000;
const ANSWER_MS = 3_000;

/** Dead letters of this instance, wherever they are kept, and the way back into the node that failed. */
export class Replay {
  readonly #ports: ReplayPorts;

  constructor(ports: ReplayPorts) {
    this.#ports = ports;
    ports.deliveries.configure(SOURCE, { flow: { id: SOURCE, name: 'replayed dead letters' } });
  }

  /** The last letters that a filter finds, the newest first. @throws UnavailableError */
  async find(filter: LetterFilter, count: number): Promise<DeadLetter[]> {
    const found = await Promise.all(this.#stores().map((store) => store.find(filter, count)));
    // Two queues may keep their letters in one folder.
    const byId = new Map(found.flat().map((letter) => [letter.id, letter]));
    return [...byId.values()].sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, count);
  }

  /**
   * Gives the messages of letters to the nodes that failed, each as a delivery of its own: a letter is marked when that is
   * settled.
   *
   * @param payloads - what takes the place of the payload, by letter
   * @throws ConfigError for too many at once
   */
  async replay(ids: readonly string[], payloads: Readonly<Record<string, EncodedValue>>): Promise<ReplayReport> {
    if (ids.length === 0 || ids.length > MOST_AT_ONCE) {
      throw new ConfigError(`ids: expected 1 to ${MOST_AT_ONCE} letters, got ${ids.length}`, { code: 'replay' });
    }
    const found = new Map((await this.find({ ids, replayed: true }, ids.length)).map((letter) => [letter.id, letter]));
    const replayed: string[] = [];
    const refused: Record<string, string> = {};
    const under = new Map<string, Promise<void>>();
    for (const id of new Set(ids)) {
      try {
        const settled = this.#send(id, found.get(id), payloads[id]).then(async () => {
          await Promise.all(this.#stores().map((store) => store.markReplayed([id])));
          replayed.push(id);
        });
        under.set(id, settled);
      } catch (error) {
        refused[id] = messageOf(error);
      }
    }
    await atMost(ANSWER_MS, Promise.allSettled(under.values()));
    const pending = [...under.keys()].filter((id) => !replayed.includes(id));
    return { replayed, pending, refused };
  }

  /** @throws ConfigError when it cannot be replayed */
  #send(id: string, letter: DeadLetter | undefined, payload: EncodedValue | undefined): Promise<void> {
    if (letter === undefined)
      throw new ConfigError(`expected a dead letter, got none with the id ${id}`, { code: 'no-letter' });
    const { red, deliveries } = this.#ports;
    const { node: failed } = letter;
    const node = red.nodes.getNode(failed.id);
    if (node === null || node === undefined) {
      throw new ConfigError(
        `expected ${failed.type} "${failed.name}" (${failed.id}) in the flows, got flows without it: deploy it again`,
        { code: 'node-gone' },
      );
    }
    const part = partOf(node);
    if (part !== undefined && part.behaviour?.input === undefined) {
      throw new ConfigError(`expected a node that takes messages, got ${failed.type} "${failed.name}"`, {
        code: 'no-input',
      });
    }
    const message = messageOfLetter(letter);
    if (payload !== undefined) message.payload = decode(payload);
    return deliveries.replay(SOURCE, message, node);
  }

  #stores(): DeadLetters[] {
    const queues = [...this.#ports.nodes()].flatMap(({ behaviour }) =>
      behaviour instanceof DeadLetters ? [behaviour] : [],
    );
    return [...queues, this.#ports.lastResort];
  }
}
