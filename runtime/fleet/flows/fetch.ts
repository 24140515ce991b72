import { isChunk, named, type Manifest, type Revision } from './revision.js';
import type { FleetBus } from './bus.js';

/** What becomes of a fetch. All of it may be called several times but `complete`. */
export interface FetchListener {
  complete(revision: Revision): void;
  /** A chunk is not what it should be, or not all of them came in time. It goes on waiting. */
  refused(reason: 'forged' | 'truncated', sentence: string): void;
}

const LIMIT_MS = 10_000;

/** Gets the chunks of a revision. */
export class Fetch {
  readonly manifest: Manifest;
  readonly #chunks = new Map<number, Buffer>();
  readonly #listener: FetchListener;
  readonly #unsubscribe: () => void;
  readonly #late: NodeJS.Timeout;

  constructor(bus: FleetBus, manifest: Manifest, listener: FetchListener) {
    this.manifest = manifest;
    this.#listener = listener;
    this.#late = setTimeout(() => {
      const { length } = manifest.chunks;
      const missing = length - this.#chunks.size;
      listener.refused(
        'truncated',
        `expected ${length} chunks of ${named(manifest)} within ${LIMIT_MS / 1_000} s, got ${length - missing}`,
      );
    }, LIMIT_MS);
    this.#unsubscribe = bus.subscribe(bus.topics.chunks(manifest.revision), (topic, body, raw) => {
      // An empty one takes a chunk from the broker [MQTT-3.3.1-6].
      if (raw.length > 0) this.#received(topic, body);
    });
  }

  end(): void {
    clearTimeout(this.#late);
    this.#unsubscribe();
  }

  #received(topic: string, body: Buffer | undefined): void {
    const index = Number(topic.slice(topic.lastIndexOf('/') + 1));
    const { manifest } = this;
    if (body === undefined) {
      this.#listener.refused(
        'forged',
        `expected chunk ${index} of ${named(manifest)} signed with the fleet's secret for its place, got another message`,
      );
      return;
    }
    if (!isChunk(manifest, index, body)) {
      this.#listener.refused(
        'truncated',
        `expected chunk ${index} of ${named(manifest)} as its manifest names it, got another`,
      );
      return;
    }
    this.#chunks.set(index, body);
    if (this.#chunks.size < manifest.chunks.length) return;
    this.end();
    this.#listener.complete({
      manifest,
      chunks: manifest.chunks.map((_hash, at) => this.#chunks.get(at) ?? Buffer.alloc(0)),
    });
  }
}
