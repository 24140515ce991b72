import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '@sluice/node-red/instance';
import type { FleetOptions, InstanceReply, InstanceRequest } from '../launcher/instance-protocol.js';
import { messageOf } from '../launcher/user-error.js';
import type { FleetMember } from './flows/member.js';
import { EDITOR_SLOT } from './identity.js';
import { startFleetMember } from './flows/start-member.js';
import { encodeReport, type ReportedState } from './report/instance-report.js';
import { Reporter } from './report/reporter.js';
import { FleetTopics } from './topics.js';

/** Less than the launcher gives a leave. */
const LEAVE_LIMIT_MS = 30_000;
/** Devices are to run also where no worker does. */
const BEGIN_WITHIN_MS = 30_000;

/** What an instance process does as the member of a fleet: it reports, speaks for its flows, and leaves. */
export class MemberProcess {
  readonly #options: FleetOptions;
  readonly #member: FleetMember;
  readonly #reply: (message: InstanceReply) => void;
  #reporter: Reporter | undefined;
  #lastError: string | undefined;
  readonly #begin = Promise.withResolvers<void>();
  #end: ReportedState = 'stopped';

  constructor(options: FleetOptions, userDir: string, reply: (message: InstanceReply) => void) {
    this.#options = options;
    this.#member = startFleetMember(options, userDir);
    this.#reply = reply;
  }

  /** What Node-RED must be started with. */
  get settings(): Readonly<Record<string, unknown>> {
    return this.#member.settings;
  }

  noteError(line: string): void {
    this.#lastError = line;
  }

  /** Devices of the editor instance wait for workers who take what they send, since those have their flows from it. */
  beforeFlows(instance: Instance): void {
    if (this.#options.slot !== EDITOR_SLOT) return;
    const patience = delay(BEGIN_WITHIN_MS, undefined, { ref: false });
    instance.beginDevicesAfter(Promise.race([this.#begin.promise, patience]));
  }

  begin(): void {
    this.#begin.resolve();
  }

  /** Once Node-RED has started. @returns what keeps flows from running */
  async run(instance: Instance): Promise<string | undefined> {
    const { fleet, slot } = this.#options;
    const topic = new FleetTopics(fleet).instance(slot);
    this.#reporter = new Reporter({
      slot,
      instance,
      flowState: () => this.#member.flowState(),
      lastError: () => this.#lastError,
      deliver: (report) => {
        this.#reply({ type: 'report', report });
        this.#member.publish(topic, encodeReport(report), { retain: true });
      },
    });
    // Not retained: what it has said last stays, for a launcher that starts later.
    this.#member.will(topic, encodeReport(this.#reporter.gone()));
    return this.#member.run();
  }

  draining(): void {
    this.#member.pause();
    this.#reporter?.turn('draining');
  }

  /** Ends the instance's sessions, once they are empty. */
  async leave(instance: Instance): Promise<void> {
    this.#member.pause();
    this.#reporter?.turn('leaving');
    this.#end = 'stranded';
    const { ended, reason } = await instance.leave(LEAVE_LIMIT_MS);
    if (ended) this.#end = 'left';
    else this.#lastError = `could not leave: ${reason ?? ''}`;
  }

  /** The last report, and the end of the connection. */
  async end(): Promise<void> {
    this.#reporter?.end(this.#end);
    await this.#member.stop();
  }

  async answer(request: Extract<InstanceRequest, { readonly type: 'history' | 'rollback' }>): Promise<void> {
    const { id } = request;
    try {
      const value =
        request.type === 'history'
          ? this.#member.history()
          : await this.#member.rollback(request.revision, request.author);
      this.#reply({ type: 'answer', id, value });
    } catch (error) {
      this.#reply({ type: 'refusal', id, sentence: messageOf(error) });
    }
  }
}
