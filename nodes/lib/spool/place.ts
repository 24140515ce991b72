import { join } from 'node:path';

const SUFFIX = '.sqlite';

/** The folder of an instance's spools. */
export function spoolFolder(userDir: string): string {
  return join(userDir, 'sluice', 'spool');
}

/** The file of a node's spool. Ids are what a flow file says, so what is no letter, digit, `-` or `_` is percent-encoded. */
export function spoolFile(userDir: string, nodeId: string): string {
  const name = nodeId.replace(/[^A-Za-z0-9_-]/g, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  return join(spoolFolder(userDir), `${name}${SUFFIX}`);
}

/** The id of the node that a file of the folder is the spool of; undefined for any other file. */
export function spoolOwner(fileName: string): string | undefined {
  if (!fileName.endsWith(SUFFIX)) return undefined;
  try {
    return decodeURIComponent(fileName.slice(0, -SUFFIX.length));
  } catch {
    return undefined; // not a name that is given here
  }
}
