import { isLoopback } from '../../launcher/loopback.js';
import { nameOf, textsIn, type FlowEntry } from './document.js';

/** Schemes of brokers and stores. */
const ADDRESS = /^(?:mqtts?|wss?|mongodb(?:\+srv)?|https?|s3|file|tcp|tls):\/\//i;
const HOST_AND_PORT = /^(?:\[[0-9a-f:.]+\]|[^\s:/@]+)(?::\d{1,5})?$/i;

/**
 * The first address that a worker on another machine could not reach: a loopback one, or a folder of the editor's machine.
 *
 * @param variables - those that are the editor's; one that the worker was started with is its operator's word
 * @returns a sentence that names it
 */
export function unreachable(
  flows: readonly FlowEntry[],
  variables: Readonly<Record<string, string>>,
): string | undefined {
  for (const [name, value] of Object.entries(variables)) {
    const why = whyNot(value);
    if (why === undefined) continue;
    return (
      `expected the variable ${name} to be an address that this machine can reach, got ${why}: ` +
      `give the editor instance another, or set ${name} where this worker is started`
    );
  }
  for (const entry of flows.filter(isConnection)) {
    for (const { path, text } of textsIn(entry)) {
      const why = path.endsWith('/servername') ? undefined : whyNot(text);
      if (why === undefined) continue;
      return `expected ${entry.type} "${nameOf(entry)}" ${path} to be an address that this machine can reach, got ${why}`;
    }
  }
  return undefined;
}

/** A config node: brokers and stores are such. What another node calls may well be on its own machine. */
function isConnection(entry: FlowEntry): boolean {
  return !['tab', 'group', 'subflow'].includes(entry.type) && !Object.hasOwn(entry, 'x') && entry['d'] !== true;
}

function whyNot(text: string): string | undefined {
  if (/^file:/i.test(text)) return "a folder of the editor's machine";
  return hostsOf(text).some(mayBeLoopback) ? 'a loopback address' : undefined;
}

/** Without user and password. A URL of MongoDB may name several; one of S3 names its server in its query. */
function hostsOf(text: string): string[] {
  if (!ADDRESS.test(text)) return HOST_AND_PORT.test(text) ? [hostOf(text)] : [];
  const [address = '', query = ''] = text.split(/\?(.*)/s);
  const endpoint = new URLSearchParams(query).get('endpoint');
  const authority = address.replace(/^[^:]+:\/\//, '').split('/')[0] ?? '';
  const hosts = authority
    .slice(authority.lastIndexOf('@') + 1)
    .split(',')
    .map(hostOf);
  return endpoint === null ? hosts : [...hosts, ...hostsOf(endpoint)];
}

function hostOf(hostAndPort: string): string {
  const [, bracketed] = /^\[([^\]]+)\]/.exec(hostAndPort) ?? [];
  return (bracketed ?? hostAndPort.replace(/:\d*$/, '')).toLowerCase();
}

/** Also by names and spellings that only may be loopback: to refuse one too many costs a sentence. */
function mayBeLoopback(host: string): boolean {
  return isLoopback(host) || host.endsWith('.localhost') || /^(?:::ffff:)?127(?:\.\d{1,3}){1,3}$/.test(host);
}
