import type { NodeContext } from '../adapter/define-node.js';
import { messageOf, RejectedError } from '../lib/errors.js';
import type { Spool } from '../lib/spool/spool.js';
import type { ObjectStore, PutOptions } from '../object-store/store.js';
import type { NodeSpool } from '../spooling/node-spool.js';
import type { Clock } from './clock.js';
import { COMPRESSIONS } from './compression.js';
import type { Config } from './config.js';
import { objectMetadata } from './metadata.js';
import type { ObjectKeys } from './object-keys.js';
import {
  decodeHead,
  type ObjectContents,
  type ObjectHead,
  readObject,
  recordsOf,
  spooledMessage,
} from './spooled-object.js';

export type StoringContext = Pick<
  NodeContext<Config, unknown>,
  'id' | 'name' | 'flow' | 'config' | 'instance' | 'counters' | 'log' | 'reject' | 'drained'
>;

interface Ports {
  readonly store: ObjectStore;
  readonly spool: NodeSpool;
  readonly keys: ObjectKeys;
  readonly clock: Clock;
}

/**
 * Stores objects that take no more records. An object is made of what is on disk, key and all, as often as it is tried: so
 * it has the same bytes under the same key also after a crash, and where an attempt was carried out of which nobody has
 * heard, the store finds it.
 */
export class Storing {
  readonly #context: StoringContext;
  readonly #ports: Ports;

  constructor(context: StoringContext, ports: Ports) {
    this.#context = context;
    this.#ports = ports;
  }

  /**
   * Resolves when the object is stored, or its records are where rejected ones go, and it has left the spool.
   *
   * @throws what is to be tried again
   */
  async store(id: number, signal: AbortSignal): Promise<void> {
    const spool = await this.#ports.spool.open();
    const about = await spool.takeBundle(id);
    let head: ObjectHead | undefined;
    try {
      head = decodeHead(about);
      const contents = await readObject(spool, id, head);
      const bytes = contents.records === 0 ? 0 : await this.#put(spool, id, head, contents, signal);
      const removed = await this.#ports.spool.persist(() => spool.removeBundle(id));
      if (removed && contents.records > 0) this.#count(contents, bytes); // else it is found stored later
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      await this.#reject(spool, id, head, error);
    }
  }

  /** @returns how many bytes it has there */
  async #put(
    spool: Spool,
    id: number,
    made: ObjectHead,
    contents: ObjectContents,
    signal: AbortSignal,
  ): Promise<number> {
    const { store, keys, clock } = this.#ports;
    const { config, counters, log } = this.#context;
    const body = await COMPRESSIONS[made.compression].compress(contents.bytes);
    const options: PutOptions = {
      contentType: made.contentType,
      metadata: objectMetadata(this.#context, contents),
      storageClass: config.storageClass,
      tags: Object.fromEntries(config.tags.map(({ name, value }) => [name, value])),
      signal,
    };
    for (let head = made; ;) {
      const outcome = await store.put(head.key, body, options);
      if (outcome === 'found') counters.add('found');
      if (outcome !== 'taken') return body.length;
      counters.add('key-taken');
      const renamed = { ...head, key: keys.newKey(head.partition, clock.now()) };
      // Before it is tried: after a crash it is looked for under this key.
      await spool.changeBundle(id, JSON.stringify(renamed));
      const { key } = head;
      log('warn', 'another object has the key of this one, which gets a new one', { key, newKey: renamed.key });
      head = renamed;
    }
  }

  #count({ records, deliveries }: ObjectContents, bytes: number): void {
    const { counters, drained } = this.#context;
    counters.add('stored', records);
    counters.add('drained', records);
    counters.add('objects');
    counters.add('bytes', bytes);
    for (const delivery of deliveries) drained(delivery, 'stored');
  }

  /** What the store will never take. Its identities are free: sent again by hand, they are not a second time. */
  async #reject(spool: Spool, id: number, head: ObjectHead | undefined, error: RejectedError): Promise<void> {
    const { reject, drained, log } = this.#context;
    log('error', 'an object will never be stored: its records are rejected', {
      key: head?.key ?? 'unknown',
      error: messageOf(error),
    });
    const ends: (() => void)[] = [];
    for await (const record of recordsOf(spool, id)) {
      const outcome = await reject(spooledMessage(record, head?.lines), error);
      const { delivery } = record;
      if (delivery !== undefined) ends.push(() => drained(delivery, outcome));
    }
    const removed = await this.#ports.spool.persist(() => spool.removeBundle(id, 'identities'));
    if (!removed) return;
    for (const end of ends) end();
  }
}
