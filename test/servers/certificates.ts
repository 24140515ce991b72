/** Certificates for tests, made by OpenSSL when they are needed: none is kept. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath, ServerMissing } from './server.js';

const run = promisify(execFile);

/** The paths of a certificate and its key, in PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  /** As `subjectAltName` writes them: `DNS:localhost,IP:127.0.0.1`. */
  readonly names?: string;
  /** In the form YYYYMMDDHHMMSSZ. */
  readonly from?: string;
  readonly to?: string;
}

/** An authority with a folder of its own. */
export class Authority {
  readonly #folder: string;
  #count = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Its own certificate. */
  get certificate(): string {
    return join(this.#folder, 'ca.pem');
  }

  /** Throws `ServerMissing` where there is no openssl. */
  static async make(): Promise<Authority> {
    if ((await findOnPath('openssl')) === undefined) {
      throw new ServerMissing('certificates are made with openssl, and there is none on the PATH: install it');
    }
    const authority = new Authority(await mkdtemp(join(tmpdir(), 'sluice-certificates-')));
    await authority.#prepare();
    return authority;
  }

  async #prepare(): Promise<void> {
    await writeFile(
      join(this.#folder, 'ca.cnf'),
      [
        '[ca]\ndefault_ca = own',
        '[own]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\ndefault_md = sha256\npolicy = any\nunique_subject = no',
        '[any]\ncommonName = supplied\n',
      ].join('\n'),
    );
    await writeFile(join(this.#folder, 'index.txt'), '');
    await this.#openssl(
      'req',
      '-x509',
      ...this.#newKey('ca'),
      '-out',
      'ca.pem',
      '-days',
      '2',
      '-subj',
      '/CN=test authority',
    );
  }

  async issue({ names = 'DNS:localhost,IP:127.0.0.1', from, to }: CertificateOptions = {}): Promise<Certificate> {
    const name = `issued-${++this.#count}`;
    await writeFile(join(this.#folder, `${name}.ext`), `subjectAltName = ${names}\n`);
    await this.#openssl('req', '-new', ...this.#newKey(name), '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    await this.#openssl(
      ...[
        'ca',
        '-config',
        'ca.cnf',
        '-batch',
        '-notext',
        '-in',
        `${name}.csr`,
        '-cert',
        'ca.pem',
        '-keyfile',
        'ca.key',
      ],
      ...['-extfile', `${name}.ext`, '-out', `${name}.pem`],
      ...(from === undefined ? [] : ['-startdate', from]),
      ...(to === undefined ? ['-days', '1'] : ['-enddate', to]),
    );
    return this.#paths(name);
  }

  /** One that no authority has signed. */
  async selfSigned(): Promise<Certificate> {
    const name = `self-signed-${++this.#count}`;
    const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1';
    await this.#openssl(
      'req',
      '-x509',
      ...this.#newKey(name),
      '-out',
      `${name}.pem`,
      '-subj',
      `/CN=${name}`,
      '-addext',
      names,
    );
    return this.#paths(name);
  }

  /** The same key behind a passphrase. */
  async encrypted(key: string, passphrase: string): Promise<string> {
    const path = `${key}.encrypted`;
    await this.#openssl('pkcs8', '-topk8', '-in', key, '-out', path, '-passout', `pass:${passphrase}`);
    return path;
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  #newKey(name: string): string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
  }

  #paths(name: string): Certificate {
    return { certificate: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) };
  }

  async #openssl(...args: string[]): Promise<void> {
    await run('openssl', args, { cwd: this.#folder });
  }
}
