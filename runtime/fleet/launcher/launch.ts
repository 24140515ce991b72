import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { environment } from '../../launcher/environment.js';
import { expectPassword } from '../../launcher/launcher.js';
import { startServices, type Services } from '../../launcher/services.js';
import { Started } from '../../launcher/started.js';
import { UserError } from '../../launcher/user-error.js';
import { BrokerDesk, OTHERS_KNOWN_MS } from './broker-desk.js';
import { FleetChannel } from '../channel.js';
import { ControlServer } from './control-server.js';
import { expectBroker } from './broker.js';
import { Fleet } from './fleet.js';
import { FleetFolder } from './folder.js';
import { fleetMetrics } from './metrics.js';
import { fleetRoutes } from './routes.js';
import { EDITOR_SLOT, instanceName } from '../identity.js';
import { togetherOf, type WorkersNode } from '../report/node-report.js';
import { Roster } from './roster.js';
import { Autoscaler } from '../scaling/autoscaler.js';
import type { Limits } from '../scaling/decide.js';
import { loadSignal } from '../scaling/load-signal.js';
import { probeSharedSubscriptions } from '../share-probe.js';
import { makeSlotProcess } from '../slots/factory.js';
import { SlotTable } from '../slots/table.js';
import { slotsStatus, type FleetStatus } from './status.js';
import { FleetTopics } from '../topics.js';

/** In the editor, what workers say of their nodes. */
const SHOWN_EVERY_MS = 1_000;

export interface FleetLaunchOptions {
  /** A flow file; undefined for the default flow, where the folder has none. */
  readonly flow: string | undefined;
  readonly replace: boolean;
  readonly userDir: string;
  /** Undefined: the one of the folder, else `sluice`. */
  readonly fleet: string | undefined;
  /** Undefined: as many as before, else two. */
  readonly workers: number | undefined;
  /** Undefined: nobody but a person changes the number of workers. */
  readonly scaling: Limits | undefined;
  readonly host: string;
  /** 0 means any free one, here and below. */
  readonly port: number;
  readonly controlPort: number;
  /** Undefined: metrics are read at the control port, from this machine. */
  readonly metricsPort: number | undefined;
  readonly mongodbPort: number;
  readonly say: (sentence: string) => void;
}

/** Where everything is, once it runs. None of it holds a password. */
export interface RunningFleet {
  readonly fleet: string;
  readonly editor: string;
  readonly mqtt: string;
  readonly mongodb: string;
  readonly objects: string;
  readonly userDir: string;
  readonly control: string;
  readonly embedded: Services['embedded'];
  status(): FleetStatus;
  /** Resolves when it is asked to stop, by `sluice fleet down`. */
  readonly asked: Promise<void>;
  /** Resolves with a sentence when it cannot go on. */
  readonly failed: Promise<string>;
  /** Drains the workers, then the editor instance, then the store. @returns whether all of it ended as it should */
  stop(): Promise<boolean>;
}

/** Starts an editor instance and workers, and keeps them running. @throws UserError */
export async function launchFleet(options: FleetLaunchOptions): Promise<RunningFleet> {
  expectPassword(options.host);
  const started = new Started(options.say);
  try {
    return await launch(options, started);
  } catch (error) {
    await started.stop();
    throw error;
  }
}

