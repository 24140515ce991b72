import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, messageOf } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import { accountOf, type Account } from './account.js';
import type { Contents } from './contents.js';
import { drained } from './drain.js';
import { carryOut, type DoneFault } from './faults.js';
import { readChaosFlow, type ChaosFlow } from './flow.js';
import type { Ledger } from './instance.js';
import { isKept } from './report.js';
import { startPhase, type Phase } from './phase.js';
import { faultText, planOf, plannedText, targetOf, type PlannedFault } from './plan.js';
import { Sending, type Sent } from './sending.js';

export interface ChaosOptions {
  readonly flow: string;
  readonly seed: string;
  readonly count: number;
  readonly qos: 0 | 1 | 2;
  /** Messages a second. */
  readonly rate: number;
  /** `mosquitto`, `hivemq` or a URL. */
  readonly broker: string | undefined;
  /** Seconds for all that is under way at the end to arrive. */
  readonly drainWithin: number;
  readonly keep: boolean;
  readonly nodes: string | undefined;
  readonly collections: readonly string[];
  readonly say: (sentence: string) => void;
  readonly signal: AbortSignal;
}

export interface ChaosResult {
  readonly seed: string;
  readonly count: number;
  readonly qos: 0 | 1 | 2;
  readonly broker: string;
  readonly store: string;
  readonly plan: readonly PlannedFault[];
  readonly leftOut: readonly string[];
  readonly notes: readonly string[];
  readonly faults: readonly DoneFault[];
  readonly sent: Sent;
  readonly account: Account;
  /** Whether all was quiet at the end. */
  readonly drained: boolean;
  readonly stoppedCleanly: boolean;
  /** Undefined where the runtime serves none. */
  readonly ledger: Ledger | undefined;
  readonly seconds: number;
  /** Where all is that the servers and the runtime wrote, when it was kept. */
  readonly folder: string | undefined;
}

/** Without faults the machine has nothing else to do: what there should be is known sooner. */
const CALM_FACTOR = 3;
const CALM_QUIET_MS = 3_000;
/** Longer than the pauses after which clients connect again, and brokers give again what nobody has acknowledged. */
const QUIET_MS = 10_000;
const AGAIN_QUIET_MS = 5_000;
/** For flows, credentials and what sinks keep on disk. */
const DISK_BYTES = 64 * 1024 * 1024;
const DISK_BYTES_A_MESSAGE = 4 * 1024;
const PROGRESS_MS = 5_000;

/** What was sent in a phase, and what was found. */
interface Outcome {
  readonly sent: Sent;
  readonly contents: Contents;
  readonly drained: boolean;
  readonly stoppedCleanly: boolean;
  readonly ledger: Ledger | undefined;
}

