import type { Behaviour } from '../adapter/define-node.js';
import { openObjectStore, type ObjectStore, type StoreCredentials } from './store.js';

/** One object store, shared by all nodes that name it. */
export class ObjectStoreConnection implements Behaviour {
  static readonly nodeType = 'object-store';
  readonly store: ObjectStore;

  /** @throws ConfigError as `openObjectStore` does */
  constructor(url: string, credentials: StoreCredentials) {
    this.store = openObjectStore(url, credentials);
  }

  close(): Promise<void> {
    this.store.close();
    return Promise.resolve();
  }
}
