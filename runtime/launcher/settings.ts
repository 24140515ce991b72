import { timingSafeEqual } from 'node:crypto';
import type { InstanceOptions } from './instance-protocol.js';

/** Node-RED's settings (its settings.js) for an instance. */
export function nodeRedSettings(options: InstanceOptions): Record<string, unknown> {
  return {
    userDir: options.userDir,
    flowFile: 'flows.json',
    flowFilePretty: true,
    credentialSecret: options.credentialSecret,
    uiHost: options.host,
    uiPort: options.port,
    httpAdminRoot: '/',
    httpNodeRoot: '/',
    ...(options.passwordHash !== undefined && { adminAuth: adminAuth(options.passwordHash, options.token) }),
    telemetry: { enabled: false, updateNotification: false },
    paletteCategories: ['Sluice', 'subflows', 'common', 'function', 'network', 'sequence', 'parser', 'storage'],
    editorTheme: { page: { title: 'Sluice' }, header: { title: 'Sluice' }, tours: false },
    logging: {
      // Without `console`: each logger is asked four times for every message that a node passes on.
      sluice: { level: 'warn', metrics: false, audit: false, handler: () => logger() },
    },
    exportGlobalContextKeys: false,
    diagnostics: { enabled: true, ui: true },
  };
}

function adminAuth(passwordHash: string, token: string): Record<string, unknown> {
  return {
    type: 'credentials',
    users: [{ username: 'admin', password: passwordHash, permissions: '*' }],
    // The commands that speak to this instance know the token from its file.
    tokens: (given: string) => {
      if (sameText(given, token)) return Promise.resolve({ username: 'sluice', permissions: '*' });
      // Prometheus has a token that stays, and may read only.
      const { SLUICE_METRICS_TOKEN: reader = '' } = process.env;
      const isReader = reader !== '' && sameText(given, reader);
      return Promise.resolve(isReader ? { username: 'metrics', permissions: 'sluice.read' } : null);
    },
  };
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

interface LogEntry {
  readonly level: number;
  readonly type?: string;
  readonly id?: string;
  readonly name?: string;
  readonly msg: unknown;
  readonly timestamp: number;
}

/** Node-RED's levels, as it numbers them. */
const LEVELS: Readonly<Record<number, string>> = { 10: 'fatal', 20: 'error', 30: 'warn' };
/** What Node-RED warns of at each start of a folder without credentials, and of projects, which Sluice does not use. */
const NO_NEWS = /^(Projects disabled|Encrypted credentials not found)/;

/** One line an entry on stderr. An entry that only repeats the one before is counted, and the count is said after it. */
function logger(): (entry: LogEntry) => void {
  let last = '';
  let repeats = 0;
  return ({ level, type, id, name, msg, timestamp }) => {
    const text = msg instanceof Error ? msg.message : String(msg);
    if (NO_NEWS.test(text)) return;
    const source = type === undefined ? '' : ` ${type} "${name ?? id ?? ''}":`;
    const line = `${LEVELS[level] ?? 'info'}${source} ${text}`;
    if (line === last) {
      repeats++;
      return;
    }
    const more = repeats === 0 ? '' : `  … ${repeats} more like it\n`;
    process.stderr.write(`${more}${new Date(timestamp).toISOString()} ${line}\n`);
    last = line;
    repeats = 0;
  };
}
