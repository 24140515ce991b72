import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, describeValue, messageOf } from '../lib/errors.js';
import type { Config, Credentials } from './config.js';

/** What a TLS connection is made with. */
export interface Tls {
  /** In the words of `tls.connect`. */
  readonly options: {
    readonly rejectUnauthorized: boolean;
    readonly servername?: string;
    readonly ca?: string[];
    readonly cert?: string;
    readonly key?: string;
  };
  /** Our own certificate, where there is one: for sentences. */
  readonly certificate: X509Certificate | undefined;
}

type TlsConfig = Pick<Config, 'ca' | 'certificate' | 'serverName' | 'verify'>;
type TlsCredentials = Pick<Credentials, 'key' | 'passphrase'>;

const BEGIN = /-----BEGIN ([A-Z0-9 ]+)-----/g;
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g;

/**
 * Reads certificates and key, and finds out now what a connection would say in words of OpenSSL. undefined for a URL
 * without TLS.
 *
 * @throws ConfigError `tls` with the field, never with what a key or a passphrase is
 */
export function readTls(url: string, config: TlsConfig, { key, passphrase }: TlsCredentials): Tls | undefined {
  if (!isTls(url)) {
    for (const [path, value] of Object.entries({ ca: config.ca, certificate: config.certificate, key })) {
      if (value !== undefined) throw useless(`/${path}`);
    }
    return undefined;
  }
  const ca = config.ca === undefined ? undefined : readCertificates(config.ca, '/ca');
  const identity = readIdentity(config.certificate, key, passphrase);
  return {
    options: {
      rejectUnauthorized: config.verify,
      ...(config.serverName !== undefined && { servername: config.serverName }),
      ...(ca !== undefined && { ca: ca.map(String) }),
      ...(identity !== undefined && { cert: identity.cert, key: identity.key }),
    },
    certificate: identity?.certificate,
  };
}

/** What `sluice check` says of each certificate, without the key. A file may be there only where the flow runs. */
export function checkTls(config: Config): (() => unknown)[] {
  return (['ca', 'certificate'] as const).map((field) => () => {
    const text = config[field];
    if (text === undefined) return;
    if (!isTls(config.url)) throw useless(`/${field}`);
    try {
      readCertificates(text, `/${field}`);
    } catch (error) {
      if ((error as { cause?: NodeJS.ErrnoException }).cause?.code !== 'ENOENT') throw error;
    }
  });
}

function isTls(url: string): boolean {
  return /^(mqtts|wss):/i.test(url);
}

function useless(path: string): ConfigError {
  return invalid(path, 'a URL with mqtts:// or wss:// to use it for', 'one without TLS');
}

function readIdentity(
  certificateText?: string,
  keyText?: string,
  passphrase?: string,
): { cert: string; key: string; certificate: X509Certificate } | undefined {
  if (certificateText === undefined && keyText === undefined) return undefined;
  if (certificateText === undefined) throw invalid('/certificate', 'the certificate of the key', 'nothing');
  const chain = readCertificates(certificateText, '/certificate');
  if (keyText === undefined) throw invalid('/key', 'the private key of the certificate', 'nothing');
  const key = readKey(keyText, passphrase);
  const certificate = chain[0];
  if (!certificate.checkPrivateKey(key)) {
    const subject = certificate.subject.replaceAll('\n', ', ');
    throw invalid('/key', `the private key of the certificate (${subject})`, 'another one');
  }
  return {
    cert: chain.map(String).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate,
  };
}

function readCertificates(text: string, path: string): [X509Certificate, ...X509Certificate[]] {
  const { pem, source } = readPem(text, path, describeValue(text));
  const [first, ...others] = [...pem.matchAll(BLOCK)].map(([block, label = '']) => {
    if (!label.endsWith('CERTIFICATE')) throw invalid(path, 'certificates', `${source} with a ${label}`);
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw invalid(path, 'certificates', `${source} with one that cannot be read (${messageOf(error)})`, error);
    }
  });
  if (first === undefined) {
    throw invalid(path, 'certificates in PEM (-----BEGIN CERTIFICATE-----)', `${source} without one`);
  }
  return [first, ...others];
}

/** Its sentences repeat nothing of what was typed: it may be the key itself. */
function readKey(text: string, passphrase: string | undefined): KeyObject {
  const { pem, source } = readPem(text, '/key', 'a text that is neither');
  const labels = [...pem.matchAll(BEGIN)].map(([, label = '']) => label);
  if (!labels.some((label) => label.endsWith('PRIVATE KEY'))) {
    const got = labels.length === 0 ? 'without one' : `with a ${labels.join(', ')}`;
    throw invalid('/key', 'a private key in PEM (-----BEGIN PRIVATE KEY-----)', `${source} ${got}`);
  }
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) });
  } catch (error) {
    if (!/ENCRYPTED/.test(pem)) throw invalid('/key', 'a private key', `${source} with one that cannot be read`, error);
    if (passphrase === undefined) throw invalid('/passphrase', 'the passphrase of the key', 'nothing', error);
    throw invalid('/passphrase', 'the passphrase of the key', 'one that does not open it', error);
  }
}

/** PEM as it is, or of the file that a field names. */
function readPem(text: string, path: string, got: string): { pem: string; source: string } {
  if (text.includes('-----BEGIN ')) return { pem: withLineBreaks(text), source: 'a text' };
  const file = text.startsWith('file:') ? fileOf(text, path) : text;
  if (!isAbsolute(file)) throw invalid(path, 'a text in PEM, or the absolute path of a file', got);
  try {
    return { pem: readFileSync(file, 'utf8'), source: `a file (${file})` };
  } catch (error) {
    throw invalid(path, 'a file that can be read', messageOf(error), error);
  }
}

function fileOf(url: string, path: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw invalid(path, 'file:/// and a path', 'a URL that names no file of this machine', error);
  }
}

/** A form field of one line and many a variable of the environment lose the line breaks, which OpenSSL asks for. */
function withLineBreaks(pem: string): string {
  const text = pem.replaceAll('\\n', '\n');
  if (text.trim().includes('\n')) return text;
  return text.replace(BLOCK, (_block, label: string, body: string) => {
    const lines = body.trim().replaceAll(/\s+/g, '\n');
    return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
  });
}

function invalid(path: string, expected: string, got: string, cause?: unknown): ConfigError {
  return new ConfigError(`${path}: expected ${expected}, got ${got}`, { code: 'tls', path, cause });
}