/**
 * Runs a flow twice with the same messages: without a fault, which says what each sink should have, and by a plan of
 * faults.
 *
 * @throws UserError for what is missing, and when something does not come back
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const startedAt = performance.now();
  const flow = readChaosFlow(options.flow);
  const folder = mkdtempSync(join(tmpdir(), 'sluice-chaos-'));
  const run = randomBytes(4).toString('hex');
  try {
    const calm = await runCalm(options, flow, run, join(folder, 'calm'));
    const result = await runFaulty(options, flow, run, join(folder, 'chaos'), calm);
    const seconds = (performance.now() - startedAt) / 1_000;
    if (options.keep || !isKept(result)) return { ...result, seconds, folder };
    rmSync(folder, { recursive: true, force: true });
    return { ...result, seconds, folder: undefined };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true }); // the sentence has the end of what was said
    if (error instanceof ConfigError) throw new UserError(error.message, { cause: error });
    throw error;
  }
}

async function runCalm(options: ChaosOptions, flow: ChaosFlow, run: string, folder: string): Promise<Contents> {
  const { say, signal } = options;
  say('without faults: what each sink should have');
  const phase = await startPhase({ ...options, flow, name: 'calm', run, folder, diskBytes: undefined }, signal);
  try {
    const sending = new Sending({
      ...{ url: phase.broker.url.href, simulators: flow.simulators, run, qos: options.qos, count: options.count },
      rate: options.rate * CALM_FACTOR,
    });
    const sent = await withProgress(sending, options, () => sending.run(signal));
    const { contents, drained: quiet } = await settle(phase, sent, options, {
      quietMs: CALM_QUIET_MS,
      complete: () => Promise.resolve(false),
    });
    if (!quiet) {
      throw new UserError(
        `expected a flow that has stored everything ${options.drainWithin} s after the last message, without faults, got one ` +
          'that still works on it: what each sink should have is not known; raise --drain-within, or lower --count',
      );
    }
    if (contents.places.every(({ records }) => records.size === 0)) {
      throw new UserError(
        'expected the flow to store messages by their ids in a sink that can be read back, got none in any: ' +
          'mongo-sink, s3-sink, mqtt-publish, mqtt out with a topic, and file are read back',
      );
    }
    return contents;
  } finally {
    await phase.stop();
  }
}

type FaultyResult = Omit<ChaosResult, 'seconds' | 'folder'>;

async function runFaulty(
  options: ChaosOptions,
  flow: ChaosFlow,
  run: string,
  folder: string,
  calm: Contents,
): Promise<FaultyResult> {
  const { say, signal, seed, count, rate, qos } = options;
  const diskBytes = DISK_BYTES + count * DISK_BYTES_A_MESSAGE;
  const phase = await startPhase({ ...options, flow, name: 'chaos', run, folder, diskBytes }, signal);
  const { available, leftOut, broker, store } = phase;
  try {
    const plan = planOf({ seed, count, rate, available });
    for (const sentence of leftOut) say(`left out: ${sentence}`);
    say(`with faults, seed ${seed}:`);
    for (const fault of plan) say(`  ${plannedText(fault)}`);
    const url = broker.url.href;
    const sending = new Sending({ url, simulators: flow.simulators, run, count, rate, qos });
    const faults: DoneFault[] = [];
    const over = new AbortController();
    const carriedOut = carryOutAll(plan, phase, sending, AbortSignal.any([signal, over.signal]), (fault) => {
      faults.push(fault);
      say(`${at(fault.to)} runs again after: ${faultText(fault.kind)} (at ${at(fault.from)})`);
    });
    // One that fails ends the other: nothing is left under way.
    const sent = withProgress(sending, options, () => sending.run(AbortSignal.any([signal, over.signal])));
    await Promise.all([sent, carriedOut]).catch(async (error: unknown) => {
      over.abort();
      await Promise.allSettled([sent, carriedOut]);
      throw error;
    });
    const { places, notes } = phase.flow;
    const accountFor = (found: Contents, { acknowledged, unanswered }: Sent): Account =>
      accountOf({ places, acknowledged, unanswered, calm, found });
    const done = await sent;
    const limits = {
      quietMs: QUIET_MS,
      complete: async () => accountFor(await phase.readBack.read(idsOf(done)), done).lost.size === 0,
    };
    let outcome = await settle(phase, done, options, limits);
    if (accountFor(outcome.contents, done).lost.size > 0) {
      say('something is missing: the runtime is started again, for what the broker or a spool still has');
      await phase.instance.start();
      const again = await settle(phase, done, options, { ...limits, quietMs: AGAIN_QUIET_MS });
      outcome = { ...again, stoppedCleanly: outcome.stoppedCleanly && again.stoppedCleanly };
    }
    return {
      ...{ seed, count, qos, plan, leftOut, notes, sent: done, faults: faults.toSorted((a, b) => a.from - b.from) },
      ...{ broker: broker.name, store: store.name },
      account: accountFor(outcome.contents, done),
      drained: outcome.drained,
      stoppedCleanly: outcome.stoppedCleanly,
      ledger: outcome.ledger,
    };
  } finally {
    await phase.stop();
  }
}

async function carryOutAll(
  plan: readonly PlannedFault[],
  phase: Phase,
  sending: Sending,
  signal: AbortSignal,
  done: (fault: DoneFault) => void,
): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  const one = async (fault: PlannedFault, before: Promise<void> | undefined): Promise<void> => {
    await Promise.all([before, sending.reached(fault.after)]);
    if (isOver()) return;
    const from = sending.seconds;
    try {
      await carryOut(fault, phase, signal);
    } catch (error) {
      if (isOver()) return;
      throw new UserError(`after "${faultText(fault.kind)}" at ${at(from)}: ${messageOf(error)}`, { cause: error });
    }
    done({ ...fault, from, to: sending.seconds });
  };
  const last = new Map<ReturnType<typeof targetOf>, Promise<void>>();
  for (const fault of plan) last.set(targetOf(fault.kind), one(fault, last.get(targetOf(fault.kind))));
  await Promise.all(last.values());
}

/** Waits for all that is under way, ends the runtime, so that sinks write what they hold, and reads back what is there. */
async function settle(
  phase: Phase,
  sent: Sent,
  { drainWithin, signal, say }: ChaosOptions,
  { quietMs, complete }: { readonly quietMs: number; readonly complete: () => Promise<boolean> },
): Promise<Outcome> {
  signal.throwIfAborted();
  say('waiting for what is under way');
  const quiet = await drained(phase, { quietMs, complete, signal, withinMs: drainWithin * 1_000 });
  const ledger = await phase.instance.ledger();
  const stoppedCleanly = await phase.instance.stop();
  return { sent, contents: await phase.readBack.read(idsOf(sent)), drained: quiet, stoppedCleanly, ledger };
}

async function withProgress<T>(sending: Sending, { say, count }: ChaosOptions, run: () => Promise<T>): Promise<T> {
  const progress = setInterval(() => {
    say(`${at(sending.seconds)} ${sending.published.toLocaleString('en')} of ${count.toLocaleString('en')} published`);
  }, PROGRESS_MS);
  return run().finally(() => clearInterval(progress));
}

function idsOf({ acknowledged, unanswered }: Sent): ReadonlySet<string> {
  return new Set([...acknowledged.keys(), ...unanswered]);
}

function at(seconds: number): string {
  return `${seconds.toFixed(1)} s`;
}
