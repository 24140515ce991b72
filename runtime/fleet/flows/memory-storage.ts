import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What Node-RED looks for packages in that flows ask for; its own storage makes one too. */
const PACKAGE = { name: 'node-red-project', description: 'A worker of a fleet', version: '0.0.1', private: true };

/**
 * A storage module for Node-RED (https://nodered.org/docs/api/storage/) that keeps nothing: a worker's flows come from the
 * fleet, and no file of its folder holds them or their credentials in clear.
 */
export function memoryStorage(userDir: string): Readonly<Record<string, unknown>> {
  const kept = { flows: [] as unknown, credentials: {} as unknown, settings: {} as unknown, sessions: {} as unknown };
  const get = (name: keyof typeof kept) => () => Promise.resolve(kept[name]);
  const save = (name: keyof typeof kept) => (value: unknown) => {
    kept[name] = value;
    return Promise.resolve();
  };
  return {
    init: () => {
      const file = join(userDir, 'package.json');
      if (!existsSync(file)) writeFileSync(file, JSON.stringify(PACKAGE, null, 2));
      return Promise.resolve();
    },
    getFlows: get('flows'),
    saveFlows: save('flows'),
    getCredentials: get('credentials'),
    saveCredentials: save('credentials'),
    getSettings: get('settings'),
    saveSettings: save('settings'),
    getSessions: get('sessions'),
    saveSessions: save('sessions'),
    getLibraryEntry: () => Promise.resolve([]),
    saveLibraryEntry: () =>
      Promise.reject(new Error('expected the library of the editor instance, got that of a worker')),
  };
}
