import type { Entry } from './flow-file.js';

/** A flow file without its secrets, and where they were. */
export interface Cleaned {
  readonly entry: Entry;
  readonly secrets: readonly { readonly path: string; readonly message: string }[];
}

const HIDDEN = '***';

interface Secret {
  readonly name: string;
  /** The text without it. In linear time, whatever the text is. */
  readonly hide: (text: string) => string;
}

const SECRETS: readonly Secret[] = [
  {
    name: 'private key',
    hide: (text) =>
      text.replace(
        /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|$)/g,
        () => HIDDEN,
      ),
  },
  { name: 'password in a URL', hide: (text) => text.replace(/[^\s"'<>]+/g, withoutPassword) },
  {
    name: 'secret in a URL',
    hide: (text) =>
      text.replace(
        /([?&](?:password|passwd|secret|token|api_?key|access_?token|secret_?access_?key|proxyPassword|tlsCertificateKeyFilePassword|authMechanismProperties|X-Amz-Signature|sig)=)(?!\$\{[^{}\s]+\}(?:[&\s]|$))[^&\s"'<>]+/gi,
        (_match, name: string) => name + HIDDEN,
      ),
  },
  { name: 'AWS access key', hide: (text) => text.replace(/\b(?:AKIA|ASIA)[A-Z0-9]{16}/g, () => HIDDEN) },
  {
    name: 'token',
    hide: (text) =>
      text.replace(
        /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35})/g,
        () => HIDDEN,
      ),
  },
];

/** What stands before a password; digits and a / are a port, and a variable is no secret. */
const LOGIN = /(?<=[a-z0-9+.-]):\/\/[^:@/?#]*:(?!\d{1,5}[/?#])(?!\$\{[^{}\s]+\}(?:@|$))/i;

/** Of a text without spaces. The password goes up to the last @, whatever was not encoded before it. */
function withoutPassword(text: string): string {
  const end = text.lastIndexOf('@');
  const login = end === -1 ? null : LOGIN.exec(text.slice(0, end));
  if (login === null) return text;
  const start = login.index + login[0].length;
  return start === end ? text : text.slice(0, start) + HIDDEN + text.slice(end);
}

/** Names of settings, and of variables, whose value is a secret whatever node has them. */
const SECRET_FIELD = /^(?:password|passphrase|passwd|secret|secretAccessKey|apiKey|accessToken)$/i;
const SECRET_VARIABLE = /PASSWORD|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY/i;
const VARIABLE = /^\$[({]\S+[)}]$/;

/**
 * Takes the secrets out of an entry, so that nothing that looks at it later can repeat one.
 *
 * @param credentials - names of the type's credentials, which Node-RED keeps in a file of their own
 */
export function withoutSecrets(entry: Entry, credentials: ReadonlySet<string>): Cleaned {
  const secrets: { path: string; message: string }[] = [];
  const found = (path: string, message: string): string => {
    secrets.push({ path, message });
    return HIDDEN;
  };

  function clean(value: unknown, path: string): unknown {
    if (typeof value === 'string') return cleanText(value, path);
    if (Array.isArray(value)) return value.map((item, index) => clean(item, `${path}/${index}`));
    if (typeof value !== 'object' || value === null) return value;
    return fromEntries(
      Object.entries(value).map(([key, inner]) => {
        const name = cleanText(key, path);
        const place = `${path}/${name}`;
        if (isSecretText(inner) && isSecretName(value, key)) {
          return [
            name,
            found(place, 'expected a secret to be a credential or a variable of the environment, got it here'),
          ];
        }
        return [name, clean(inner, place)];
      }),
    );
  }

  function cleanText(text: string, path: string): string {
    return SECRETS.reduce((out, { name, hide }) => {
      const cleaned = hide(out);
      if (cleaned !== out) found(path, `expected no ${name} in a flow, got one`);
      return cleaned;
    }, text);
  }

  const cleaned = Object.entries(entry).map(([key, value]): [string, unknown] => {
    const name = cleanText(key, '/');
    const path = `/${name}`;
    if (key === 'credentials' && isFilled(value)) {
      return [name, found(path, 'expected no credentials in a flow, where Node-RED ignores them, got some')];
    }
    if (credentials.has(key) && isFilled(value)) {
      return [name, found(path, 'expected a credential to be kept outside of the flow, got it here')];
    }
    if (isSecretText(value) && SECRET_FIELD.test(key)) {
      return [name, found(path, 'expected a secret to be a credential or a variable of the environment, got it here')];
    }
    return [name, clean(value, path)];
  });
  return { entry: fromEntries(cleaned) as Entry, secrets };
}

/** `env` of a tab, a group or a subflow has rows of name and value; type `cred` is kept elsewhere. */
function isSecretName(holder: object, key: string): boolean {
  if (SECRET_FIELD.test(key)) return true;
  const { name, type } = holder as { name?: unknown; type?: unknown };
  return key === 'value' && type === 'str' && typeof name === 'string' && SECRET_VARIABLE.test(name);
}

function isSecretText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !VARIABLE.test(value);
}

function isFilled(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(isFilled);
  return value !== undefined && value !== null && value !== '';
}

/** An own property whatever it is called. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(entries);
}
