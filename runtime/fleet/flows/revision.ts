import { createHash } from 'node:crypto';
import type { FleetKeys } from '../keys.js';
import type { FlowDocument } from './document.js';
import { nodesIn } from './document.js';

/** What is published last: workers take a revision by it. */
export interface Manifest {
  readonly version: typeof VERSION;
  readonly revision: number;
  readonly author: string;
  /** ISO 8601. */
  readonly time: string;
  readonly nodes: number;
  /** Of all chunks together, in bytes. */
  readonly size: number;
  /** The SHA-256 of each chunk, base64url. */
  readonly chunks: readonly string[];
  readonly rollbackOf?: number;
}

/** A revision as it is published and kept: its document sealed for the fleet and this number, in pieces. */
export interface Revision {
  readonly manifest: Manifest;
  readonly chunks: readonly Buffer[];
}

const VERSION = 1 as const;
/** Far beyond any flow: what a worker would keep in memory. */
const MOST_BYTES = 256 * 1024 * 1024;
const HASH = /^[\w-]{43}$/;

/** Thrown for a manifest or a document that is not one; says what was expected. */
export class UnreadableRevision extends Error {}

/** Seals a document as a revision. @param chunkBytes - the most that fits into one packet */
export function makeRevision(
  keys: FleetKeys,
  about: Pick<Manifest, 'revision' | 'author' | 'time' | 'rollbackOf'>,
  document: FlowDocument,
  chunkBytes: number,
): Revision {
  const sealed = keys.seal(Buffer.from(JSON.stringify(document)), boundTo(about.revision));
  const chunks = cut(sealed, Math.ceil(sealed.length / chunkBytes));
  const { length: size } = sealed;
  const manifest: Manifest = {
    version: VERSION,
    ...about,
    nodes: nodesIn(document.flows),
    size,
    chunks: chunks.map(hashOf),
  };
  return { manifest, chunks };
}

/** Cuts into pieces of one size; the last may be shorter. */
export function cut(sealed: Buffer, count: number): Buffer[] {
  const bytes = Math.ceil(sealed.length / count);
  const chunks: Buffer[] = [];
  for (let start = 0; start < sealed.length; start += bytes) chunks.push(sealed.subarray(start, start + bytes));
  return chunks;
}

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(JSON.stringify(manifest));
}

/** @throws UnreadableRevision */
export function decodeManifest(body: Buffer): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    throw new UnreadableRevision('expected a manifest, got no JSON');
  }
  const { version, revision, author, time, nodes, size, chunks, rollbackOf } = (value ?? {}) as Record<string, unknown>;
  if (version !== VERSION) {
    throw new UnreadableRevision(
      `expected a manifest of version ${VERSION}, got ${JSON.stringify(version)}: give all members the same Sluice`,
    );
  }
  if (
    !isCount(revision) ||
    !isCount(nodes) ||
    !isCount(size) ||
    size > MOST_BYTES ||
    typeof author !== 'string' ||
    typeof time !== 'string' ||
    !Array.isArray(chunks) ||
    !chunks.every((chunk): chunk is string => typeof chunk === 'string' && HASH.test(chunk))
  ) {
    throw new UnreadableRevision('expected a manifest with its revision, author, time, size and hashes, got another');
  }
  return { version, revision, author, time, nodes, size, chunks, ...(isCount(rollbackOf) && { rollbackOf }) };
}

/** @throws UnreadableRevision when the chunks are not those that the manifest names */
export function openRevision(keys: FleetKeys, { manifest, chunks }: Revision): FlowDocument {
  if (chunks.length !== manifest.chunks.length || !chunks.every((chunk, index) => isChunk(manifest, index, chunk))) {
    throw new UnreadableRevision('expected the chunks that the manifest names, got others');
  }
  const sealed = Buffer.concat(chunks);
  if (sealed.length !== manifest.size) {
    throw new UnreadableRevision(`expected ${manifest.size} bytes, got ${sealed.length}`);
  }
  const plain = keys.open(sealed, boundTo(manifest.revision));
  if (plain === undefined) throw new UnreadableRevision('expected flows sealed for this revision, got others');
  return JSON.parse(plain.toString()) as FlowDocument;
}

export function isChunk(manifest: Manifest, index: number, chunk: Buffer): boolean {
  return hashOf(chunk) === manifest.chunks[index];
}

/** Whether both stand for the very same bytes. */
export function isSame(one: Manifest, other: Manifest): boolean {
  return one.revision === other.revision && one.chunks.join() === other.chunks.join();
}

/** As sentences name it. */
export function named({ revision, author }: Pick<Manifest, 'revision' | 'author'>): string {
  return `revision ${revision} by ${author}`;
}

/** The fleet's name is in the key. */
function boundTo(revision: number): string {
  return `flow ${revision}`;
}

function hashOf(chunk: Buffer): string {
  return createHash('sha256').update(chunk).digest('base64url');
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
