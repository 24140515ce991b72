import { open } from 'node:fs/promises';

/** Makes new names in a folder durable: fsync of a file holds its bytes, not its name. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return; // a folder cannot be opened there; NTFS journals the new name
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
