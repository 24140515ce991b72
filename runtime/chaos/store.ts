import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../launcher/user-error.js';
import { accepts, Program } from './program.js';
import { addressOf } from './broker.js';

const BIN = join(import.meta.dirname, '../../bin/sluice.js');
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 10_000;
const PORT = 27_017;

/** A document store that the run may do things to; its database is of this run alone. */
export interface DocumentStore {
  readonly name: string;
  readonly uri: URL;
  /** Undefined for one that is not ours. */
  readonly own: OwnStore | undefined;
}

/** @param given - the URI of another server, as in MONGODB_URI. @throws UserError when it does not answer */
export async function findStore(given: string | undefined, folder: string): Promise<DocumentStore> {
  if (given === undefined) {
    const own = await OwnStore.start(folder);
    return { name: 'sluice store', uri: new URL(`/chaos`, own.uri), own };
  }
  const uri = new URL(given);
  uri.pathname = `/sluice_chaos_${randomBytes(4).toString('hex')}`;
  const { host, port } = addressOf(uri, PORT);
  if (uri.protocol === 'mongodb:' && !host.includes(',') && !(await accepts({ host, port }))) {
    throw new UserError(`expected a MongoDB server at ${host}:${port}, got nobody who takes a connection`);
  }
  return { name: `MongoDB at ${host}, database ${uri.pathname.slice(1)}`, uri, own: undefined };
}

/** `sluice store` as a process. It comes back on the same port. */
export class OwnStore {
  readonly #folder: string;
  #program!: Program;
  #uri = '';

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(folder: string): Promise<OwnStore> {
    mkdirSync(folder, { recursive: true });
    const store = new OwnStore(folder);
    await store.start();
    return store;
  }

  get uri(): string {
    return this.#uri;
  }

  async start(): Promise<void> {
    const port = this.#uri === '' ? '0' : new URL(this.#uri).port;
    this.#program = new Program({
      name: 'the document store',
      command: process.execPath,
      parameters: [BIN, 'store', '--dir', this.#folder, '--port', port, '--json'],
      environment: withoutLogin(),
      folder: this.#folder,
      log: `${this.#folder}.log`,
    });
    const { mongodb } = JSON.parse(await this.#program.line(READY_WITHIN_MS)) as { mongodb: string };
    this.#uri = mongodb;
  }

  kill(): Promise<void> {
    return this.#program.kill();
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#program.signal(signal);
  }

  async stop(): Promise<void> {
    this.#program.signal('SIGCONT');
    await this.#program.stop(STOP_WITHIN_MS);
  }
}

/** A login in the environment is for a server that is given. */
function withoutLogin(): NodeJS.ProcessEnv {
  const { SLUICE_MONGODB_USER: _user, SLUICE_MONGODB_PASSWORD: _password, ...environment } = process.env;
  return environment;
}
