import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { bytesOf, FAULTS, messageOf, type Fault, type SimulatedMessage } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import type { Tally } from './tally.js';

const VERSION = 1;
const BUFFERED_CHARACTERS = 65_536;

/** A line of NDJSON for each message; the first says what the file is. */
export class ManifestFile {
  readonly #file: number;
  #buffered = '';

  /** @throws UserError when the file cannot be written */
  constructor(path: string, run: { readonly run: string; readonly seed: string }) {
    try {
      this.#file = openSync(path, 'w');
    } catch (error) {
      throw new UserError(`expected a file to write the manifest to, got ${messageOf(error)}`, { cause: error });
    }
    this.#line({ manifest: VERSION, ...run, startedAt: new Date().toISOString() });
  }

  /** @param published - whether the broker has answered */
  add({ messageId, seq, topic, payload, fault }: SimulatedMessage, published: boolean): void {
    const sha256 = createHash('sha256').update(bytesOf(payload)).digest('hex');
    this.#line({ id: messageId, seq, ...(fault !== undefined && { fault }), topic, published, sha256 });
  }

  close(): void {
    this.#flush();
    closeSync(this.#file);
  }

  #line(fields: object): void {
    this.#buffered += `${JSON.stringify(fields)}\n`;
    if (this.#buffered.length >= BUFFERED_CHARACTERS) this.#flush();
  }

  #flush(): void {
    for (let rest = Buffer.from(this.#buffered); rest.length > 0;) rest = rest.subarray(writeSync(this.#file, rest));
    this.#buffered = '';
  }
}

/** @throws UserError with the line that is none of a manifest */
export async function readManifest(path: string, tally: Tally): Promise<void> {
  let number = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      if (++number === 1) checkHead(line);
      else addLine(line, tally);
    }
  } catch (error) {
    if (error instanceof LineError) throw new UserError(`${path}:${number}: ${error.message}`, { cause: error });
    throw new UserError(`expected the manifest of a simulation, got ${messageOf(error)}`, { cause: error });
  }
  if (number === 0) throw new UserError(`${path}: expected the manifest of a simulation, got an empty file`);
}

class LineError extends Error {}

function checkHead(line: string): void {
  const { manifest } = objectOf(line);
  if (manifest !== VERSION) {
    throw new LineError(
      `expected a manifest of version ${VERSION}, got ${manifest === undefined ? 'another file' : JSON.stringify(manifest)}`,
    );
  }
}

function addLine(line: string, tally: Tally): void {
  const { id, fault, published } = objectOf(line);
  if (typeof id !== 'string' || typeof published !== 'boolean' || !(fault === undefined || isFault(fault))) {
    throw new LineError('expected {"id", "fault", "published"}, got another line');
  }
  tally.sent(id, fault, published);
}

function objectOf(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    throw new LineError(`expected JSON, got ${messageOf(error)}`, { cause: error });
  }
  throw new LineError('expected a JSON object, got another value');
}

function isFault(value: unknown): value is Fault {
  return (FAULTS as readonly unknown[]).includes(value);
}
