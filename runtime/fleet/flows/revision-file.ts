import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { FleetKeys } from '../keys.js';
import { cut, decodeManifest, encodeManifest, UnreadableRevision, type Revision } from './revision.js';

/** What a file is signed for: no message on a topic is a file. */
const PLACE = 'file';

/**
 * Writes a revision to a file of its owner's: signed, its document sealed as it travels. A file that is there is
 * replaced as a whole, or not at all.
 */
export function writeRevision(path: string, keys: FleetKeys, { manifest, chunks }: Revision): void {
  const head = encodeManifest(manifest);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  const next = `${path}.next`;
  const file = openSync(next, 'w', 0o600);
  try {
    writeFileSync(file, keys.sign(PLACE, Buffer.concat([length, head, ...chunks])));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, path);
}

/** @throws UnreadableRevision for a file that was not written by a holder of the secret, or was altered since */
export function readRevision(path: string, keys: FleetKeys): Revision {
  const body = keys.verify(PLACE, readFileSync(path));
  if (body === undefined) throw new UnreadableRevision(`expected ${path} as this fleet has written it, got another`);
  const start = 4 + body.readUInt32BE(0);
  const manifest = decodeManifest(body.subarray(4, start));
  return { manifest, chunks: cut(body.subarray(start), manifest.chunks.length) };
}
