import { existsSync, lstatSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { UserFolder } from '../../launcher/user-folder.js';
import type { FleetFolder } from '../launcher/folder.js';
import { EDITOR_SLOT, instanceName } from '../identity.js';
import type { InstanceReport } from '../report/instance-report.js';
import { SECRET_VARIABLES } from '../secret.js';
import { SlotLog } from './log.js';
import { SlotProcess } from './process.js';

export interface SlotFactoryOptions {
  readonly folder: FleetFolder;
  readonly fleet: string;
  readonly brokerUrl: string;
  readonly secret: string;
  readonly host: string;
  /** The editor's; workers take any free one. */
  readonly port: number;
  /** `MQTT_URL`, `MONGODB_URI`, `S3_URL` */
  readonly services: Readonly<Record<string, string>>;
  readonly onReport: (report: InstanceReport) => void;
  readonly say: (sentence: string) => void;
}

/** The process of a slot on this machine, not started. @throws UserError when an instance runs on its folder */
export async function makeSlotProcess(slot: number, options: SlotFactoryOptions): Promise<SlotProcess> {
  const { folder, fleet, brokerUrl, secret, host, port, services, onReport, say } = options;
  const name = instanceName({ fleet, slot });
  const own = folder.slot(slot);
  const file = await own.claim(name);
  if (slot !== EDITOR_SLOT) shareModules(own, folder);
  const settings = {
    what: slot === EDITOR_SLOT ? 'the editor instance' : `worker ${slot}`,
    folder: own,
    file,
    host,
    port: slot === EDITOR_SLOT ? port : 0,
    environment: instanceEnvironment({
      ...services,
      SLUICE_NAME: name,
      SLUICE_FLEET: fleet,
      SLUICE_SLOT: String(slot),
    }),
    fleet: { fleet, slot, brokerUrl, secret },
    stderr: new SlotLog(folder.log(slot), name),
    onReport,
    say,
  };
  return new SlotProcess(settings);
}

/** What flows can read; the fleet's secret is not for them. */
export function instanceEnvironment(variables: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const secrets: readonly string[] = SECRET_VARIABLES;
  const own = Object.entries(process.env).filter(([name]) => !secrets.includes(name));
  return { ...Object.fromEntries(own), ...variables };
}

/** What the editor's palette manager has installed is there for workers of this machine, from their next start on. */
function shareModules(worker: UserFolder, editor: UserFolder): void {
  const link = join(worker.path, 'node_modules');
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) return;
  const modules = join(editor.path, 'node_modules');
  if (!existsSync(modules)) mkdirSync(modules, { recursive: true });
  symlinkSync(modules, link, 'junction');
}
