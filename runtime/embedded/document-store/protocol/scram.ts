/** The server's side of SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), as MongoDB has them. */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { CommandError } from '../errors.js';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** MongoDB's defaults (`scramIterationCount`, `scramSHA256IterationCount`). */
const MECHANISMS = {
  'SCRAM-SHA-1': { hash: 'sha1', bytes: 20, iterations: 10_000, password: digestedPassword },
  'SCRAM-SHA-256': { hash: 'sha256', bytes: 32, iterations: 15_000, password: preparedPassword },
} as const;

type Mechanism = (typeof MECHANISMS)[keyof typeof MECHANISMS];

export const MECHANISM_NAMES = Object.keys(MECHANISMS);

/** What a server keeps for a user: the password itself is not in it (RFC 5802, section 3). */
interface StoredKeys {
  readonly mechanism: Mechanism;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export interface Step {
  readonly payload: string;
  /** The client is who it says. */
  readonly verified: boolean;
}

/** The one user of a store. */
export class Authenticator {
  readonly user: string;
  readonly #keys: ReadonlyMap<string, StoredKeys>;

  constructor(credentials: Credentials) {
    this.user = credentials.user;
    this.#keys = new Map(Object.entries(MECHANISMS).map(([name, mechanism]) => [name, derive(mechanism, credentials)]));
  }

  /** The first step of a conversation. Throws AuthenticationFailed. */
  start(mechanism: string, payload: string): { step: Step; conversation: Conversation } {
    const keys = this.#keys.get(mechanism);
    if (keys === undefined) {
      throw new CommandError(
        'AuthenticationFailed',
        `the mechanism ${mechanism} is not one of ${MECHANISM_NAMES.join(', ')}`,
      );
    }
    // RFC 5802, section 7: gs2-header without channel binding, then user and nonce.
    const match = /^(n|y),[^,]*,(n=([^,]*),r=([^,]+))$/.exec(payload);
    if (match === null) throw failed();
    const [, binding = '', bare = '', name = '', clientNonce = ''] = match;
    if (name.replaceAll('=2C', ',').replaceAll('=3D', '=') !== this.user) throw failed();
    const nonce = clientNonce + randomBytes(24).toString('base64');
    const first = `r=${nonce},s=${keys.salt.toString('base64')},i=${keys.mechanism.iterations}`;
    const gs2Header = payload.slice(0, payload.length - bare.length);
    const conversation = new Conversation(keys, `${bare},${first}`, nonce, binding === '' ? '' : gs2Header);
    return { step: { payload: first, verified: false }, conversation };
  }
}

export class Conversation {
  constructor(
    readonly keys: StoredKeys,
    readonly messages: string,
    readonly nonce: string,
    readonly gs2Header: string,
  ) {}

  /** The client's proof, answered with the server's. Throws AuthenticationFailed. */
  finish(payload: string): Step {
    const match = /^(c=([^,]*),r=([^,]*)),p=([^,]*)$/.exec(payload);
    if (match === null) throw failed();
    const [, withoutProof = '', header = '', nonce = '', proof = ''] = match;
    if (nonce !== this.nonce || Buffer.from(header, 'base64').toString() !== this.gs2Header) throw failed();
    const { mechanism, storedKey, serverKey } = this.keys;
    const signed = `${this.messages},${withoutProof}`;
    const signature = hmac(mechanism, storedKey, signed);
    const clientKey = Buffer.from(proof, 'base64');
    if (clientKey.length !== signature.length) throw failed();
    for (const [index, byte] of signature.entries()) clientKey[index] = (clientKey[index] ?? 0) ^ byte;
    if (!timingSafeEqual(digest(mechanism, clientKey), storedKey)) throw failed();
    return { payload: `v=${hmac(mechanism, serverKey, signed).toString('base64')}`, verified: true };
  }
}

/** One sentence for whatever was wrong: it does not tell whether the user exists. */
function failed(): CommandError {
  return new CommandError('AuthenticationFailed', 'Authentication failed.');
}

function derive(mechanism: Mechanism, credentials: Credentials): StoredKeys {
  // RFC 5802 leaves the length open; MongoDB's is that of the hash, less the four bytes that PBKDF2 adds.
  const salt = randomBytes(mechanism.bytes - 4);
  const password = mechanism.password(credentials);
  const salted = pbkdf2Sync(password, salt, mechanism.iterations, mechanism.bytes, mechanism.hash);
  const clientKey = hmac(mechanism, salted, 'Client Key');
  return { mechanism, salt, storedKey: digest(mechanism, clientKey), serverKey: hmac(mechanism, salted, 'Server Key') };
}

function hmac(mechanism: Mechanism, key: Buffer, text: string): Buffer {
  return createHmac(mechanism.hash, key).update(text).digest();
}

function digest(mechanism: Mechanism, bytes: Buffer): Buffer {
  return createHash(mechanism.hash).update(bytes).digest();
}

/** MongoDB's SCRAM-SHA-1 takes for a password what its older mechanism (MONGODB-CR) stored. */
function digestedPassword({ user, password }: Credentials): string {
  return createHash('md5').update(`${user}:mongo:${password}`).digest('hex');
}

/** SASLprep (RFC 4013, section 2): spaces mapped to one, what is commonly mapped to nothing left out, then NFKC. */
function preparedPassword({ password }: Credentials): string {
  return password
    .replace(/[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/gu, ' ')
    .replace(/\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/gu, '')
    .normalize('NFKC');
}
