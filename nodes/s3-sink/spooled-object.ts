/** How an object and its records stand in the spool, from where it is made up to be stored. */
import type { DeliveryTag } from '../lib/delivery/outcome.js';
import { messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { SpoolRecord } from '../lib/spool/record.js';
import type { Spool } from '../lib/spool/spool.js';
import type { Config } from './config.js';

/** All that its name and its bytes come from beside its records, so that other settings make no other object of it. */
export interface ObjectHead {
  readonly key: string;
  /** What a new key is made of where another object has this one. */
  readonly partition: string;
  readonly lines: Config['line'] | 'csv';
  /** The line that it begins with, without its end. */
  readonly head?: string | undefined;
  readonly compression: Config['compression'];
  /** A media type. */
  readonly contentType: string;
}

/** An object read back. */
export interface ObjectContents {
  readonly records: number;
  /** The earliest and the latest of its records, in milliseconds since 1970-01-01T00:00Z. */
  readonly firstTime: number;
  readonly lastTime: number;
  /** Uncompressed. */
  readonly bytes: Buffer;
  /** Of its records, one each. */
  readonly deliveries: readonly DeliveryTag[];
}

const PAGE = { records: 10_000, bytes: 4_194_304 };
const TIME_BYTES = 8;
const END_OF_LINE = Buffer.from('\n');

/** @param time - when it happened, in milliseconds since 1970-01-01T00:00Z. @param text - its line without the end */
export function encodeRecord(time: number, text: string): Uint8Array {
  const body = Buffer.allocUnsafe(TIME_BYTES + Buffer.byteLength(text));
  body.writeDoubleLE(time);
  body.write(text, TIME_BYTES);
  return body;
}

/** The identity that the spool knows a record by. @param place - has no line end */
export function encodeIdentity(place: string, identity: string): string {
  return `${place}\n${identity}`;
}

/** @throws RejectedError `spool-record` when it is none */
export function decodeHead(about: string | undefined): ObjectHead {
  try {
    return JSON.parse(about ?? '') as ObjectHead;
  } catch (error) {
    throw new RejectedError(`expected the head of an object in the spool, got: ${messageOf(error)}`, {
      code: 'spool-record',
      cause: error,
    });
  }
}

export async function readObject(spool: Spool, id: number, head: ObjectHead): Promise<ObjectContents> {
  const parts: Uint8Array[] = head.head === undefined ? [] : [Buffer.from(`${head.head}\n`)];
  const deliveries: DeliveryTag[] = [];
  let [records, firstTime, lastTime] = [0, Infinity, -Infinity];
  for await (const { body, delivery } of recordsOf(spool, id)) {
    const time = Buffer.from(body.buffer, body.byteOffset, body.byteLength).readDoubleLE();
    parts.push(body.subarray(TIME_BYTES), END_OF_LINE);
    firstTime = Math.min(firstTime, time);
    lastTime = Math.max(lastTime, time);
    if (delivery !== undefined) deliveries.push(delivery);
    records++;
  }
  return { records, firstTime, lastTime, bytes: Buffer.concat(parts), deliveries };
}

export async function* recordsOf(spool: Spool, id: number): AsyncGenerator<SpoolRecord> {
  for (let after: number | undefined = 0; after !== undefined;) {
    const page: SpoolRecord[] = await spool.readBundle(id, after, PAGE);
    yield* page;
    after = page.at(-1)?.seq;
  }
}

/** What the dead letters get of a record: its message, as far as its line tells it. */
export function spooledMessage({ body, identity, at }: SpoolRecord, lines: ObjectHead['lines'] | undefined): Message {
  const text = Buffer.from(body.subarray(TIME_BYTES)).toString();
  const known = {
    ...(identity !== undefined && { identity: identity.slice(identity.indexOf('\n') + 1) }),
    receivedAt: at,
  };
  if (lines === 'payload') return { ...known, payload: JSON.parse(text) as unknown };
  if (lines !== 'envelope') return { ...known, payload: text };
  const { payload, payloadEncoding, ...others } = JSON.parse(text) as Message;
  return {
    ...others,
    payload: payloadEncoding === 'base64' ? Buffer.from(String(payload), 'base64') : payload,
  };
}
