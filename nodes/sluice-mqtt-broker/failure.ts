/** Why there is no connection, in a sentence that says what to do. */
import { messageOf } from '../lib/errors.js';
import type { Tls } from './tls.js';

interface Attempt {
  /** Without user and password. */
  readonly url: string;
  readonly version: 4 | 5;
  readonly tls: Tls | undefined;
  /** Whether the broker had accepted the connection. */
  readonly connected: boolean;
}

/** CONNACK codes that refuse the version: 3.1.1's 1, which a 3.1.1 broker also answers to version 5, and 5's 0x84. */
const UNSUPPORTED_VERSION = new Set([0x01, 0x84]);

export function isUnsupportedVersion(error: Error): boolean {
  const code = codeOf(error);
  return typeof code === 'number' && UNSUPPORTED_VERSION.has(code);
}

/** @param error - what mqtt.js or the stream said; undefined: nothing, the connection was closed */
export function failureSentence(error: Error | undefined, attempt: Attempt): string {
  if (error === undefined) return closedSentence(attempt);
  const code = codeOf(error);
  // With a number once there is a connection: mqtt.js itself has ended it, for what the broker sent.
  if (typeof code === 'number') return attempt.connected ? messageOf(error) : refusalSentence(code, error, attempt);
  return (
    networkSentence(code, error, attempt) ??
    certificateSentence(code, error, attempt) ??
    handshakeSentence(code, error, attempt) ??
    protocolSentence(code, error, attempt) ??
    messageOf(error)
  );
}

/** CONNACK said no. */
function refusalSentence(code: number, error: Error, { version }: Attempt): string {
  if (UNSUPPORTED_VERSION.has(code)) {
    return `the broker refuses MQTT ${version === 5 ? '5' : '3.1.1'}: choose another protocol`;
  }
  switch (code) {
    case 0x02: // 3.1.1
    case 0x85:
      return `the broker refuses the client id (${error.message}): choose another one`;
    case 0x04: // 3.1.1
    case 0x05: // 3.1.1
    case 0x86:
    case 0x87:
      return `the broker refuses the user or password (${error.message}): check both, and what the user may do`;
    case 0x8a:
      return `the broker has banned this client (${error.message}): ask whoever runs it`;
    case 0x9c:
    case 0x9d:
      return `the broker asks for another server (${error.message}): change the URL`;
    default:
      return `the broker refuses the connection (${error.message})`;
  }
}

function networkSentence(code: string | undefined, error: Error, { url }: Attempt): string | undefined {
  const { hostname, host } = new URL(url);
  switch (code) {
    case 'ECONNREFUSED':
      return `nothing listens at ${host}: check host and port, and that the broker runs (${messageOf(error)})`;
    case 'ENOTFOUND':
      return `the name ${hostname} does not resolve: check the host in the URL (${messageOf(error)})`;
    case 'EAI_AGAIN':
      return `the name service does not answer for ${hostname}: check the network (${messageOf(error)})`;
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EHOSTDOWN':
    case 'ETIMEDOUT':
      return `${host} cannot be reached: check the network and its firewalls (${messageOf(error)})`;
    default:
      return undefined;
  }
}

/** We do not take the broker's certificate. */
function certificateSentence(code: string | undefined, error: Error, { url, tls }: Attempt): string | undefined {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return 'the certificate of the broker has expired: renew it there, or check the clock of this machine';
    case 'CERT_NOT_YET_VALID':
      return 'the certificate of the broker is not valid yet: check the clock of this machine, and that of who made it';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'the certificate of the broker is signed by itself: where it is to be trusted, make it the CA certificate';
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'the certificate of the broker is signed by an authority that is not known here: set its CA certificate';
    case 'CERT_SIGNATURE_FAILURE':
      return 'the certificate of the broker is not signed by the CA certificate that is set, but by one of its name';
    case 'CERT_REVOKED':
      return 'the certificate of the broker has been revoked: it needs a new one';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `the certificate of the broker is not for ${tls?.options.servername ?? new URL(url).hostname}: connect by a name that it has, or set the server name (${messageOf(error)})`;
    default:
      return undefined;
  }
}

/** TLS failed for another reason: the broker does not take our certificate, or does not speak TLS. */
function handshakeSentence(code: string | undefined, error: Error, attempt: Attempt): string | undefined {
  const { certificate } = attempt.tls ?? {};
  const { host } = new URL(attempt.url);
  if (code !== undefined && /^ERR_SSL_.*ALERT/.test(code)) {
    if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code) && certificate === undefined) {
      return `the broker asks for a client certificate: set certificate and key (${code})`;
    }
    if (certificate !== undefined && certificate.validToDate.getTime() < Date.now()) {
      return `the broker refuses the client certificate, which has expired (${certificate.validTo}): renew it, and deploy again (${code})`;
    }
    if (/CERTIFICATE|UNKNOWN_CA/.test(code) && certificate !== undefined) {
      return `the broker refuses the client certificate: is it signed by an authority that the broker knows? (${code})`;
    }
    return `the broker ended the TLS handshake (${code})`;
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG') {
    return `what listens at ${host} does not speak TLS: use the port for it, or mqtt:// or ws:// (${code})`;
  }
  if (attempt.tls !== undefined && !attempt.connected && isHangUp(code)) {
    return `what listens at ${host} ended the connection where TLS begins: use the port for it, or mqtt:// or ws:// (${messageOf(error)})`;
  }
  return code?.startsWith('ERR_SSL_') === true ? `TLS with ${host} failed (${messageOf(error)})` : undefined;
}

/** Somebody is there, and speaks no MQTT. */
function protocolSentence(code: string | undefined, error: Error, attempt: Attempt): string | undefined {
  if (isHangUp(code)) return closedSentence(attempt);
  const { host, protocol } = new URL(attempt.url);
  if (error.message === 'connack timeout') {
    return `no broker has answered at ${host} in time: check ${protocol.startsWith('ws') ? 'host, port and path' : 'host and port'}, and that they are for ${protocol}//`;
  }
  const answer = /^Unexpected server response: (\d+)$/.exec(error.message)?.[1];
  if (answer !== undefined) {
    return `${host} answers the WebSocket with HTTP ${answer}: check the path in the URL`;
  }
  if (protocol.startsWith('ws') && code?.startsWith('HPE_') === true) {
    return `what listens at ${host} does not speak WebSocket: use the port for it, or mqtt:// (${messageOf(error)})`;
  }
  // mqtt-packet's errors have no code.
  if (code === undefined && !attempt.connected) {
    return `what listens at ${host} does not speak MQTT as ${protocol}// is to: check port and scheme (${messageOf(error)})`;
  }
  return undefined;
}

function closedSentence({ connected, url }: Attempt): string {
  if (connected) return 'the connection was lost';
  const { host, protocol } = new URL(url);
  return `${host} closed the connection without an answer: is it a port for ${protocol}//?`;
}

function isHangUp(code: string | undefined): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE';
}

function codeOf(error: Error): string | number | undefined {
  const code = 'code' in error ? error.code : undefined;
  return typeof code === 'string' || typeof code === 'number' ? code : undefined;
}
