import { decoded } from './split-user.js';

/** Query options of a connection string whose values are secrets. */
const SECRET_OPTIONS = ['tlsCertificateKeyFilePassword', 'proxyPassword', 'authMechanismProperties'];

const HIDDEN = '***';

/**
 * Hides the secrets of one connection in any sentence: its password, as it is and percent-encoded, secret options, and
 * the user part of every URI.
 */
export function redactor(uri: string, password = ''): (text: string) => string {
  const secrets = new Set<string>();
  const add = (secret: string): void => {
    for (const form of [secret, decoded(secret), encodeURIComponent(decoded(secret))])
      if (form !== '') secrets.add(form);
  };
  add(password);
  add(passwordOf(uri));
  for (const name of SECRET_OPTIONS) {
    for (const match of uri.matchAll(new RegExp(`[?&]${name}=([^&]*)`, 'gi'))) add(match[1] ?? '');
  }
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length);
  return (text) => {
    let out = text;
    for (const secret of longestFirst) out = out.replaceAll(secret, HIDDEN);
    return out.replace(/(mongodb(?:\+srv)?:\/\/)[^\s"']*@/gi, `$1${HIDDEN}@`);
  };
}

/** A connection string without user and password: up to the last @, whatever was not encoded before it. */
export function withoutUser(uri: string): string {
  const start = uri.indexOf('://') + 3;
  return uri.slice(0, start) + uri.slice(Math.max(start, uri.lastIndexOf('@') + 1));
}

function passwordOf(uri: string): string {
  const start = uri.indexOf('://') + 3;
  const user = uri.slice(start, Math.max(start, uri.lastIndexOf('@')));
  const colon = user.indexOf(':');
  return colon === -1 ? '' : user.slice(colon + 1);
}
