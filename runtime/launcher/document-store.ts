import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.js';
import { environment } from './environment.js';
import { isFree, takenSentence } from './ports.js';
import { Supervisor } from './supervisor.js';

type StoreChild = Child<{ readonly type: 'ready'; readonly uri: string }>;

const WHAT = 'the embedded document store';
const DATABASE = 'sluice';
const STOP_LIMIT_MS = 5_000;

/** The embedded document store, a process of its own that is kept running. Its address stays the same over restarts. */
export class DocumentStore {
  readonly #supervisor: Supervisor<StoreChild>;
  #port: number;
  #uri = '';

  private constructor(folder: string, port: number, say: (sentence: string) => void) {
    this.#port = port;
    const launch = (): StoreChild =>
      new Child(
        WHAT,
        join(import.meta.dirname, '../../bin/sluice.js'),
        ['store', '--dir', folder, '--port', String(this.#port), '--json'],
        process.env,
      );
    const ready = async (child: StoreChild): Promise<void> => {
      const { uri } = await child.next('ready');
      this.#uri = withLogin(uri);
      this.#port = Number(new URL(uri).port);
    };
    this.#supervisor = new Supervisor(WHAT, launch, ready, say);
  }

  /** @param port - 0: any free one; one that is taken by another program gives way to a free one, which is said */
  static async start(folder: string, port: number, say: (sentence: string) => void): Promise<DocumentStore> {
    mkdirSync(folder, { recursive: true });
    const free = port === 0 || (await isFree(port));
    if (!free) say(takenSentence(WHAT, port));
    const store = new DocumentStore(folder, free ? port : 0, say);
    await store.#supervisor.start();
    return store;
  }

  /** With the database, and the login where one is set. */
  get uri(): string {
    return this.#uri;
  }

  /** Resolves with a sentence when it has ended and will not be started again. */
  get failed(): Promise<string> {
    return this.#supervisor.failed;
  }

  async stop(): Promise<boolean> {
    const child = this.#supervisor.release();
    child?.release();
    return (await child?.endedWithin(STOP_LIMIT_MS)) ?? true;
  }
}

function withLogin(uri: string): string {
  const url = new URL(uri);
  url.pathname = `/${DATABASE}`;
  const user = environment('SLUICE_MONGODB_USER');
  const password = environment('SLUICE_MONGODB_PASSWORD');
  if (user !== undefined && password !== undefined) {
    url.username = encodeURIComponent(user);
    url.password = encodeURIComponent(password);
    url.searchParams.set('authSource', 'admin');
  }
  return url.href;
}
