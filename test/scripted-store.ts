/**
 * A stand-in for an object store, and a clock: what a test of time and of rare answers needs to hold in its hand. The spool
 * is a real one.
 */
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Counters } from '../nodes/lib/counters.js';
import { compileSettings } from '../nodes/lib/settings.js';
import type { ObjectStore, PutOptions, PutOutcome } from '../nodes/object-store/store.js';
import type { Clock } from '../nodes/s3-sink/clock.js';
import { config as schema, type Config } from '../nodes/s3-sink/config.js';
import { S3Sink } from '../nodes/s3-sink/sink.js';
import type { RejectedError } from '../nodes/lib/errors.js';
import type { Message } from '../nodes/lib/message.js';
import { linesOf } from './s3-sink.js';
import { temporaryFolder } from './sluice.js';

/** Time that a test moves. */
class TestClock implements Clock {
  #now = Date.UTC(2026, 2, 2);
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  /** How many things wait for their time. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass to the next thing that is due. */
  async advanceToNext(): Promise<void> {
    const next = Math.min(...[...this.#timers].map(({ at }) => at));
    await this.advance(Math.max(0, next - this.#now));
  }

  later(run: () => void, milliseconds: number): () => void {
    const timer = { at: this.#now + milliseconds, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Lets time pass, and what is due happen in its order, each with what follows from it. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      await turn();
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }
}

/** An object store that answers as the test says. */
class ScriptedStore extends EventEmitter implements ObjectStore {
  readonly place = 'memory';
  readonly objects = new Map<string, Buffer>();
  readonly attempts: { readonly key: string; readonly hash: string; readonly at: number }[] = [];
  mostAtOnce = 0;
  answer: (key: string) => Error | PutOutcome | 'hang' | undefined = () => undefined;
  #atOnce = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  async put(key: string, body: Uint8Array, { signal }: PutOptions): Promise<PutOutcome> {
    const bytes = Buffer.from(body);
    this.attempts.push({ key, hash: createHash('sha256').update(bytes).digest('hex'), at: this.#clock.now() });
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#atOnce);
    try {
      await turn();
      const answer = this.answer(key);
      if (answer === 'hang' && signal !== undefined) {
        await once(signal, 'abort');
        throw new Error('aborted');
      }
      if (answer instanceof Error) throw answer;
      if (answer === 'found' || answer === 'taken') return answer;
      this.objects.set(key, bytes);
      return 'stored';
    } finally {
      this.#atOnce--;
    }
  }

  check(): Promise<void> {
    const answer = this.answer('');
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve();
  }

  close(): void {
    this.objects.clear();
  }

  /** Lets time pass until there have been so many attempts, and the last has its answer. */
  async attempt(count: number, clock: TestClock): Promise<void> {
    // What goes through the disk takes its own time: the clock stands still until something waits for it.
    while (this.attempts.length < count) await (clock.pending > 0 ? clock.advanceToNext() : turn());
    while (this.#atOnce > 0) await turn();
    await turn();
  }

  /** What all objects hold, parsed. */
  lines(): unknown[] {
    return [...this.objects.values()]
      .flatMap(linesOf)
      .map((line) => (typeof line === 'object' && line !== null && 'payload' in line ? line.payload : line));
  }

  bytes(): number {
    return [...this.objects.values()].reduce((sum, body) => sum + body.length, 0);
  }
}

/** Sinks without Node-RED, whose time and store a test holds. Those of one test have the same spool, one after the other. */
export function useScriptedStore() {
  let folder: ReturnType<typeof temporaryFolder>;
  const sinks: { readonly close: () => Promise<void> }[] = [];
  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    for (const { close } of sinks.splice(0)) await close();
    folder.remove();
  });
  return (settings: Partial<Config> = {}) => {
    const sink = setUp(folder.path, settings);
    sinks.push(sink);
    return sink;
  };
}

function setUp(userDir: string, settings: Partial<Config>) {
  const clock = new TestClock();
  const store = new ScriptedStore(clock);
  const counters = new Counters();
  const statuses: string[] = [];
  const logs: string[] = [];
  const drained: [number, string][] = [];
  const found: [number, records: number][] = [];
  const rejected: { readonly message: Message; readonly error: RejectedError }[] = [];
  const config = compileSettings<Config>(schema).resolve(
    { store: 'store', key: '{topic[0]}/{batch}.ndjson', compression: 'none', ...settings },
    () => undefined,
  );
  const sink = new S3Sink(
    {
      id: 'sink',
      name: 's3-sink',
      flow: { id: 'tab', name: 'Flow 1' },
      config,
      instance: 'test',
      userDir,
      counters,
      isWired: () => true,
      status: (level, text) => statuses.push(`${level} ${typeof text === 'function' ? text() : text}`),
      log: (level, sentence, fields) =>
        logs.push(`${level} ${sentence} ${new URLSearchParams(fields as never).toString()}`),
      reject: (message, error) => {
        rejected.push({ message, error });
        return Promise.resolve('dead-lettered');
      },
      drained: ({ number }, outcome) => drained.push([number, outcome]),
      foundSpooled: ({ number, records }) => found.push([number, records]),
    },
    { store, clock },
  );
  let closing: Promise<void> | undefined;
  return {
    sink,
    clock,
    store,
    counters,
    statuses,
    logs,
    drained,
    found,
    rejected,
    close: () => (closing ??= sink.close()),
    /** Hands it a message. @returns what became of it */
    put: (message: Message): Promise<unknown> => sink.input(message, () => undefined),
    /** Resolves when so many records are in objects of the store, and have left the spool. */
    stored: async (records: number): Promise<void> => {
      while (counters.total('stored') < records) await turn();
    },
  };
}
