import { createHash, randomBytes } from 'node:crypto';

/** The MQTT 5 user property that carries a message's identity. */
export const MESSAGE_ID = 'message-id';

/** A UUIDv7: 48 bits of Unix time in milliseconds, then random bits (RFC 9562, section 5.7). */
export function uuidv7(nowMs: number): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  return format(bytes, 7);
}

/** A UUIDv5: the same for the same namespace and name (RFC 9562, section 5.5). */
export function uuidv5(namespace: Buffer, name: string): string {
  return format(createHash('sha1').update(namespace).update(name).digest().subarray(0, 16), 5);
}

function format(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
