import { RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import type { SpoolRecord } from '../lib/spool/record.js';
import type { Publication, PublishProperties } from '../sluice-mqtt-broker/outbox.js';

/** What stands before the payload. */
type Head = Pick<Publication, 'topic' | 'qos' | 'retain'> & {
  readonly properties: Omit<PublishProperties, 'correlationData'> & { readonly correlationData?: string };
};

const LENGTH_BYTES = 4;

/** A publication as the body of a record: the length of its head, the head as JSON, and the payload as it is. */
export function encodePublication({ topic, qos, retain, payload, properties = {} }: Publication): Uint8Array {
  const { correlationData, ...others } = properties;
  const head: Head = {
    topic,
    qos,
    retain,
    properties: {
      ...others,
      ...(correlationData !== undefined && { correlationData: correlationData.toString('base64') }),
    },
  };
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, typeof payload === 'string' ? Buffer.from(payload) : payload]);
}

/** @throws RejectedError `spool-record` for a body that is not one of these */
export function decodePublication({ body }: SpoolRecord): Publication {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  try {
    const start = LENGTH_BYTES + bytes.readUInt32LE();
    const { properties, ...head } = JSON.parse(bytes.toString('utf8', LENGTH_BYTES, start)) as Head;
    const { correlationData, ...others } = properties;
    return {
      ...head,
      payload: bytes.subarray(start),
      properties: {
        ...others,
        ...(correlationData !== undefined && { correlationData: Buffer.from(correlationData, 'base64') }),
      },
    };
  } catch (error) {
    throw new RejectedError('expected a publication in the spool, got something else', {
      code: 'spool-record',
      cause: error,
    });
  }
}

/** What the dead letters get of it: what would have been published. */
export function spooledMessage(record: SpoolRecord): Message {
  const { topic, qos, retain, payload, properties = {} } = decodePublication(record);
  const { identity, at } = record;
  return { topic, payload, qos, retain, ...properties, ...(identity !== undefined && { identity }), receivedAt: at };
}
