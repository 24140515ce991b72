import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/** AES-256-GCM (NIST SP 800-38D): a nonce of 96 bits, a tag of 128. */
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** An HMAC-SHA256. */
const MAC_BYTES = 32;

/**
 * The keys of a fleet, each derived from its secret by HKDF-SHA256 (RFC 5869), with the fleet's name for salt and the
 * purpose for info. Every holder of the secret has all of them: who may join may deploy.
 */
export class FleetKeys {
  readonly #signing: Buffer;
  readonly #sealing: Buffer;

  constructor(secret: string, fleet: string) {
    const key = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', secret, fleet, `sluice ${purpose}`, 32));
    this.#signing = key('signing');
    this.#sealing = key('sealing');
  }

  /**
   * A message as it travels: the HMAC-SHA256 of its topic and body, then the body. With the topic in it, what was signed
   * for one place is nothing in another.
   */
  sign(topic: string, body: Uint8Array): Buffer {
    return Buffer.concat([this.#mac(topic, body), body]);
  }

  /** @returns the body, undefined where it was not signed for this topic by a holder of the secret */
  verify(topic: string, message: Buffer): Buffer | undefined {
    if (message.length < MAC_BYTES) return undefined;
    const body = message.subarray(MAC_BYTES);
    return timingSafeEqual(message.subarray(0, MAC_BYTES), this.#mac(topic, body)) ? body : undefined;
  }

  /** Encrypts and authenticates: nonce, tag, ciphertext. @param bound - what it belongs to; `open` must name the same */
  seal(plain: Uint8Array, bound: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#sealing, nonce);
    cipher.setAAD(Buffer.from(bound));
    const text = Buffer.concat([cipher.update(plain), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), text]);
  }

  /** @returns what was sealed, undefined where it was altered, bound to something else, or sealed with another secret */
  open(sealed: Buffer, bound: string): Buffer | undefined {
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv(CIPHER, this.#sealing, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(bound));
    decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    } catch {
      return undefined; // the tag does not fit
    }
  }

  #mac(topic: string, body: Uint8Array): Buffer {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(topic));
    return createHmac('sha256', this.#signing).update(length).update(topic).update(body).digest();
  }
}
