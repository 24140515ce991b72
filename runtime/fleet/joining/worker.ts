import { hostname } from 'node:os';
import { isLoopback } from '../../launcher/loopback.js';
import { Started } from '../../launcher/started.js';
import { FleetChannel } from '../channel.js';
import { decodeCommand, type WorkerCommand } from './command.js';
import { instanceName } from '../identity.js';
import { askForSlot } from './ask.js';
import { MemberFolder } from './folder.js';
import { instanceEnvironment } from '../slots/factory.js';
import { SlotLog } from '../slots/log.js';
import { SlotProcess } from '../slots/process.js';
import { FleetTopics } from '../topics.js';

export interface JoinOptions {
  readonly brokerUrl: string;
  readonly fleet: string;
  readonly secret: string;
  readonly userDir: string;
  /** Whether the user folder has a folder for each of several workers: the lowest that none runs on is taken. */
  readonly shared: boolean;
  /** The only slot that it would take; undefined: the one that its folder had, else the lowest free one. */
  readonly slot: number | undefined;
  readonly host: string;
  readonly port: number;
  readonly say: (sentence: string) => void;
}

export interface JoinedWorker {
  readonly fleet: string;
  readonly slot: number;
  readonly name: string;
  readonly url: string;
  readonly userDir: string;
  /** Resolves when it has left, as the fleet's launcher asked. @returns whether its sessions have ended */
  readonly left: Promise<boolean>;
  /** Resolves with a sentence when it has ended and will not be started again. */
  readonly failed: Promise<string>;
  /** @param how - `drain`: it comes back to its slot. @returns whether it ended as it should */
  stop(how: 'drain' | 'leave'): Promise<boolean>;
}

/** Runs a worker of a fleet whose launcher is elsewhere. @throws UserError */
export async function joinFleet(options: JoinOptions): Promise<JoinedWorker> {
  const started = new Started(options.say);
  try {
    return await join(options, started);
  } catch (error) {
    await started.stop();
    throw error;
  }
}

async function join(options: JoinOptions, started: Started): Promise<JoinedWorker> {
  const { brokerUrl, fleet, secret, say, host, port } = options;
  const { folder, place } = options.shared
    ? MemberFolder.oneOf(options.userDir)
    : { folder: new MemberFolder(options.userDir) };
  const file = await folder.claim(`${fleet} (joining)`);
  started.add(() => {
    folder.release();
    return true;
  });
  const topics = new FleetTopics(fleet);
  const channel = await FleetChannel.connect({ fleet, slot: options.slot ?? 0, brokerUrl, secret }, say);
  started.add(() => channel.close().then(() => true));
  const request = {
    member: folder.member(fleet),
    host: hostname(),
    ...(options.slot !== undefined && { slot: options.slot }),
    ...(place !== undefined && { rather: place }),
  };
  const slot = await askForSlot(channel, topics, request, say);

  const name = instanceName({ fleet, slot });
  const failed = Promise.withResolvers<string>();
  const worker = new SlotProcess({
    what: `worker ${slot}`,
    folder,
    file: { ...file, name },
    host,
    port,
    environment: instanceEnvironment({
      MQTT_URL: brokerUrl,
      SLUICE_NAME: name,
      SLUICE_FLEET: fleet,
      SLUICE_SLOT: String(slot),
    }),
    fleet: { fleet, slot, brokerUrl, secret, remote: !isLoopback(new URL(brokerUrl).hostname) },
    stderr: new SlotLog(folder.log, name),
    onReport: () => undefined, // its process tells the fleet
    onFailure: failed.resolve,
    say,
  });
  let how: 'drain' | 'leave' = 'drain';
  started.add(() => worker.stop(how));
  const left = Promise.withResolvers<boolean>();
  channel.listen(topics.command(slot), (body) => {
    const command = decodeCommand(body);
    if (command !== undefined)
      void obey(command, worker, say).then((ended) => ended !== undefined && left.resolve(ended));
  });
  await worker.start();
  return {
    fleet,
    slot,
    name,
    url: worker.url,
    userDir: folder.path,
    left: left.promise,
    failed: failed.promise,
    stop: (wanted) => {
      how = wanted;
      return started.stop();
    },
  };
}

/** @returns after a leave, whether its sessions have ended */
async function obey(
  { type, runId }: WorkerCommand,
  worker: SlotProcess,
  say: (sentence: string) => void,
): Promise<boolean | undefined> {
  if (runId !== worker.report?.runId || worker.state !== 'running') return undefined; // meant for another
  say(`the fleet's launcher asks this worker to ${type}`);
  if (type === 'leave') return worker.stop('leave');
  await worker.stop('drain');
  await worker.start();
  return undefined;
}