async function launch(options: FleetLaunchOptions, started: Started): Promise<RunningFleet> {
  const { say, userDir, host, port, scaling } = options;
  const brokerUrl = expectBroker(environment('MQTT_URL'));
  const folder = new FleetFolder(userDir);
  await expectNobody(folder);
  const table = new SlotTable(folder.slotTable, options.fleet);
  await folder.claim(instanceName({ fleet: table.fleet, slot: EDITOR_SLOT }));
  started.add(() => {
    for (const slot of [EDITOR_SLOT, ...table.held]) folder.slot(slot).release();
    return true;
  });
  const secret = folder.secretOrNew();
  const topics = new FleetTopics(table.fleet);
  const roster = new Roster();
  const identity = { fleet: table.fleet, slot: EDITOR_SLOT };
  const channel = await FleetChannel.connect({ ...identity, brokerUrl, secret }, say);
  started.add(() => channel.close().then(() => true));
  const desk = new BrokerDesk({ channel, topics, table, roster, say });
  await Promise.all([probeSharedSubscriptions(brokerUrl), expectAlone(desk, table.fleet)]);

  folder.installFlow(options.flow, options.replace);
  const services = await startServices({ ...options, mqttPort: 0 }, folder, started);
  const fleet = new Fleet({
    table,
    roster,
    makeProcess: (slot) =>
      makeSlotProcess(slot, {
        folder,
        fleet: table.fleet,
        brokerUrl,
        secret,
        host,
        port,
        services: services.environment,
        onReport: (report) => roster.hear(report),
        say,
      }),
    command: (slot, command) => channel.publish(topics.command(slot), command),
    forget: async (slot) => {
      folder.slot(slot).release();
      roster.forget(slot);
      await channel.forget(topics.instance(slot));
    },
    say,
  });
  started.add(() => fleet.stop());
  desk.open(fleet);
  const before = fleet.workersHere.length;
  await fleet.start(options.workers ?? scaling?.min ?? (before === 0 ? 2 : before));

  const autoscaler =
    scaling === undefined
      ? undefined
      : new Autoscaler({ fleet, limits: scaling, signal: () => loadSignal(roster), say });
  const showing = setInterval(() => fleet.processes.get(EDITOR_SLOT)?.show(workersNodes(roster)), SHOWN_EVERY_MS);
  started.add(() => {
    clearInterval(showing);
    return true;
  });
  const asked = Promise.withResolvers<void>();
  const status = (): FleetStatus => ({
    fleet: table.fleet,
    pid: process.pid,
    editor: fleet.processes.get(EDITOR_SLOT)?.url ?? '',
    broker: { url: services.shown.mqtt, connected: channel.connected },
    forged: channel.forged,
    ...slotsStatus({ fleet, table, roster }),
  });
  const token = randomBytes(32).toString('base64url');
  const metrics = (): Promise<string> => fleetMetrics(status(), loadSignal(roster));
  const routes = fleetRoutes({ fleet, status, metrics, down: () => asked.resolve() });
  const control = await ControlServer.start(routes, token, options.controlPort);
  folder.file.write({ pid: process.pid, fleet: table.fleet, token, url: control.url });
  started.add(async () => {
    autoscaler?.stop();
    await control.stop();
    folder.file.release();
    return true;
  });
  if (options.metricsPort !== undefined) {
    const server = await ControlServer.start({ 'GET /metrics': metrics }, token, options.metricsPort, host);
    started.add(() => server.stop().then(() => true));
  }
  return {
    fleet: table.fleet,
    editor: status().editor,
    ...services.shown,
    userDir: folder.path,
    control: control.url,
    embedded: services.embedded,
    status,
    asked: asked.promise,
    failed: services.failed,
    stop: () => started.stop(),
  };
}

/** Of the workers that live. */
function workersNodes(roster: Roster): WorkersNode[] {
  const live = roster.slots.filter((slot) => slot !== EDITOR_SLOT && roster.isLive(slot));
  return togetherOf(live.map((slot) => roster.last(slot)?.nodes ?? []));
}

/** @throws UserError when a launcher runs on the folder */
async function expectNobody(folder: FleetFolder): Promise<void> {
  const other = await folder.file.running();
  if (other === undefined) return;
  throw new UserError(
    `expected a user folder that no fleet runs on, got ${folder.path}, where process ${other.pid} runs the fleet ` +
      `"${other.fleet}": sluice fleet down ends it; or choose another folder with --user-dir`,
  );
}

/** Two launchers of one fleet would give out the same client ids. @throws UserError when there is another */
async function expectAlone(desk: BrokerDesk, fleet: string): Promise<void> {
  desk.hear();
  await delay(OTHERS_KNOWN_MS);
  const { other } = desk;
  if (other === undefined) return;
  throw new UserError(
    `expected a broker on which no fleet "${fleet}" runs, got one whose editor instance runs on ${other.host} ` +
      `(process ${other.pid}): choose another name with --fleet, or join it with sluice join`,
  );
}
