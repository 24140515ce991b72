import type { Behaviour } from '../adapter/define-node.js';
import type { Config, Credentials } from './config.js';
import { openObjectStore, type ObjectStore } from './store.js';

/** One object store, shared by all nodes that name it. */
export class ObjectStoreConnection implements Behaviour {
  static readonly nodeType = 'object-store';
  readonly store: ObjectStore;

  /** @throws ConfigError as `openObjectStore` does */
  constructor(config: Config, credentials: Credentials) {
    this.store = openObjectStore(config.url, credentials, config);
  }

  close(): Promise<void> {
    this.store.close();
    return Promise.resolve();
  }
}
