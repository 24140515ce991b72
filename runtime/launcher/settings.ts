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
    editorTheme: { page: { title: 'Sluice' }, header: { title: 'Sluice' }, tours: false, projects: { enabled: false } },
    logging: { console: { level: 'warn', metrics: false, audit: false } },
    exportGlobalContextKeys: false,
    diagnostics: { enabled: true, ui: true },
  };
}

function adminAuth(passwordHash: string, token: string): Record<string, unknown> {
  return {
    type: 'credentials',
    users: [{ username: 'admin', password: passwordHash, permissions: '*' }],
    // The commands that speak to this instance know the token from its file.
    tokens: (given: string) =>
      Promise.resolve(sameText(given, token) ? { username: 'sluice', permissions: '*' } : null),
  };
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
