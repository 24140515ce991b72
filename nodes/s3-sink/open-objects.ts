import type { Clock } from './clock.js';
import type { Config } from './config.js';
import type { OpenObject } from './open-object.js';

const MAX_OPEN = 64;

interface Partition {
  readonly object: OpenObject;
  readonly cancelRoll: () => void;
}

interface Ports {
  readonly config: Pick<Config, 'maxRecords' | 'maxBytes' | 'maxAgeSeconds' | 'spoolMaxBytes'>;
  readonly clock: Clock;
  /** @throws RejectedError `key` */
  begin(partition: string): OpenObject;
  /** An object takes no records any more, and is to be stored. */
  rolled(object: OpenObject): void;
}

/** The open objects of a sink, one a partition, and when they end. */
export class OpenObjects {
  readonly #ports: Ports;
  /** By partition, the oldest first. */
  readonly #open = new Map<string, Partition>();

  constructor(ports: Ports) {
    this.#ports = ports;
  }

  /**
   * The open object of a partition, with room for so many bytes more.
   *
   * @throws RejectedError `key`, and leaves all others as they are
   */
  withRoom(partition: string, bytes: number): OpenObject {
    const { config, clock } = this.#ports;
    const open = this.#open.get(partition)?.object;
    if (open !== undefined) {
      if (open.bytes + bytes <= config.maxBytes) return open;
      this.#roll(partition);
    }
    const object = this.#ports.begin(partition);
    if (this.#open.size >= MAX_OPEN) this.#rollOldest();
    const cancelRoll = clock.later(() => this.#roll(partition), config.maxAgeSeconds * 1_000);
    this.#open.set(partition, { object, cancelRoll });
    return object;
  }

  /** Ends what is full; and where many open objects take half of the spool, the oldest of them, which would fill it up. */
  rollFull(partition: string): void {
    const { maxRecords, maxBytes, spoolMaxBytes } = this.#ports.config;
    const object = this.#open.get(partition)?.object;
    if (object !== undefined && (object.records >= maxRecords || object.bytes >= maxBytes)) this.#roll(partition);
    while (this.#spoolBytes() > spoolMaxBytes / 2) this.#rollOldest();
  }

  rollAll(): void {
    while (this.#open.size > 0) this.#rollOldest();
  }

  #spoolBytes(): number {
    let bytes = 0;
    for (const { object } of this.#open.values()) bytes += object.spoolBytes;
    return bytes;
  }

  #rollOldest(): void {
    const [partition] = this.#open.keys();
    if (partition !== undefined) this.#roll(partition);
  }

  #roll(partition: string): void {
    const rolled = this.#open.get(partition);
    if (rolled === undefined) return;
    this.#open.delete(partition);
    rolled.cancelRoll();
    this.#ports.rolled(rolled.object);
  }
}
