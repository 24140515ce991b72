/** The servers that the MongoDB nodes are tested against: the one that Sluice brings, and one that is not ours. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DocumentStoreOptions, startDocumentStore } from '../../runtime/embedded/document-store/server.js';
import { startFerretDB } from './ferretdb.js';
import type { TestServer } from './server.js';

export const mongoServers: readonly { name: string; start: () => Promise<TestServer> }[] = [
  { name: 'the embedded document store', start: () => startEmbeddedStore() },
  { name: 'FerretDB', start: startFerretDB },
];

/** A document store that can be stopped and started again, with the same port and files. */
export interface EmbeddedStore extends TestServer {
  halt(): Promise<void>;
  restart(): Promise<void>;
}

export async function startEmbeddedStore(
  options: Omit<DocumentStoreOptions, 'directory' | 'port'> = {},
): Promise<EmbeddedStore> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-store-'));
  let store = await startDocumentStore({ ...options, directory, port: 0 });
  const { port } = store;
  return {
    url: `mongodb://127.0.0.1:${port}/`,
    halt: () => store.stop(),
    restart: async () => {
      store = await startDocumentStore({ ...options, directory, port });
    },
    stop: async () => {
      await store.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
