import { setTimeout as delay } from 'node:timers/promises';
import { UserError } from '../../launcher/user-error.js';
import type { FleetChannel } from '../channel.js';
import { decodeReport, type InstanceReport } from '../report/instance-report.js';
import type { FleetTopics } from '../topics.js';
import type { WorkerCommand } from './command.js';

/** Reports come every second. */
const HEARD_WITHIN_MS = 10_000;
/** More than a leave takes. */
const LEFT_WITHIN_MS = 60_000;

/**
 * Makes a worker that has joined leave its fleet for good, as its launcher would. Resolves when its sessions have ended.
 *
 * @throws UserError when nothing is heard of it, or it cannot
 */
export async function askToLeave(channel: FleetChannel, topics: FleetTopics, slot: number): Promise<void> {
  const running = Promise.withResolvers<InstanceReport>();
  const ended = Promise.withResolvers<InstanceReport>();
  const end = channel.listen(topics.instance(slot), (body, retained) => {
    const report = decodeReport(body);
    if (report === undefined || retained) return; // of a run before, perhaps
    if (report.state === 'running') running.resolve(report);
    else if (report.state === 'left' || report.state === 'stranded') ended.resolve(report);
  });
  try {
    const { runId } = await within(HEARD_WITHIN_MS, running.promise, `slot ${slot} to run`);
    const command: WorkerCommand = { type: 'leave', runId };
    channel.publish(topics.command(slot), command);
    const { state, lastError = 'it did not say why' } = await within(
      LEFT_WITHIN_MS,
      ended.promise,
      `slot ${slot} to leave`,
    );
    if (state === 'left') return;
    throw new UserError(`expected slot ${slot} to end its sessions, which it could not (${lastError}): they stay`);
  } finally {
    end();
  }
}

async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  const patience = new AbortController();
  const late = delay(ms, undefined, { signal: patience.signal }).then(() => {
    throw new UserError(`expected ${what} within ${ms / 1_000} s, got nothing of it`);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    patience.abort();
  }
}
