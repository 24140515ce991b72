/** What a URL may show of its query: everything else may be a secret. */
const SHOWN = new Set(['endpoint', 'region', 'pathStyle', 'replicaSet', 'authSource', 'directConnection', 'tls', 'w']);

/** A URL as it may be shown: without user and password (whatever is before the last @), and without unknown options. */
export function withoutSecrets(url: string): string {
  const [address = '', query] = url.split(/\?(.*)/s);
  const shown = new URLSearchParams([...new URLSearchParams(query)].filter(([name]) => SHOWN.has(name))).toString();
  return `${address.replace(/^([a-z0-9+.-]+:\/\/).*@/is, '$1')}${shown === '' ? '' : `?${shown}`}`;
}
