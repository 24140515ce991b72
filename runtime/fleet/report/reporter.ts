import { hostname } from 'node:os';
import type { Instance } from '@sluice/node-red/instance';
import { healthOf } from '../../launcher/health.js';
import { ProcessLoad, type Load } from '../../launcher/process-load.js';
import { EDITOR_SLOT } from '../identity.js';
import type { FlowState } from '../flows/member.js';
import { sumsOf, type InstanceReport, type ReportedState } from './instance-report.js';
import { nodeReports } from './node-report.js';
import { RateMeter } from './rate-meter.js';

export interface ReporterPorts {
  readonly slot: number;
  readonly instance: Instance;
  readonly flowState: () => FlowState;
  /** The last line that the log has as an error. */
  readonly lastError: () => string | undefined;
  /** Takes a report to whoever is to have it. */
  readonly deliver: (report: InstanceReport) => void;
}

const EVERY_MS = 1_000;

/** Says every second how an instance does. */
export class Reporter {
  readonly #ports: ReporterPorts;
  readonly #process = new ProcessLoad();
  readonly #rates = new RateMeter();
  readonly #timer: NodeJS.Timeout;
  #load: Load = this.#process.read();
  #state: ReportedState = 'running';

  constructor(ports: ReporterPorts) {
    this.#ports = ports;
    this.#timer = setInterval(() => this.#report(), EVERY_MS);
    this.#report();
  }

  /** From the last report on. */
  get loopDelayMs(): number {
    return this.#load.loopDelayMs;
  }

  /** Says it at once. */
  turn(state: ReportedState): void {
    this.#state = state;
    this.#report();
  }

  /** The last word. */
  end(state: ReportedState): void {
    clearInterval(this.#timer);
    this.turn(state);
  }

  /** What is to be said when it can say nothing any more. */
  gone(): InstanceReport {
    return { ...this.#make(), state: 'gone' };
  }

  #report(): void {
    this.#ports.deliver(this.#make());
  }

  #make(): InstanceReport {
    const { slot, instance, flowState, lastError } = this.#ports;
    const { revision, wanted, problem } = flowState();
    const ledger = sumsOf(instance.ledger());
    const report = instance.report();
    const { nodes } = report;
    const ingests = nodes.filter(({ type }) => type === 'mqtt-ingest');
    const { records, bytes, oldestAt } = instance.onDisk();
    const at = Date.now();
    this.#load = this.#process.read();
    const error = lastError();
    return {
      slot,
      name: instance.name,
      role: slot === EDITOR_SLOT ? 'editor' : 'worker',
      host: hostname(),
      pid: process.pid,
      runId: instance.runId,
      startedAt: instance.startedAt.getTime(),
      at,
      state: this.#state,
      subscribed: ingests.every(({ level }) => level === 'ok' || level === 'warning'),
      flow: { revision, wanted, ...(problem !== undefined && { problem }) },
      ...this.#rates.measure(at, ledger, nodes),
      inFlight: ledger.inFlight,
      spool: { records, bytes, lagSeconds: oldestAt === undefined ? 0 : Math.max(0, (at - oldestAt) / 1_000) },
      load: this.#load,
      problems: healthOf(report, this.#load.loopDelayMs).problems,
      ...(error !== undefined && { lastError: error }),
      ledger,
      ...(slot !== EDITOR_SLOT && { nodes: nodeReports(nodes) }),
    };
  }
}
